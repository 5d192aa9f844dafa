"""How each mailbox is doing, and what about its configuration deserves a warning (req O7, T2)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.application.installation import installation
from shared.application.own_ids import KEY_SECRET
from shared.application.poll import FAILING_AFTER
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.errors import StoreUnavailable
from shared.domain.fields import Tls
from shared.domain.health import Finding, Level, MailboxHealth, worst
from shared.domain.mailbox import Mailbox
from shared.domain.providers import retirement
from shared.domain.sources import ImapSource, Pop3Source

_LATE = timedelta(minutes=10)
_MISSED = 3
"""Mail does not get through where no poll has succeeded at so many of its times."""
_LONG = timedelta(minutes=30)
"""A backlog is told of from then on."""
_EXPIRY_WARNINGS = (1, 7, 30, 60)
"""Days ahead; the warning names the step that was reached, so that it changes only when it becomes more urgent."""
_NEVER = datetime.min.replace(tzinfo=UTC)


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
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        return worst(each.level for each in self.findings)


def reports(services: Services) -> list[MailboxReport]:
    polled = {each.mailbox_id: each for each in services.schedule.all()}
    mailboxes = [each.value for each in services.mailboxes.all()]
    return for_each(mailboxes, lambda mailbox: report(services, mailbox, polled.get(mailbox.id)))


def report(services: Services, mailbox: Mailbox, polled: MailboxHealth | None) -> MailboxReport:
    found = [*_risks(mailbox), *_stand_in(services, mailbox), *_quarantine(services, polled)]
    if mailbox.enabled:
        found += _expiry(polled, services.clock())
    if mailbox.enabled and installation(services).email_to_ticket:
        found += _polling(mailbox, polled or MailboxHealth(mailbox.id), services.clock())
    return MailboxReport(mailbox, _status(mailbox, polled), polled, tuple(found))


def deployment_findings(services: Services) -> Iterator[Finding]:
    if services.settings.allow_loopback_targets:
        text = "ALLOW_LOOPBACK_TARGETS is on: mailboxes may connect to this machine"
        yield Finding(Level.WARNING, "loopback_allowed", text)
    if not installation(services).email_to_ticket:
        text = "email to ticket is switched off: mail waits in its mailboxes"
        yield Finding(Level.WARNING, "switched_off", text, "Make `email_to_ticket` true in /api/installation.")
    with suppress(StoreUnavailable):
        if services.senders.cached() and not services.own_ids.has_key():
            text = "nothing signs the ids of messages: answers are found less surely, and nothing can be announced"
            yield Finding(Level.WARNING, "no_message_id_key", text, f"Create the secret `{KEY_SECRET}`.")


def _status(mailbox: Mailbox, polled: MailboxHealth | None) -> MailboxStatus:
    if not mailbox.enabled:
        return MailboxStatus.DISABLED
    if polled is None or polled.last_polled_at is None:
        return MailboxStatus.WAITING
    return MailboxStatus.FAILING if polled.consecutive_failures else MailboxStatus.OK


def _risks(mailbox: Mailbox) -> Iterator[Finding]:
    if advice := retirement(mailbox.source):
        yield Finding(Level.WARNING, "retired", advice)
    if isinstance(mailbox.source, ImapSource | Pop3Source):
        yield from (Finding(Level.WARNING, "insecure", each) for each in tls_risks(mailbox.source.tls))


def _stand_in(services: Services, mailbox: Mailbox) -> Iterator[Finding]:
    """Req M3"""
    own = mailbox.notices.sender_id
    if own and not any(each.enabled for each in services.senders.cached() if each.id == own):
        text = "the sender of its own is gone or not enabled: the primary sender stands in"
        yield Finding(Level.WARNING, "no_own_sender", text, "Enable it, or choose another in `notices.sender_id`.")


def tls_risks(tls: Tls) -> Iterator[str]:
    if not tls.verify:
        yield "the server's certificate is not checked: anybody between can read the mail and the password"
    if tls.mode in ("none", "starttls_if_available"):
        yield "the connection may be unencrypted: anybody between can read the mail and the password"


def _polling(mailbox: Mailbox, polled: MailboxHealth, now: datetime) -> Iterator[Finding]:
    if polled.error_code:
        level = Level.ERROR if polled.consecutive_failures >= FAILING_AFTER else Level.WARNING
        yield Finding(level, polled.error_code, polled.error or "", polled.advice or "")
    quiet_since = max(each or _NEVER for each in (mailbox.created_at, polled.watched_from, polled.last_success_at))
    if now > _missed(mailbox, quiet_since) + _LATE:
        text = f"no poll has succeeded since {_shown(quiet_since)}, at {_MISSED} of its times or more"
        yield Finding(Level.ERROR, "silent", text, "See its last error, and the runbook under polling-stopped.")
    elif polled.next_due_at and max(polled.next_due_at, quiet_since) + _LATE < now:
        yield Finding(Level.WARNING, "late", f"polling is late: it was due at {_shown(polled.next_due_at)}")
    if polled.backlog and polled.backlog.grows and now - polled.backlog.since > _LONG:
        text = f"mail waits since {_shown(polled.backlog.since)}: more comes than is taken in"
        yield Finding(Level.WARNING, "backlog", text, "Poll it more often, or spread its mail over several mailboxes.")


def _missed(mailbox: Mailbox, since: datetime) -> datetime:
    for _ in range(_MISSED):
        since = mailbox.schedule.after(since, mailbox.id)
    return since


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _quarantine(services: Services, polled: MailboxHealth | None) -> Iterator[Finding]:
    if polled and polled.quarantined_at and (count := len(services.tickets.quarantine(polled.mailbox_id))):
        text = "a message is in quarantine" if count == 1 else f"{count} messages are in quarantine"
        yield Finding(Level.WARNING, "quarantine", text, "Look at each, then retry or drop it.")


def _expiry(polled: MailboxHealth | None, now: datetime) -> Iterator[Finding]:
    if polled and polled.secret_expires_at:
        yield from expiry(polled.secret_expires_at, now)


def expiry(expires_at: datetime, now: datetime) -> Iterator[Finding]:
    """Req S2"""
    advice = "Store a new one in Key Vault."
    reached = next((days for days in _EXPIRY_WARNINGS if expires_at - now <= timedelta(days=days)), None)
    if expires_at <= now:
        yield Finding(Level.ERROR, "secret_expired", f"a secret has expired on {expires_at:%Y-%m-%d}", advice)
    elif reached is not None:
        level = Level.ERROR if reached == _EXPIRY_WARNINGS[0] else Level.WARNING
        text = f"a secret expires within {reached} days, on {expires_at:%Y-%m-%d}"
        yield Finding(level, "secret_expires", text, advice)
