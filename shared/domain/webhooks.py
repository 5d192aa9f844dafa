"""Webhooks: who is told what, in what form (CloudEvents 1.0, Standard Webhooks), and when again (req M7)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.domain.errors import Unfit
from shared.domain.fields import Document, DocumentId, HttpsUrl, SecretName, Settings, told
from shared.domain.outbox import UNTOLD, EventType
from shared.domain.ticket import Comment, Ticket


def _one_that_is_told(event: EventType) -> EventType:
    if event in UNTOLD:
        raise PydanticCustomError("event", "is what Mailroom acts on itself: no subscription is told of it")
    return event


class SubscriptionSettings(Settings):
    """A webhook subscription as people write it."""

    enabled: bool = True
    url: Annotated[
        HttpsUrl,
        StringConstraints(pattern=r"^[\x21-\x7e]+$"),
        told("an https:// address in ASCII (xn-- for other names), with a possible port, no user, fragment and blanks"),
    ] = Field(description="where events are posted to")
    signing_secret: SecretName = Field(
        description="its value is `whsec_` and the base64 of 24 to 64 bytes; after a comma follow those used before"
    )
    events: tuple[Annotated[EventType, AfterValidator(_one_that_is_told)], ...] = Field(
        default=(), max_length=len(EventType), description="all of them unless some are named"
    )
    mailboxes: tuple[DocumentId, ...] = Field(
        default=(), max_length=1_000, description="ids; all mailboxes unless some are named"
    )
    include_text: bool = Field(default=False, description="true sends along what people wrote")

    def wants(self, event: EventType, mailbox_id: str) -> bool:
        return (
            self.enabled
            and event not in UNTOLD
            and (not self.events or event in self.events)
            and (not self.mailboxes or mailbox_id in self.mailboxes)
        )


class Subscription(SubscriptionSettings, Document):
    """A subscription as it is stored. `gone_at` is when its receiver last answered 410, which disabled it."""

    gone_at: AwareDatetime | None = None


CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_PREFIX = "whsec_"
_WAITS = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
"""Seconds before each further try: three days in all."""

_TEXTS = ("subject", "type", "priority", "group", "assignee", "category", "service", "company", "external_id")
_DETAILS = ("before", "after", "by", "code", "error", "advice", "sender_id")
"""What an event tells of itself, where it does; the rest is for whoever delivers."""


def next_try(entry_id: str, tries: int, now: datetime, retry_after: timedelta | None) -> datetime | None:
    """When to try again after so many tries, or None: never. Up to a tenth later, so that what failed together does not
    come back together.
    """
    if tries > len(_WAITS):
        return None
    jitter = hashlib.sha256(f"{entry_id}|{tries}".encode()).digest()[0] / 2550
    wait = timedelta(seconds=_WAITS[tries - 1] * (1 + jitter))
    return now + max(wait, min(retry_after or timedelta(), timedelta(days=1)))


def signing_keys(secret: str) -> list[bytes]:
    """The keys in the value of a signing secret, newest first. :raises Unfit:"""
    return [_key(part.strip()) for part in secret.split(",")]


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise Unfit("must name a secret whose value is `whsec_` and the base64 of 24 to 64 bytes")
    return key


def signed_headers(keys: Sequence[bytes], webhook_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """A signature for each key, so that receivers may still have the one before."""
    timestamp = str(int(now.timestamp()))
    content = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signatures = [base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def webhook_id(mailbox_id: str, event_id: str) -> str:
    """The same for every try and every subscription, so that whoever gets an event twice can tell."""
    return f"evt_{hashlib.sha256(f'{mailbox_id}|{event_id}'.encode()).hexdigest()[:32]}"


def cloud_event(id_: str, source: str, type_: str, time: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": f"mailroom.{type_}",
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }


def event_details(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: payload[name] for name in _DETAILS if name in payload}


def ticket_data(ticket: Ticket, tickets_url: str) -> dict[str, Any]:
    """A ticket as it is now. The subject and what its fields hold is all that it tells of a message."""
    return {
        "tag": ticket.tag,
        "number": ticket.number,
        "status": ticket.status.value,
        "requester": asdict(ticket.requester),
        **{name: getattr(ticket, name) for name in _TEXTS},
        "custom": dict(ticket.custom),
        "tags": ticket.tags,
        "created_at": ticket.created_at.isoformat(),
        "updated_at": ticket.updated_at.isoformat(),
        "href": f"{tickets_url}/{ticket.tag}",
    }


def comment_data(comment: Comment, *, with_text: bool) -> dict[str, Any]:
    return {
        "seq": comment.seq,
        "kind": comment.kind.value,
        "author": asdict(comment.author),
        "at": comment.at.isoformat(),
        "attachment_count": len(comment.attachments),
        **({"text": comment.text} if with_text else {}),
    }
