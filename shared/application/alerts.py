"""Alerts: people are told once when a mailbox or a sender breaks, and once when it works again (req O7).

What has changed since the last look is told in one e-mail, however much it is; webhooks get an event for each. What
nobody can be told stays news until there is a way.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from shared.application.health import MailboxReport, SenderReport, mailbox_reports, sender_reports
from shared.application.installation import installation
from shared.application.ports.platform import DeliveryRequest
from shared.application.ports.tickets import Commit, OutboxChanged
from shared.application.services import Services
from shared.domain.health import Finding, Level
from shared.domain.mailbox import Mailbox
from shared.domain.outbox import EventType, event
from shared.domain.senders import Sender

CALM = timedelta(hours=1)
"""What breaks again so soon after people were told that it works is told when that hour is over."""

_MOST_LINES, _MOST_NAMES = 50, 5
_TYPES = {
    (Mailbox, True): EventType.MAILBOX_FAILING,
    (Mailbox, False): EventType.MAILBOX_RECOVERED,
    (Sender, True): EventType.SENDER_FAILING,
    (Sender, False): EventType.SENDER_RECOVERED,
}

_Watched = MailboxReport | SenderReport


def raise_alerts(services: Services) -> None:
    """Look at all mailboxes and senders. It may be broken off at any point: the next look tells the rest, and what was
    told already once more at worst.
    """
    if not installation(services).email_to_ticket:
        return
    mailboxes, senders = mailbox_reports(services), sender_reports(services)
    _note_empty_quarantines(services, mailboxes)
    now, is_by_email = services.clock(), _can_email(services, senders)
    homes = _homes(mailboxes, senders)
    news = [(each, home) for each, home in homes if _is_news(each, now)]
    told = [(each, home) for each, home in news if is_by_email or _is_heard(services, each, home)]
    email = _email(services, [each for each, _ in told]) if is_by_email and told else {}
    for each, home in told:
        _owe(services, each, home, now, email)
        _mark(services, each, now)
        email = {}


def untold(
    services: Services, mailboxes: Sequence[MailboxReport], senders: Sequence[SenderReport]
) -> Iterator[Finding]:
    """What is broken without a way to tell anybody but who looks here."""
    if not installation(services).email_to_ticket or _can_email(services, senders):
        return
    broken = [(each, home) for each, home in _homes(mailboxes, senders) if _error(each) and not each.state.is_alerted]
    if names := [_name(each) for each, home in broken if not _is_heard(services, each, home)]:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        text = f"nobody could be told of what is broken: {', '.join(names[:_MOST_NAMES])}{more}"
        advice = "Give `alert_addresses` in /api/installation and a sender that works, or subscribe to the events."
        yield Finding(Level.WARNING, "untold_alerts", text, advice)


def _homes(mailboxes: Sequence[MailboxReport], senders: Sequence[SenderReport]) -> list[tuple[_Watched, str]]:
    """Each with the mailbox that its events are stored with: of senders the first; without one nothing is sent."""
    first = min((each.of.id for each in mailboxes), default="")
    return [*((each, each.of.id) for each in mailboxes), *((each, first) for each in senders if first)]


def _can_email(services: Services, senders: Sequence[SenderReport]) -> bool:
    works = any(each.of.enabled and each.level is not Level.ERROR for each in senders)
    return works and bool(installation(services).alert_addresses)


def _is_heard(services: Services, watched: _Watched, home: str) -> bool:
    return any(each.wants(_type(watched), home) for each in services.subscriptions.cached())


def _is_news(watched: _Watched, now: datetime) -> bool:
    state = watched.state
    if _error(watched):
        return not state.is_alerted and (state.alerted_at is None or now - state.alerted_at >= CALM)
    return state.is_alerted and (state.has_worked or not watched.of.enabled)


def _error(watched: _Watched) -> Finding | None:
    """Of what is not enabled nobody is told."""
    return next((each for each in watched.findings if watched.of.enabled and each.level is Level.ERROR), None)


def _type(watched: _Watched) -> EventType:
    return _TYPES[type(watched.of), _error(watched) is not None]


def _name(watched: _Watched) -> str:
    return f"Sender {watched.of.name}" if isinstance(watched.of, Sender) else watched.of.name


def _state(watched: _Watched) -> str:
    if _error(watched):
        return f"{_name(watched)} is broken"
    return f"{_name(watched)} works again" if watched.of.enabled else f"{_name(watched)} is switched off"


def _mark(services: Services, watched: _Watched, now: datetime) -> None:
    id_, is_alerted = watched.of.id, _error(watched) is not None
    if isinstance(watched.of, Sender):
        services.sender_states.change(id_, lambda state: (state.alerted(now, is_alerted=is_alerted), None))
    else:
        services.schedule.mark_alerted(id_, now, is_alerted=is_alerted)


def _owe(services: Services, watched: _Watched, home: str, now: datetime, email: Mapping[str, object]) -> None:
    """The id follows from when people were last told, so that a repeat owes nothing twice."""
    id_, error, alerted_at = watched.of.id, _error(watched), watched.state.alerted_at
    about = f"{id_}-{alerted_at:%Y%m%dT%H%M%S}" if alerted_at else id_
    details = {"code": error.code, "error": error.text, "advice": error.advice} if error else {}
    if isinstance(watched.of, Sender):
        details["sender_id"] = id_
    with suppress(OutboxChanged):
        owed = event(_type(watched), about, now, **details, **email)
        services.tickets.commit(home, Commit(outbox=[owed]))
    services.deliveries.put(DeliveryRequest(home))


def _email(services: Services, news: Sequence[_Watched]) -> dict[str, object]:
    settings = installation(services)
    broken = sum(_error(each) is not None for each in news)
    subject = _state(news[0]) if len(news) == 1 else f"{broken} broken, {len(news) - broken} working again"
    lines = [_line(each) for each in news[:_MOST_LINES]]
    if more := len(news) - len(lines):
        lines.append(f"And {more} more: see /api/health.")
    return {"to": [*settings.alert_addresses], "subject": f"{settings.name}: {subject}", "text": "\n\n".join(lines)}


def _line(watched: _Watched) -> str:
    error = _error(watched)
    if error is None:
        return f"{_state(watched)}."
    return f"{_state(watched)}: {error.text.removesuffix('.')}. {error.advice}".strip()


def _note_empty_quarantines(services: Services, found: Sequence[MailboxReport]) -> None:
    """Health then looks into them no more, until something comes in."""
    for each in found:
        is_said = any(finding.code == "quarantine" for finding in each.findings)
        if each.state.quarantined_at and not is_said:
            services.schedule.mark_quarantined(each.of.id, None)
            if services.tickets.quarantine(each.of.id):  # meanwhile
                services.schedule.mark_quarantined(each.of.id, each.state.quarantined_at)
