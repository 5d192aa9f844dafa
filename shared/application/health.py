"""How each mailbox is doing, and what about its configuration deserves a warning (req O7, T2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.application.services import Services
from shared.domain.fields import Tls
from shared.domain.intake import MailboxHealth
from shared.domain.mailbox import Mailbox
from shared.domain.retirements import retirement
from shared.domain.sources import ImapSource, Pop3Source

_LATE = timedelta(minutes=10)
_EXPIRY_WARNINGS = (1, 7, 30, 60)
"""Days ahead; the warning names the step that was reached, so that it changes only when it becomes more urgent."""


class MailboxStatus(StrEnum):
    """`waiting`: not polled yet."""

    OK = "ok"
    FAILING = "failing"
    WAITING = "waiting"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class MailboxReport:
    """`polled` is None where the mailbox was never due."""

    mailbox: Mailbox
    status: MailboxStatus
    polled: MailboxHealth | None
    warnings: tuple[str, ...]


def reports(services: Services) -> list[MailboxReport]:
    polled = {each.mailbox_id: each for each in services.schedule.all()}
    now = services.clock()
    return [report(each.value, polled.get(each.value.id), now) for each in services.mailboxes.all()]


def report(mailbox: Mailbox, polled: MailboxHealth | None, now: datetime) -> MailboxReport:
    return MailboxReport(
        mailbox,
        _status(mailbox, polled),
        polled,
        (*_risks(mailbox), *_delays(mailbox, polled, now), *_expiry(polled, now)),
    )


def deployment_warnings(services: Services) -> list[str]:
    if services.settings.allow_loopback_targets:
        return ["ALLOW_LOOPBACK_TARGETS is on: mailboxes may connect to this machine"]
    return []


def _status(mailbox: Mailbox, polled: MailboxHealth | None) -> MailboxStatus:
    if not mailbox.enabled:
        return MailboxStatus.DISABLED
    if polled is None or polled.last_polled_at is None:
        return MailboxStatus.WAITING
    return MailboxStatus.FAILING if polled.consecutive_failures else MailboxStatus.OK


def _risks(mailbox: Mailbox) -> Iterator[str]:
    if advice := retirement(mailbox.source):
        yield advice
    if isinstance(mailbox.source, ImapSource | Pop3Source):
        yield from tls_risks(mailbox.source.tls)


def tls_risks(tls: Tls) -> Iterator[str]:
    if not tls.verify:
        yield "the server's certificate is not checked: anybody between can read the mail and the password"
    if tls.mode in ("none", "starttls_if_available"):
        yield "the connection may be unencrypted: anybody between can read the mail and the password"


def _delays(mailbox: Mailbox, polled: MailboxHealth | None, now: datetime) -> Iterator[str]:
    if mailbox.enabled and polled and polled.next_due_at and polled.next_due_at + _LATE < now:
        yield f"polling is late: it was due at {polled.next_due_at:%Y-%m-%d %H:%M} UTC"


def _expiry(polled: MailboxHealth | None, now: datetime) -> Iterator[str]:
    """Req S2"""
    if polled is None or polled.secret_expires_at is None:
        return
    left = polled.secret_expires_at - now
    reached = next((days for days in _EXPIRY_WARNINGS if left <= timedelta(days=days)), None)
    if reached is not None:
        yield (
            f"a secret of the mailbox expires within {reached} days, on {polled.secret_expires_at:%Y-%m-%d}: "
            "store a new one in Key Vault"
        )
