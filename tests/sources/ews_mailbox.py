"""A mailbox on the test's simulated Exchange, as the contract of sources handles it."""

from datetime import UTC, datetime
from typing import Any

from local.simulators import Simulators
from shared.adapters.sources import open_source
from shared.application.ports.connections import Source
from shared.domain import sources
from shared.domain.mailbox import Mailbox
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import imap_mailbox, unused_port
from tests.sources.graph_mailbox import GraphMailbox

ADDRESS = "help@desk.example"
SECRET = "ews-password"
PASSWORD = "open-sesame"


class EwsMailbox(GraphMailbox):
    """Implements `tests.sources.contract.Provider`. The mailbox is the same that Graph shows."""

    stages = ("name", "port", "tls", "sign_in", "mailbox", "folder", "settlement", "waiting")
    secret_stage = "sign_in"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators, lambda: datetime.now(UTC))
        self.secrets = Secrets({SECRET: PASSWORD})
        self.account = simulators.ews.access.add(ADDRESS, PASSWORD)

    def mailbox(self, source: dict[str, Any] | None = None, **changes: Any) -> Mailbox:
        password = {"kind": "password", "account": ADDRESS, "password_secret": SECRET, "method": "plain"}
        here = {"server": f"{self.simulators.url}/EWS/Exchange.asmx", "sign_in": password} | (source or {})
        settings = sources.EwsSource.model_validate(here)
        return imap_mailbox({}, **{"address": ADDRESS} | changes).model_copy(update={"source": settings})

    def open(self, mailbox: Mailbox, *, is_trusted: bool = True, is_up: bool = True) -> Source:
        if not is_up:
            nowhere = mailbox.source.model_copy(
                update={"server": f"https://localhost:{unused_port()}/EWS/Exchange.asmx"}
            )
            mailbox = mailbox.model_copy(update={"source": nowhere})
        return open_source(mailbox, self.services(is_trusted=is_trusted))
