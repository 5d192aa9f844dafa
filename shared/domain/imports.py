"""Imports of mail that was there before a mailbox was connected (req D6)."""

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.domain.fields import Document, Folders, Model


class ImportState(StrEnum):
    """An import counts first; a `planned` one waits to be started. A `failed` one can be started again, and goes on."""

    COUNTING = "counting"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


UNDER_WAY = (ImportState.COUNTING, ImportState.PLANNED, ImportState.RUNNING)


class ImportSettings(Model):
    """Which mail to import, and how. Messages stay in the mailbox as they are, and tickets get their dates."""

    since: AwareDatetime = Field(description="when the oldest message arrived")
    until: AwareDatetime | None = Field(default=None, description="when the newest one arrived; now, unless set")
    folders: Folders | None = Field(default=None, description="other folders than those that the mailbox is read from")
    silent: bool = Field(default=True, description="nobody is told of what is imported, by e-mail or webhook")
    plan: bool = Field(default=True, description="count only, and wait to be started")


class Import(Document, ImportSettings):
    """One import and how far it is. `found` counts the messages that were listed; where the provider lists them without
    dates, only their number is known before they are fetched, and `found` is the most that it can be. `left_out` were
    fetched and are not from that time, or from none that they tell. `cursor` is where listing goes on.
    """

    mailbox_id: str
    until: AwareDatetime
    state: ImportState = ImportState.COUNTING
    is_counted: bool = False
    found: int = 0
    found_is_exact: bool = True
    listed: int = 0
    left_out: int = 0
    outcomes: dict[str, int] = Field(default={})
    part: int = 0
    cursor: str | None = None
    failures: int = 0
    error_code: str | None = None
    error: str | None = None
    worked_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None

    @property
    def is_going_on(self) -> bool:
        return self.state in (ImportState.COUNTING, ImportState.RUNNING)

    @property
    def next_part(self) -> str:
        """Names the part that is due; requests for others are late or come twice."""
        return f"{self.id}-{self.part}"

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment <= self.until
