"""Where a list goes on: opaque to whoever asks for the next page, and checked when it comes back."""

import base64
import zlib
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from shared.domain.errors import Invalid, Problem

_MOST_BYTES = 1_000_000

T = TypeVar("T")


class Continuation(Generic[T]):
    """How places of one kind of list are written; `path` is where requests have them."""

    def __init__(self, shape: Any, path: str = "query.continuation") -> None:
        self._shape: TypeAdapter[T] = TypeAdapter(shape)
        self._path = path

    def write(self, place: T) -> str:
        return base64.urlsafe_b64encode(zlib.compress(self._shape.dump_json(place))).decode()

    def read(self, continuation: str) -> T:
        """:raises Invalid: it is none of ours."""
        try:
            packed = base64.urlsafe_b64decode(continuation)
            return self._shape.validate_json(zlib.decompressobj().decompress(packed, _MOST_BYTES))
        except (ValueError, zlib.error) as error:
            raise Invalid([Problem(self._path, "is not the continuation of this list")]) from error
