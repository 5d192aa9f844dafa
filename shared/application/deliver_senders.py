"""The senders that an e-mail may go through, and how they are doing (req M2-M4)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from shared.application.ports.connections import SenderConnection
from shared.application.services import Services
from shared.domain.errors import AppError
from shared.domain.health import SenderState
from shared.domain.mailbox import Mailbox
from shared.domain.outbox import OutboxEntry
from shared.domain.outgoing_rules import chosen_by_rules
from shared.domain.senders import Sender, primary
from shared.domain.templates import TemplateKind
from shared.domain.ticket import Ticket

_AT_ONCE = 25
"""Messages that are reserved together of what a sender may send in a minute."""


class Admission(Enum):
    GRANTED = auto()
    LIMITED = auto()
    OPEN = auto()


@dataclass
class Senders:
    """Their connections stay open for one run."""

    services: Services
    mailbox: Mailbox
    _connections: dict[str, SenderConnection] = field(default_factory=dict)
    _granted: dict[str, int] = field(default_factory=dict)
    _refused: dict[str, Admission] = field(default_factory=dict)
    _failing: set[str] = field(default_factory=set)

    def close(self) -> None:
        for connection in self._connections.values():
            with suppress(AppError):
                connection.close()

    def fitting(self, entry: OutboxEntry, ticket: Ticket | None) -> Iterator[Sender]:
        """The one that is chosen, then the primary: by a technician where they may, by a rule, or by the mailbox. An
        alert may go through any, for one of these may be what it is about.
        """
        known = {each.id: each for each in self.services.senders.cached() if each.enabled}
        told, settings = entry.payload, self.mailbox.notices
        by_technician = told.get("sender") if settings.technicians_choose_sender or "announcement" in told else None
        recipients = [address for address, _ in (*told["to"], *told["cc"])]
        rules = [each for each in self.services.outgoing_rules.cached() if each.sender_id in known]
        by_rule = chosen_by_rules(rules, self.mailbox.id, told["notice"], recipients, ticket)
        chosen = next((known[each] for each in (by_technician, by_rule, settings.sender_id) if each in known), None)
        stands_in = primary(known.values())
        others = known.values() if told["notice"] == TemplateKind.ALERT else ()
        yield from {each.id: each for each in (chosen, stands_in, *others) if each}.values()

    def get(self, sender_id: str) -> Sender | None:
        return next((each for each in self.services.senders.cached() if each.id == sender_id), None)

    def admit(self, sender: Sender, wanted: int) -> Admission:
        """Whether one more message may go through it now."""
        if sender.id in self._refused:
            return self._refused[sender.id]
        if not self._granted.get(sender.id):
            now, limit = self.services.clock(), sender.limits.messages_per_minute

            def reserve(state: SenderState) -> tuple[SenderState, int | None]:
                if state.failures:
                    self._failing.add(sender.id)
                return (state, None) if state.is_open(now) else state.reserved(min(wanted, _AT_ONCE), limit, now)

            granted = self.services.sender_states.change(sender.id, reserve)
            if not granted:
                self._refused[sender.id] = Admission.OPEN if granted is None else Admission.LIMITED
                return self._refused[sender.id]
            self._granted[sender.id] = granted
        self._granted[sender.id] -= 1
        return Admission.GRANTED

    def connection(self, sender: Sender) -> SenderConnection:
        if sender.id not in self._connections:
            self._connections[sender.id] = self.services.open_sender(sender)
        return self._connections[sender.id]

    def failed(self, sender: Sender, error: AppError) -> bool:
        """True where it is not to be used for a while."""
        self._failing.add(sender.id)
        now = self.services.clock()

        def fail(state: SenderState) -> tuple[SenderState, bool]:
            after = state.failed(error, now)
            return after, after.is_open(now)

        is_open = self.services.sender_states.change(sender.id, fail)
        if is_open:
            self._refused[sender.id] = Admission.OPEN
        return is_open

    def works(self, sender: Sender) -> None:
        """Hand back to it what another stood in for."""
        if sender.id in self._failing:
            self._failing.discard(sender.id)
            self.services.sender_states.change(sender.id, lambda state: (state.works(), None))
