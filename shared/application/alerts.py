"""Alerts: people are told once when a mailbox or a sender breaks, and once when it works again (req O7).

What has changed since the last look is told in one e-mail, however much it is; webhooks get an event for each.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.application.health import MailboxReport, reports
from shared.application.installation import installation
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.tickets import Commit, OutboxChanged
from shared.application.sender_health import SenderReport, sender_reports
from shared.application.services import Services
from shared.domain.health import Finding, Level, MailboxHealth, SenderState
from shared.domain.outbox import EventType, event

CALM = timedelta(hours=1)
"""What breaks again so soon after people were told that it works is told when that hour is over."""

_MOST_LINES = 50


@dataclass(frozen=True, slots=True)
class _Watched:
    """A mailbox or a sender: what is wrong with it, if anything; whether it has been seen to work since people were
    told that it is broken; and what they were told last. `partition` is the mailbox that the event is stored with.
    """

    id: str
    name: str
    kind: str
    partition: str
    error: Finding | None
    has_worked: bool
    is_enabled: bool
    is_alerted: bool
    alerted_at: datetime | None
    mark: Callable[[bool], None]

    def is_news(self, now: datetime) -> bool:
        if self.error:
            return not self.is_alerted and (self.alerted_at is None or now - self.alerted_at >= CALM)
        return self.is_alerted and (self.has_worked or not self.is_enabled)

    @property
    def state(self) -> str:
        if self.error:
            return f"{self.name} is broken"
        return f"{self.name} works again" if self.is_enabled else f"{self.name} is switched off"

    @property
    def line(self) -> str:
        return f"{self.state}: {self.error.text}. {self.error.advice}".strip() if self.error else f"{self.state}."


def raise_alerts(services: Services) -> None:
    """Look at all mailboxes and senders. It may be broken off at any point: the next look tells the rest, and what was
    told already once more at worst.
    """
    if not installation(services).email_to_ticket:
        return
    mailboxes = reports(services)
    _note_empty_quarantines(services, mailboxes)
    now = services.clock()
    watched = [*_mailboxes(services, mailboxes, now), *_senders(services, mailboxes, now)]
    news = [each for each in watched if each.is_news(now)]
    is_heard = services.senders.cached() or services.subscriptions.cached()
    for place, each in enumerate(news):
        if is_heard:
            _owe(services, each, now, _email(services, news) if place == 0 else {})
        each.mark(each.error is not None)


def _mailboxes(services: Services, found: Sequence[MailboxReport], now: datetime) -> Iterator[_Watched]:
    for each in found:
        mailbox, polled = each.mailbox, each.polled or MailboxHealth(each.mailbox.id)
        worked_at = polled.last_success_at
        yield _Watched(
            id=mailbox.id,
            name=mailbox.name,
            kind="mailbox",
            partition=mailbox.id,
            error=_error(each.findings) if mailbox.enabled else None,
            has_worked=bool(worked_at and polled.alerted_at and worked_at > polled.alerted_at),
            is_enabled=mailbox.enabled,
            is_alerted=polled.is_alerted,
            alerted_at=polled.alerted_at,
            mark=_mark_mailbox(services, mailbox.id, now),
        )


def _senders(services: Services, mailboxes: Sequence[MailboxReport], now: datetime) -> Iterator[_Watched]:
    """Their events are stored with the first mailbox; without one nothing is sent anyway."""
    found: Sequence[SenderReport] = sender_reports(services) if mailboxes else ()
    for each in found:
        sender, state = each.sender, each.state
        yield _Watched(
            id=sender.id,
            name=f"Sender {sender.name}",
            kind="sender",
            partition=min(each.mailbox.id for each in mailboxes),
            error=_error(each.findings) if sender.enabled else None,
            has_worked=state.failures == 0,
            is_enabled=sender.enabled,
            is_alerted=state.is_alerted,
            alerted_at=state.alerted_at,
            mark=_mark_sender(services, sender.id, now),
        )


def _mark_mailbox(services: Services, mailbox_id: str, now: datetime) -> Callable[[bool], None]:
    return lambda is_alerted: services.schedule.mark_alerted(mailbox_id, now, is_alerted=is_alerted)


def _mark_sender(services: Services, sender_id: str, now: datetime) -> Callable[[bool], None]:
    def changed(is_alerted: bool) -> Callable[[SenderState], tuple[SenderState, None]]:
        return lambda state: (state.alerted(now, is_alerted=is_alerted), None)

    return lambda is_alerted: services.sender_states.change(sender_id, changed(is_alerted))


def _error(findings: Sequence[Finding]) -> Finding | None:
    return next((each for each in findings if each.level is Level.ERROR), None)


_TYPES = {
    ("mailbox", True): EventType.MAILBOX_FAILING,
    ("mailbox", False): EventType.MAILBOX_RECOVERED,
    ("sender", True): EventType.SENDER_FAILING,
    ("sender", False): EventType.SENDER_RECOVERED,
}


def _owe(services: Services, watched: _Watched, now: datetime, email: dict[str, object]) -> None:
    """The id follows from when people were last told, so that a repeat owes nothing twice."""
    about = f"{watched.id}-{watched.alerted_at:%Y%m%dT%H%M%S}" if watched.alerted_at else watched.id
    error = watched.error
    details = {"code": error.code, "error": error.text, "advice": error.advice} if error else {}
    if watched.kind == "sender":
        details["sender_id"] = watched.id
    owed = event(_TYPES[watched.kind, error is not None], about, now, **details, **email)
    with suppress(OutboxChanged):
        services.tickets.commit(watched.partition, Commit(outbox=[owed]))
    services.deliveries.put(DeliveryRequest(watched.partition))


def _email(services: Services, news: Sequence[_Watched]) -> dict[str, object]:
    settings = installation(services)
    if not settings.alert_addresses:
        return {}
    broken = sum(each.error is not None for each in news)
    subject = news[0].state if len(news) == 1 else f"{broken} broken, {len(news) - broken} working again"
    lines = [each.line for each in news[:_MOST_LINES]]
    if more := len(news) - len(lines):
        lines.append(f"And {more} more: see /api/health.")
    return {"to": [*settings.alert_addresses], "subject": f"{settings.name}: {subject}", "text": "\n\n".join(lines)}


def _note_empty_quarantines(services: Services, found: Sequence[MailboxReport]) -> None:
    """Health then looks into them no more, until something comes in."""
    for each in found:
        is_said = any(finding.code == "quarantine" for finding in each.findings)
        if each.polled and each.polled.quarantined_at and not is_said:
            services.schedule.mark_quarantined(each.mailbox.id, None)
            if services.tickets.quarantine(each.mailbox.id):  # meanwhile
                services.schedule.mark_quarantined(each.mailbox.id, each.polled.quarantined_at)
