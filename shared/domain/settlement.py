"""Settlement: what is done to a message in its mailbox after its ticket is stored (req D2-D4)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from shared.domain.errors import MessageError
from shared.domain.fields import Model
from shared.domain.message import MessageRef


class Keep(Model):
    """Leave the message as it is."""

    action: Literal["keep"] = "keep"


class MarkRead(Model):
    action: Literal["mark_read"] = "mark_read"


class Move(Model):
    """Move to a folder, which is created first where it is missing and `create` allows it."""

    action: Literal["move"] = "move"
    folder: str = Field(min_length=1, max_length=500)
    create: bool = True


class Delete(Model):
    action: Literal["delete"] = "delete"


Settlement = Annotated[Keep | MarkRead | Move | Delete, Field(discriminator="action")]


@dataclass(frozen=True, slots=True)
class Settled:
    """The result for one message. `error` is None where it is settled, also if it was gone or settled before."""

    ref: MessageRef
    error: MessageError | None = None
