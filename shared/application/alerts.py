"""Alerts: people are told once when a mailbox or a sender breaks, and once when it works again (req O7).

What has changed since the last look is told in one e-mail, however much it is; webhooks get an event for each. What
nobody can be told stays news until there is a way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from shared.application.health import MailboxReport, SenderReport, mailbox_reports, sender_reports
from shared.application.installation import installation
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.tickets import Commit, OutboxChanged
from shared.application.services import Services
from shared.domain.health import Finding, Level, SenderState
from shared.domain.outbox import EventType, event

CALM = timedelta(hours=1)
"""What breaks again so soon after people were told that it works is told when that hour is over."""

_MOST_LINES, _MOST_NAMES = 50, 5


@dataclass(frozen=True, slots=True)
class _Watched:
    """A mailbox or a sender: what is wrong with it, if anything; whether it has been seen to work since people were
    told that it is broken; and what they were told last. `partition` is the mailbox that the event is stored with.
    """

    id: str
    name: str
    types: tuple[EventType, EventType]
    partition: str
    error: Finding | None
    has_worked: bool
    is_enabled: bool
    is_alerted: bool
    alerted_at: datetime | None
    mark: Callable[[bool], object]

    @property
    def type(self) -> EventType:
        return self.types[0 if self.error else 1]

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
    mailboxes = mailbox_reports(services)
    _note_empty_quarantines(services, mailboxes)
    senders, now = sender_reports(services), services.clock()
    is_by_email = _can_email(services, senders)
    news = [each for each in _watched(services, mailboxes, senders) if each.is_news(now)]
    told = [each for each in news if is_by_email or _is_heard(services, each)]
    for place, each in enumerate(told):
        _owe(services, each, now, _email(services, told) if is_by_email and place == 0 else {})
        each.mark(each.error is not None)


def untold(
    services: Services, mailboxes: Sequence[MailboxReport], senders: Sequence[SenderReport]
) -> Iterator[Finding]:
    """What is broken without a way to tell anybody but who looks here."""
    if not installation(services).email_to_ticket or _can_email(services, senders):
        return
    broken = [each for each in _watched(services, mailboxes, senders) if each.error and not each.is_alerted]
    if names := [each.name for each in broken if not _is_heard(services, each)]:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        text = f"nobody could be told of what is broken: {', '.join(names[:_MOST_NAMES])}{more}"
        advice = "Give `alert_addresses` in /api/installation and a sender that works, or subscribe to the events."
        yield Finding(Level.WARNING, "untold_alerts", text, advice)


def _can_email(services: Services, senders: Sequence[SenderReport]) -> bool:
    works = any(each.of.enabled and each.level is not Level.ERROR for each in senders)
    return works and bool(installation(services).alert_addresses)


def _is_heard(services: Services, watched: _Watched) -> bool:
    return any(each.wants(watched.type, watched.partition) for each in services.subscriptions.cached())


def _watched(
    services: Services, mailboxes: Sequence[MailboxReport], senders: Sequence[SenderReport]
) -> Iterator[_Watched]:
    """Events about senders are stored with the first mailbox; without one nothing is sent anyway."""
    now = services.clock()
    for mailbox in mailboxes:
        polled, id_ = mailbox.state, mailbox.of.id
        worked_at, alerted_at = polled.last_success_at, polled.alerted_at
        yield _Watched(
            id=id_,
            name=mailbox.of.name,
            types=(EventType.MAILBOX_FAILING, EventType.MAILBOX_RECOVERED),
            partition=id_,
            error=_error(mailbox),
            has_worked=bool(worked_at and alerted_at and worked_at > alerted_at),
            is_enabled=mailbox.of.enabled,
            is_alerted=polled.is_alerted,
            alerted_at=alerted_at,
            mark=partial(_mark_mailbox, services, id_, now),
        )
    for sender in senders if mailboxes else ():
        state = sender.state
        yield _Watched(
            id=sender.of.id,
            name=f"Sender {sender.of.name}",
            types=(EventType.SENDER_FAILING, EventType.SENDER_RECOVERED),
            partition=min(each.of.id for each in mailboxes),
            error=_error(sender),
            has_worked=state.failures == 0,
            is_enabled=sender.of.enabled,
            is_alerted=state.is_alerted,
            alerted_at=state.alerted_at,
            mark=partial(_mark_sender, services, sender.of.id, now),
        )


def _mark_mailbox(services: Services, mailbox_id: str, now: datetime, is_alerted: bool) -> None:
    services.schedule.mark_alerted(mailbox_id, now, is_alerted=is_alerted)


def _mark_sender(services: Services, sender_id: str, now: datetime, is_alerted: bool) -> None:
    def marked(state: SenderState) -> tuple[SenderState, None]:
        return state.alerted(now, is_alerted=is_alerted), None

    services.sender_states.change(sender_id, marked)


def _error(report: MailboxReport | SenderReport) -> Finding | None:
    """Of what is not enabled nobody is told."""
    return next((each for each in report.findings if report.of.enabled and each.level is Level.ERROR), None)


def _owe(services: Services, watched: _Watched, now: datetime, email: Mapping[str, object]) -> None:
    """The id follows from when people were last told, so that a repeat owes nothing twice."""
    about = f"{watched.id}-{watched.alerted_at:%Y%m%dT%H%M%S}" if watched.alerted_at else watched.id
    error = watched.error
    details = {"code": error.code, "error": error.text, "advice": error.advice} if error else {}
    if watched.types[0] is EventType.SENDER_FAILING:
        details["sender_id"] = watched.id
    owed = event(watched.type, about, now, **details, **email)
    with suppress(OutboxChanged):
        services.tickets.commit(watched.partition, Commit(outbox=[owed]))
    services.deliveries.put(DeliveryRequest(watched.partition))


def _email(services: Services, news: Sequence[_Watched]) -> dict[str, object]:
    settings = installation(services)
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
        if each.state.quarantined_at and not is_said:
            services.schedule.mark_quarantined(each.of.id, None)
            if services.tickets.quarantine(each.of.id):  # meanwhile
                services.schedule.mark_quarantined(each.of.id, each.state.quarantined_at)
