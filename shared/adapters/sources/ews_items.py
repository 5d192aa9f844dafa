"""What is done to messages over EWS: fetching them in batches of bounded size, and settling them."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from exchangelib.items import Message
from exchangelib.properties import ItemId
from exchangelib.services import DeleteItem, GetItem, MoveItem, UpdateItem
from exchangelib.util import TNS

from shared.adapters.sources.ews_client import ID_ONLY, EwsClient, item_fields
from shared.adapters.sources.ews_errors import EwsRefused, ews_errors
from shared.adapters.sources.ews_folders import Folders
from shared.application.ports import FetchFailure
from shared.domain.errors import MessageError, MessageGone, SourceMisbehaved
from shared.domain.message import MessageRef, RawMessage
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_BATCH_MESSAGES = 50
_BATCH_BYTES = 4_000_000
_CUT_BYTES = 262_144
_ENVELOPE_BYTES = 100_000
_ITEMS_PER_REQUEST = 100
_SLOWEST_BYTES_PER_SECOND = 200_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a listing tells about a message. `size` is what Exchange needs to store it, which is near its bytes."""

    size: int = 0
    received_at: datetime | None = None
    is_read: bool = False


LISTED_FIELDS = ("size", "datetime_received", "is_read")


@ews_errors()
def facts_of(item: Any) -> Facts:
    received_at = item.findtext(f"{{{TNS}}}DateTimeReceived")
    return Facts(
        size=int(item.findtext(f"{{{TNS}}}Size", "0")),
        received_at=datetime.fromisoformat(received_at).astimezone(UTC) if received_at else None,
        is_read=item.findtext(f"{{{TNS}}}IsRead") == "true",
    )


class Fetching:
    """`facts` are those of the messages that were listed last, by item id."""

    def __init__(self, client: EwsClient, facts: Mapping[str, Facts], max_bytes: int) -> None:
        self._client = client
        self._facts = dict(facts)
        self._max_bytes = max_bytes

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[RawMessage | FetchFailure]:
        unknown = [ref.id for ref in refs if ref.id not in self._facts]
        for some in _chunks(unknown, _ITEMS_PER_REQUEST):
            found, _ = self._get(some, item_fields(*LISTED_FIELDS))
            known = zip(some, found, strict=True)
            self._facts |= {key: facts_of(item) for key, item in known if not isinstance(item, EwsRefused)}
        for batch in self._batches(refs):
            yield from self._fetched(batch)

    def _batches(self, refs: Sequence[MessageRef]) -> Iterator[list[MessageRef]]:
        """Few bytes in sum; what is larger comes by itself."""
        batch: list[MessageRef] = []
        total = 0
        for ref in refs:
            size = self._of(ref).size
            if batch and (len(batch) == _BATCH_MESSAGES or total + size > _BATCH_BYTES):
                yield batch
                batch, total = [], 0
            batch.append(ref)
            total += size
        if batch:
            yield batch

    def _fetched(self, refs: Sequence[MessageRef]) -> Iterator[RawMessage | FetchFailure]:
        """What turns out to be larger than it was said to be is fetched message by message."""
        size = sum(self._of(ref).size for ref in refs)
        most = 2 * size if len(refs) > 1 else _CUT_BYTES if size > self._max_bytes else self._max_bytes
        found, is_cut = self._get([ref.id for ref in refs], item_fields("mime_content"), most)
        if is_cut and len(refs) > 1:
            for ref in refs:
                yield from self._fetched([ref])
            return
        for ref in refs:
            yield self._raw(ref, found.pop(0), is_cut=is_cut)

    def _get(self, ids: Sequence[str], fields: Sequence[Any], most: int = 0) -> tuple[list[Any], bool]:
        """The items in their order, each or its refusal, and whether the answer was cut after so many bytes."""
        cut_at = most * 4 // 3 + _ENVELOPE_BYTES if most else None
        service = self._client.service(GetItem, seconds=most / _SLOWEST_BYTES_PER_SECOND, cut_at=cut_at)
        items = [ItemId(id=each) for each in ids]
        found = self._client.call(service, items=items, additional_fields=fields, shape=ID_ONLY)
        if len(found) != len(ids) and not service.answer.is_cut:
            raise SourceMisbehaved("Exchange left out messages that it was asked for.")
        return found, service.answer.is_cut

    def _raw(self, ref: MessageRef, item: Any, *, is_cut: bool) -> RawMessage | FetchFailure:
        if isinstance(item, EwsRefused):
            return FetchFailure(ref, MessageGone() if item.is_gone else MessageError(str(item)))
        content = _taken(item.find(f"{{{TNS}}}MimeContent"), is_cut=is_cut)
        if not content:
            return FetchFailure(ref, MessageError("Exchange hands over an empty message."))
        facts = self._of(ref)
        if is_cut or len(content) > self._max_bytes:
            kept = content[: min(_CUT_BYTES, self._max_bytes)]
            return RawMessage(ref, kept, facts.received_at, max(facts.size, len(content)))
        return RawMessage(ref, content, facts.received_at, len(content))

    def _of(self, ref: MessageRef) -> Facts:
        return self._facts.get(ref.id, Facts())


