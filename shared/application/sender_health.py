"""How each sender is doing (req O7, S2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.application.health import expiry
from shared.application.senders import warnings
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.domain.errors import SecretMissing, StoreUnavailable
from shared.domain.fields import secret_names
from shared.domain.health import Finding, Level, SenderState, worst
from shared.domain.senders import Sender


@dataclass(frozen=True, slots=True)
class SenderReport:
    sender: Sender
    state: SenderState
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        return worst(each.level for each in self.findings)


def sender_reports(services: Services) -> list[SenderReport]:
    senders = [each.value for each in services.senders.all()]
    states = {each.sender_id: each for each in services.sender_states.all()} if senders else {}
    return for_each(senders, lambda sender: _report(services, sender, states.get(sender.id) or SenderState(sender.id)))


def _report(services: Services, sender: Sender, state: SenderState) -> SenderReport:
    found = [Finding(Level.WARNING, "insecure_or_retired", each) for each in warnings(sender)]
    if sender.enabled:
        found += [*_sending(services, state), *_secrets(services, sender)]
    return SenderReport(sender, state, tuple(found))


def _sending(services: Services, state: SenderState) -> Iterator[Finding]:
    if not state.failures:
        return
    if state.open_until is None:
        yield Finding(Level.WARNING, state.error_code, f"the last message failed: {state.error}", "Test it.")
        return
    text = f"{state.failures} messages in a row have failed: {state.error}"
    if state.is_open(services.clock()):
        text = f"nothing is sent through it until {state.open_until:%Y-%m-%d %H:%M} UTC: {state.error}"
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
            yield from expiry(expires_at, services.clock())
