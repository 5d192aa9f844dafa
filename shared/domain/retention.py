"""How long what a mailbox has brought in is kept (issue 7). Nothing but runs goes unless somebody says so."""

from typing import Annotated

from pydantic import Field

from shared.domain.fields import Model

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Model):
    """After how many days what is removed; unset keeps it. What an open ticket refers to is never removed."""

    runs_days: Days | None = Field(default=400, description="the record of polls, and their sums by the hour")
    closed_tickets_days: Days | None = Field(default=None, description="since a ticket was closed: all of it")
    raw_mail_days: Days | None = Field(
        default=None, description="since it was taken in: messages as received, with attachments; the text stays"
    )
    quarantine_days: Days | None = Field(default=None, description="since a message was put there")
    receipts_days: Annotated[int, Field(ge=30, le=36_500)] | None = Field(
        default=None,
        description="what recognises messages that were taken in; only where they leave the folder (move or delete)",
    )
