"""How messages are recognised: what comes again, what is our own, and the tickets that are spoken of (req R1, R2).

The Message-IDs of our own say which ticket an answer to them speaks of, and nobody else can make one:
`<mailbox.ticket.cause.signature@domain>`, all in lower case and without anything that servers rewrite. The signature
covers all in front of the `@`; what is behind it may be changed by a server on the way.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from shared.domain.message import InboundMessage


def message_key(message: InboundMessage, content: bytes) -> str:
    """SHA-256 (hex) of the normalised Message-ID; without one, of the content (RFC 5322 section 3.6.4)."""
    if message.message_id:
        return id_key(message.message_id)
    return hashlib.sha256(b"content:" + content).hexdigest()


def id_key(message_id: str) -> str:
    """The key of a Message-ID; ids that differ only in case or white space are one (mail servers change both)."""
    normalised = "".join(message_id.split()).strip("<>").casefold()
    return hashlib.sha256(b"id:" + normalised.encode()).hexdigest()


def fingerprint(message: InboundMessage) -> str:
    """What tells two messages apart that carry the same Message-ID: who wrote, and when."""
    sender = message.sender.key if message.sender else ""
    sent_at = message.sent_at.isoformat() if message.sent_at else ""
    return hashlib.sha256(f"{sender}\n{sent_at}".encode()).hexdigest()[:32]


def reused_id_key(key: str, print_: str) -> str:
    """The key of another message under an id that is taken."""
    return hashlib.sha256(f"reused:{key}:{print_}".encode()).hexdigest()


def incident_key(external_id: str) -> str:
    """The key of what a monitoring system calls one incident (req K6)."""
    return hashlib.sha256(f"incident:{external_id}".encode()).hexdigest()


def request_key(idempotency_key: str) -> str:
    """The key of a request to the API that must not be served twice."""
    return hashlib.sha256(f"request:{idempotency_key}".encode()).hexdigest()


_OWN = re.compile(r"\s*<?\s*(([a-z0-9][a-z0-9-]{0,62})\.(0|[1-9][0-9]{0,9})\.[0-9a-f]{12})\.([0-9a-f]{24})@", re.ASCII)

_NOT_IN_DOMAINS = re.compile("[^a-z0-9.-]")


class OwnId(NamedTuple):
    """`ticket_number` is None for a message that belongs to no ticket."""

    mailbox_id: str
    ticket_number: int | None


def signed_id(key: bytes, domain: str, mailbox_id: str, ticket_number: int | None, cause: str) -> str:
    """The Message-ID of what is sent for this cause: the same each time, so that a repeated try is recognised."""
    hashed = hashlib.sha256(cause.encode()).hexdigest()[:12]
    signed = f"{mailbox_id}.{ticket_number or 0}.{hashed}"
    return f"<{signed}.{signature(key, 'message-id', signed, 24)}@{_NOT_IN_DOMAINS.sub('-', domain.lower())}>"


def read_id(keys: Iterable[bytes], message_id: str) -> OwnId | None:
    """What a Message-ID of ours says; None for everybody else's. `keys` are the current one and those before it."""
    own = _OWN.match(message_id[:998].lower())
    return OwnId(own[2], int(own[3]) or None) if own and is_signed(keys, "message-id", own[1], own[4]) else None


def signature(key: bytes, purpose: str, text: str, length: int) -> str:
    return hmac.new(key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()[:length]


def is_signed(keys: Iterable[bytes], purpose: str, text: str, signed: str) -> bool:
    """Whether one of the keys has signed the text. All of them are tried, so that the time tells nothing."""
    matches = [hmac.compare_digest(signed, signature(key, purpose, text, len(signed))) for key in keys]
    return any(matches)


MAX_REFERENCES = 20
"""Looking further back than this finds nothing that the newer ids do not, but for the message that began it all."""

_TAG = re.compile(r"\[([A-Z][A-Z0-9]{1,9})-([1-9][0-9]{0,9})\]")


class Tag(NamedTuple):
    prefix: str
    number: int


def referred_ids(message: InboundMessage) -> tuple[str, ...]:
    """The Message-IDs this message answers, newest first, without repeats.

    A delivery report answers the message that it is about. In-Reply-To names the parent and stands before the older
    References (RFC 5322 section 3.6.4).
    """
    reported = message.report.original_id if message.report else None
    newest_first = (*([reported] if reported else []), *message.in_reply_to, *reversed(message.references))
    ids = tuple(dict.fromkeys(newest_first))
    return ids if len(ids) <= MAX_REFERENCES else (*ids[: MAX_REFERENCES - 1], ids[-1])


def subject_tags(message: InboundMessage) -> tuple[Tag, ...]:
    """Every ticket tag such as `[SUP-1042]` in the subject, in the order of their appearance; then those of the message
    that a delivery report is about.
    """
    subjects = (message.subject, message.report.original_subject if message.report else "")
    return tuple(Tag(prefix, int(number)) for subject in subjects for prefix, number in _TAG.findall(subject))
