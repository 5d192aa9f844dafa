"""Messages: where they are, their bytes, and what they say."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from shared.domain.kinds import DeliveryReport, Kind

Cursor = NewType("Cursor", str)
"""Where listing resumes; written and read by the source only."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The provider's handle of one message in one folder; `id` is opaque to everybody but the source."""

    folder: str
    id: str

    @property
    def key(self) -> str:
        """Names the message in quarantine and in the log, where neither folder nor id may be shown."""
        return hashlib.sha256(f"{self.folder}\n{self.id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Listed:
    """One message as a listing shows it, before its bytes are fetched. `size` is in bytes; None means unknown."""

    ref: MessageRef
    size: int | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RawMessage:
    """The bytes of one message as the provider hands them over.

    `full_size` is larger than `len(content)` where the message was over the size limit: `content` then
    holds only its beginning.
    """

    ref: MessageRef
    content: bytes
    received_at: datetime | None
    full_size: int

    @property
    def is_cut(self) -> bool:
        return self.full_size > len(self.content)


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address and the name beside it; either may be empty. `address` is as written, not folded to lower case."""

    address: str
    name: str = ""

    @property
    def key(self) -> str:
        """What two spellings of the same address have in common."""
        return self.address.casefold()

    @property
    def domain(self) -> str:
        return self.key.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment as the message declares it; its bytes are read from the raw message by `index`.

    `size` is in bytes, decoded. `content_id` has no angle brackets. `inline` is true where the HTML shows it.
    """

    index: int
    name: str
    content_type: str
    size: int
    content_id: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A parsed message. Every text is valid Unicode without NUL and lone surrogates; header texts are one line.

    Ids keep their angle brackets and are otherwise as written, without white space. `references` runs from
    oldest to newest. `text` is the readable body, also where the message had only HTML. `headers` holds the
    remaining fields that rules look at, names in lower case, in the order of the message.
    `defects` names what was broken and repaired (`charset-unknown`, `base64-invalid`, ...); `protection` how it is
    signed or encrypted (`smime-signed`, `pgp-encrypted`, ...), which nobody has checked.
    `kind_reasons` are the signals that decided `kind`, as stable words (`null return path`, ...).
    """

    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    subject: str = ""
    sent_at: datetime | None = None
    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    text: str = ""
    has_html: bool = False
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    defects: tuple[str, ...] = ()
    protection: str = ""
    kind: Kind = Kind.PERSON
    kind_reasons: tuple[str, ...] = ()
    report: DeliveryReport | None = None

    def header(self, name: str) -> str | None:
        """The first field of that name (in lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)
