"""How the deployment, each mailbox and each sender are doing (req O7, S2, T2): the worst level of their findings."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from shared.application.installation import installation
from shared.application.own_ids import KEY_SECRET
from shared.application.poll import FAILING_AFTER
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.errors import SecretMissing, StoreUnavailable
from shared.domain.fields import secret_names
from shared.domain.health import Finding, Level, MailboxHealth, SenderState, worst
from shared.domain.mailbox import Mailbox
from shared.domain.providers import risks
from shared.domain.senders import Sender
from shared.domain.watch import Watches

_LATE = timedelta(minutes=10)
_MISSED = 3
"""Mail does not get through where no poll has succeeded at so many of its times."""
_LONG = timedelta(minutes=30)
"""A backlog is told of from then on."""
_EXPIRY_WARNINGS = (1, 7, 30, 60)
"""Days ahead; the warning names the step that was reached, so that it changes only when it becomes more urgent."""
_NEVER = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T", Mailbox, Sender)
S = TypeVar("S", MailboxHealth, SenderState)


@dataclass(frozen=True, slots=True)
class Report(Generic[T, S]):
    """A mailbox or a sender, what is noted about it, and what that means."""

    of: T
    state: S
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        return worst(each.level for each in self.findings)


MailboxReport = Report[Mailbox, MailboxHealth]
SenderReport = Report[Sender, SenderState]


def mailbox_reports(services: Services) -> list[MailboxReport]:
    polled = {each.mailbox_id: each for each in services.schedule.all()}
    mailboxes = [each.value for each in services.mailboxes.all()]
    watched = _watched(services) if any(each.has_push for each in mailboxes) else {}
    return for_each(
        mailboxes, lambda mailbox: _mailbox(services, mailbox, polled.get(mailbox.id), watched.get(mailbox.id))
    )


def mailbox_report(services: Services, mailbox: Mailbox) -> MailboxReport:
    watches = _watched(services).get(mailbox.id) if mailbox.has_push else None
    return _mailbox(services, mailbox, services.schedule.get(mailbox.id), watches)


def sender_reports(services: Services) -> list[SenderReport]:
    senders = [each.value for each in services.senders.all()]
    states = {each.sender_id: each for each in services.sender_states.all()} if senders else {}
    return for_each(senders, lambda sender: _sender(services, sender, states.get(sender.id) or SenderState(sender.id)))


def deployment_findings(services: Services) -> Iterator[Finding]:
    if services.settings.allow_loopback_targets:
        text = "ALLOW_LOOPBACK_TARGETS is on: mailboxes may connect to this machine"
        yield Finding(Level.WARNING, "loopback_allowed", text)
    if not installation(services).email_to_ticket:
        text = "email to ticket is switched off: mail waits in its mailboxes"
        yield Finding(Level.WARNING, "switched_off", text, "Make `email_to_ticket` true in /api/installation.")
    yield from _key(services)
    yield from _choice_of_senders(services)


def _key(services: Services) -> Iterator[Finding]:
    is_needed = services.senders.cached() or any(each.has_push for each in services.mailboxes.cached())
    with suppress(StoreUnavailable):
        if is_needed and not services.own_ids.has_key():
            text = (
                "nothing signs the ids of messages: answers are found less surely, nothing can be announced, and Graph "
                "is not asked to tell of new mail"
            )
            vault = (urlsplit(services.settings.key_vault_uri).hostname or "").partition(".")[0]
            command = f"az keyvault secret set --vault-name {vault} --name {KEY_SECRET} --output none"
            advice = f'Create it: {command} --value "$(openssl rand -base64 32)"'
            yield Finding(Level.WARNING, "no_message_id_key", text, advice)


def _choice_of_senders(services: Services) -> Iterator[Finding]:
    """Req M4"""
    senders = services.senders.cached()
    enabled = {each.id for each in senders if each.enabled}
    if senders and not enabled:
        text = "no sender is enabled: e-mails wait for one, and are given up after three days"
        yield Finding(Level.ERROR, "no_sender", text, "Enable a sender or create one.")
    for rule in services.outgoing_rules.cached():
        if rule.enabled and rule.sender_id not in enabled:
            text = f"the sender of the outgoing rule {rule.name} is gone or not enabled: the rules after it choose"
            yield Finding(Level.WARNING, "rule_without_sender", text, "Enable the sender, or change the rule.")


def _watched(services: Services) -> dict[str, Watches]:
    return {each.mailbox_id: each for each in services.watches.all()}


def _mailbox(
    services: Services, mailbox: Mailbox, noted: MailboxHealth | None, watches: Watches | None
) -> MailboxReport:
    polled, now = noted or MailboxHealth(mailbox.id), services.clock()
    found = [*risks(mailbox.source), *_stand_in(services, mailbox), *_quarantine(services, polled)]
    if mailbox.enabled and polled.secret_expires_at:
        found += _expiry(polled.secret_expires_at, now)
    if mailbox.enabled and installation(services).email_to_ticket:
        found += _polling(mailbox, polled, now)
        found += _push(services, mailbox, watches)
    return Report(mailbox, polled, tuple(found))


def _stand_in(services: Services, mailbox: Mailbox) -> Iterator[Finding]:
    """Req M3"""
    own = mailbox.notices.sender_id
    if own and not any(each.enabled for each in services.senders.cached() if each.id == own):
        text = "the sender of its own is gone or not enabled: the primary sender stands in"
        yield Finding(Level.WARNING, "no_own_sender", text, "Enable it, or choose another in `notices.sender_id`.")


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


def _push(services: Services, mailbox: Mailbox, watches: Watches | None) -> Iterator[Finding]:
    """Req C14"""
    text = "Graph cannot be made to tell of new mail, which waits for the next poll"
    if mailbox.has_push and not services.settings.public_url:
        advice = "Set PUBLIC_URL, by which Graph reaches this app."
        yield Finding(Level.WARNING, "push_failing", f"{text}: the app does not know its own address", advice)
    elif watches and watches.failures:
        advice = watches.advice or "It is tried again by itself; see the guide to Microsoft 365 under Push."
        yield Finding(Level.WARNING, "push_failing", f"{text}: {watches.error}", advice)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _quarantine(services: Services, polled: MailboxHealth) -> Iterator[Finding]:
    if polled.quarantined_at and (count := len(services.tickets.quarantine(polled.mailbox_id))):
        text = "a message is in quarantine" if count == 1 else f"{count} messages are in quarantine"
        yield Finding(Level.WARNING, "quarantine", text, "Look at each, then retry or drop it.")


def _sender(services: Services, sender: Sender, state: SenderState) -> SenderReport:
    found = [*risks(sender.transport)]
    if sender.enabled:
        found += [*_sending(services, state), *_secrets(services, sender)]
    return Report(sender, state, tuple(found))


def _sending(services: Services, state: SenderState) -> Iterator[Finding]:
    if not state.failures:
        return
    if state.open_until is None:
        yield Finding(Level.WARNING, state.error_code, f"the last message failed: {state.error}", "Test it.")
        return
    text = f"{state.failures} messages in a row have failed: {state.error}"
    if state.is_open(services.clock()):
        text = f"nothing is sent through it until {_shown(state.open_until)}: {state.error}"
    yield Finding(Level.ERROR, state.error_code, text, "Test it; until it works the primary sender stands in.")


def _secrets(services: Services, sender: Sender) -> Iterator[Finding]:
    for name in secret_names(sender):
        try:
            services.secrets.get(name)
        except SecretMissing as error:
            yield Finding(Level.ERROR, error.code, str(error), error.advice)
        except StoreUnavailable as error:
            yield Finding(Level.WARNING, error.code, str(error), error.advice)
        if expires_at := services.secrets.expires_at(name):
            yield from _expiry(expires_at, services.clock())


def _expiry(expires_at: datetime, now: datetime) -> Iterator[Finding]:
    """Req S2"""
    advice = "Store a new one in Key Vault."
    reached = next((days for days in _EXPIRY_WARNINGS if expires_at - now <= timedelta(days=days)), None)
    if expires_at <= now:
        yield Finding(Level.ERROR, "secret_expired", f"a secret has expired on {expires_at:%Y-%m-%d}", advice)
    elif reached is not None:
        level = Level.ERROR if reached == _EXPIRY_WARNINGS[0] else Level.WARNING
        text = f"a secret expires within {reached} days, on {expires_at:%Y-%m-%d}"
        yield Finding(level, "secret_expires", text, advice)
