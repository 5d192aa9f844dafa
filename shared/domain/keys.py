"""How a message is recognised when it comes again."""

import hashlib

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
