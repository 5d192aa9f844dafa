"""The configuration of a webhook subscription: which events are told, and where (req M7)."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.domain.document import Document, DocumentId, Settings
from shared.domain.fields import HttpsUrl, SecretName, told
from shared.domain.outbox import EventType


def _one_that_is_told(event: EventType) -> EventType:
    if event is EventType.MESSAGE_REFUSED:
        raise PydanticCustomError("event", "is told to the one who was refused, and to nobody else")
    return event


def _with_a_port(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise PydanticCustomError("port", "must have a port from 1 to 65535, or none") from None
    return url


class SubscriptionSettings(Settings):
    """A webhook subscription as people write it."""

    enabled: bool = True
    url: Annotated[
        HttpsUrl,
        StringConstraints(pattern=r"^[\x21-\x7e]+$"),
        told("an https:// address in ASCII (xn-- for other names), without user, fragment and blanks"),
        AfterValidator(_with_a_port),
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
            and event is not EventType.MESSAGE_REFUSED
            and (not self.events or event in self.events)
            and (not self.mailboxes or mailbox_id in self.mailboxes)
        )


class Subscription(SubscriptionSettings, Document):
    """A subscription as it is stored. `gone_at` is when its receiver last answered 410, which disabled it."""

    gone_at: AwareDatetime | None = None
