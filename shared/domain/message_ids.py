"""Message-IDs of our own: they say which ticket an answer to them speaks of, and nobody else can make one.

`<mailbox.ticket.cause.signature@domain>`, all in lower case and without anything that servers rewrite. The signature
covers all in front of the `@`; what is behind it may be changed by a server on the way.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

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
    return f"<{signed}.{_signature(key, signed)}@{_NOT_IN_DOMAINS.sub('-', domain.lower())}>"


def read_id(keys: Iterable[bytes], message_id: str) -> OwnId | None:
    """What a Message-ID of ours says; None for everybody else's. `keys` are the current one and those before it."""
    own = _OWN.match(message_id[:998].lower())
    if own is None:
        return None
    is_ours = [hmac.compare_digest(own[4], _signature(key, own[1])) for key in keys]  # all of them: no early end
    return OwnId(own[2], int(own[3]) or None) if any(is_ours) else None


def _signature(key: bytes, signed: str) -> str:
    return hmac.new(key, b"message-id:" + signed.encode(), hashlib.sha256).hexdigest()[:24]