class Settling:
    """Read receipts are never sent: nobody has read the message."""

    def __init__(self, client: EwsClient, folders: Folders, settlement: Settlement) -> None:
        self._client = client
        self._folders = folders
        self._settlement = settlement

    def settle(self, refs: Sequence[MessageRef]) -> list[Settled]:
        if isinstance(self._settlement, Keep):
            return [Settled(ref) for ref in refs]
        return [settled for some in _chunks(refs, _ITEMS_PER_REQUEST) for settled in self._some(some)]

    def _some(self, refs: Sequence[MessageRef]) -> Iterator[Settled]:
        found = self._apply(refs)
        if len(found) != len(refs):
            raise SourceMisbehaved("Exchange left out messages that it was to settle.")
        for ref, each in zip(refs, found, strict=True):
            is_refused = isinstance(each, EwsRefused) and not each.is_gone
            yield Settled(ref, MessageError(str(each)) if is_refused else None)

    def _apply(self, refs: Sequence[MessageRef]) -> list[Any]:
        match self._settlement:
            case MarkRead():
                return self._mark_read(refs)
            case Move(folder=path, create=create):
                return self._move(refs, path, create=create)
            case Delete():
                return self._delete(refs)
        raise AssertionError(self._settlement)

    def _mark_read(self, refs: Sequence[MessageRef]) -> list[Any]:
        return self._client.call(
            UpdateItem,
            items=[(Message(id=ref.id, is_read=True), ["is_read"]) for ref in refs],
            conflict_resolution="AlwaysOverwrite",  # the others want the version of the item
            message_disposition="SaveOnly",
            send_meeting_invitations_or_cancellations="SendToNone",
            suppress_read_receipts=True,
        )

    def _move(self, refs: Sequence[MessageRef], path: str, *, create: bool) -> list[Any]:
        """Once more where the folder to move to was removed since it was found."""
        found: list[Any] = []
        for _ in range(2):
            target = self._folders.ref(self._folders.find_or_create(path, create=create))
            found = self._client.call(MoveItem, items=_ids(refs), to_folder=target)
            if not any(isinstance(each, EwsRefused) and each.is_folder_gone for each in found):
                return found
            self._folders.forget()
        raise next(each for each in found if isinstance(each, EwsRefused) and each.is_folder_gone)

    def _delete(self, refs: Sequence[MessageRef]) -> list[Any]:
        return self._client.call(
            DeleteItem,
            items=_ids(refs),
            delete_type="MoveToDeletedItems",
            send_meeting_cancellations="SendToNone",
            affected_task_occurrences="AllOccurrences",
            suppress_read_receipts=True,
        )


def _ids(refs: Sequence[MessageRef]) -> list[ItemId]:
    return [ItemId(id=ref.id) for ref in refs]


@ews_errors()
def _taken(mime: Any, *, is_cut: bool) -> bytes:
    """The bytes, as far as they go; the element gives them up, for it would hold them as long as the whole answer."""
    if mime is None or not mime.text:
        return b""
    text, mime.text = mime.text, None
    if is_cut:
        text = "".join(text.split())
        text = text[: len(text) // 4 * 4]
    return base64.b64decode(text)


_T = TypeVar("_T")


def _chunks(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
