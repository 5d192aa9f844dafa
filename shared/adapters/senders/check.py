"""What the connection tests of all senders have in common; nothing is sent unless a confirmation is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.sources.checks import Check, Finding
from shared.adapters.sources.rest_check import TokenCheck
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AccessDenied
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.providers import retirement
from shared.domain.senders import Sender


@dataclass(frozen=True, slots=True)
class Tested:
    """A sender under test, and the message that it sends if all goes well."""

    sender: Sender
    send: Callable[[OutgoingMail], SendResult]
    now: datetime
    confirmation: OutgoingMail | None


class SenderCheck(Check):
    def __init__(self, tested: Tested) -> None:
        super().__init__(tested.now, retirement(tested.sender.transport))
        self._tested = tested
        if tested.confirmation:
            self.stages = (*self.stages, "confirmation")

    def confirmation(self) -> Finding:
        assert self._tested.confirmation is not None
        result = self._tested.send(self._tested.confirmation)
        if result.refused:
            advice = "Check the address that the message was to go to."
            raise AccessDenied(f"The server does not take the recipient ({result.refused[0].status}).", advice=advice)
        return Finding("The server took a message to the address given: look whether it arrives, and where.")


class RestSenderCheck(TokenCheck, SenderCheck):
    """`permit` shows whether sending is allowed, without sending; `is_there` looks for what was sent."""

    stages = ("name", "port", "tls", "token", "permission", "sent")

    def __init__(
        self,
        tested: Tested,
        client: RestClient,
        services: SourceServices,
        *,
        permit: Callable[[], None],
        is_there: Callable[[str], bool],
    ) -> None:
        super().__init__(tested)
        self._ask(client, services)
        self._permit, self._is_there = permit, is_there

    def permission(self) -> Finding:
        self._permit()
        return Finding(f"{self._rest.service} lets the account send.")

    def sent(self) -> Finding:
        """Without it a sender works."""
        try:
            self._is_there("<test@mailroom.invalid>")
        except AccessDenied as denied:
            text = "What was sent cannot be looked for: a message whose answer is lost stays in doubt."
            return Finding(text, denied.advice, warning=True)
        return Finding("What was sent can be looked for.")
