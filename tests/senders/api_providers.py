"""The simulated Graph, Exchange and Gmail, as the contract of senders handles them. The account that signs in has an
address of its own, and may send as the sender's.
"""

from datetime import UTC, datetime
from typing import Any

from local.simulators import HOME_TENANT, Simulators, gmail_error, graph_error, soap_fault
from local.simulators.ews_soap import Refusal, answer, failure
from shared.adapters.senders import open_sender
from shared.application.ports.connections import SenderConnection
from shared.domain.senders import Sender
from tests.senders.contract import FROM, Delivered
from tests.senders.smtp_provider import a_sender
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import unused_port
from tests.sources.ews_mailbox import PASSWORD, EwsMailbox
from tests.sources.gmail_mailbox import GmailMailbox
from tests.sources.graph_mailbox import APP, SECRET, GraphMailbox

ACCOUNT = "mailroom@desk.example"


def utc_now() -> datetime:
    return datetime.now(UTC)


class ApiProvider:
    """Implements `tests.senders.contract.Provider` as far as the three are alike."""

    simulators: Simulators
    send_kind: str
    """The kind of the request that sends."""

    sign_in_kind: str
    """The kind of the request that comes before it."""

    busy: dict[str, Any]
    refused: dict[str, Any]
    transport: dict[str, Any]

    stages = ("name", "port", "tls", "token", "permission", "sent")
    secret_stage = "token"
    keeps_what_was_sent = True

    def sender(self, transport: dict[str, Any] | None = None, **changes: Any) -> Sender:
        return a_sender(self.transport | (transport or {}), **changes)

    def open(self, sender: Sender, *, is_trusted: bool = True, is_up: bool = True) -> SenderConnection:
        return open_sender(sender, self.services(is_trusted=is_trusted, is_up=is_up))

    def delivered(self) -> list[Delivered]:
        return [Delivered(each.recipients, each.raw) for each in self.simulators.post.sent]

    def ask_to_wait(self) -> None:
        self.simulators.faults.add(self.send_kind, **self.busy)

    def break_before(self) -> None:
        self.simulators.faults.add(self.sign_in_kind, drop="before")

    def lose_answer(self) -> None:
        self.simulators.faults.add(self.send_kind, drop="after")

    def refuse_message(self) -> None:
        self.simulators.faults.add(self.send_kind, **self.refused)


class GraphProvider(ApiProvider, GraphMailbox):
    secret = SECRET
    send_kind, sign_in_kind = "graph.send", "entra.token"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators, utc_now)
        credential = {"kind": "secret", "secret": SECRET}
        sign_in = {"kind": "microsoft_app", "tenant": HOME_TENANT, "client_id": APP, "credential": credential}
        self.transport = {"kind": "graph", "mailbox": ACCOUNT, "sign_in": sign_in}
        self.busy = {"status": 429, "headers": {"Retry-After": "7"}, "body": graph_error("ApplicationThrottled")}
        self.refused = {"status": 400, "body": graph_error("ErrorInvalidRecipients")}
        self.grant("Mail.Read", "Mail.Send")
        self.account = simulators.graph.mailboxes.add(ACCOUNT, send_as=[FROM])

    def grant(self, *roles: str) -> None:
        self.simulators.entra.add_app(APP, "the-app-secret", roles=list(roles))

    def refuse_sender(self) -> None:
        self.account.send_as.clear()

    def limit_size(self, size: int) -> None:
        self.simulators.graph.max_request_bytes = size


class GmailProvider(ApiProvider, GmailMailbox):
    secret = "gmail-key"
    send_kind, sign_in_kind = "gmail.send", "google.token"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators, utc_now)
        sign_in = {"kind": "google_service", "key_secret": self.secret}
        self.transport = {"kind": "gmail", "mailbox": ACCOUNT, "sign_in": sign_in}
        self.busy = gmail_error(429, "rateLimitExceeded") | {"headers": {"Retry-After": "7"}}
        self.refused = gmail_error(400, "invalidArgument")
        self.account = simulators.gmail.mailboxes.add(ACCOUNT, units_per_minute=100_000, aliases={FROM: True})

    def refuse_sender(self) -> None:
        self.account.aliases.clear()

    def limit_size(self, size: int) -> None:
        self.simulators.gmail.max_upload_bytes = size


class EwsProvider(ApiProvider, EwsMailbox):
    """With a service account that has full access to the mailbox, whose address is the sender's."""

    stages = ("name", "port", "tls", "sign_in", "permission")
    secret_stage = "sign_in"
    secret = "ews-password"
    send_kind, sign_in_kind = "ews.CreateItem", "ews.handshake"

    def __init__(self, simulators: Simulators) -> None:
        super().__init__(simulators)
        self.secrets = Secrets({self.secret: PASSWORD})
        self.busy = soap_fault("ErrorServerBusy", back_off=7)
        self.account = simulators.ews.access.add(ACCOUNT, PASSWORD, full_access=[FROM], sends_as=[FROM])
        refusal = failure("CreateItem", Refusal("ErrorInvalidRecipients"))
        said = answer("CreateItem", [refusal], "Exchange2016")
        self.refused = {"status": 200, "headers": said.headers, "body": said.body}
        self.transport = {
            "kind": "ews",
            "server": f"{simulators.url}/EWS/Exchange.asmx",
            "sign_in": {"kind": "password", "account": ACCOUNT, "password_secret": self.secret},
        }

    def open(self, sender: Sender, *, is_trusted: bool = True, is_up: bool = True) -> SenderConnection:
        if not is_up:
            nowhere = {"server": f"https://localhost:{unused_port()}/EWS/Exchange.asmx"}
            sender = sender.model_copy(update={"transport": sender.transport.model_copy(update=nowhere)})
        return super().open(sender, is_trusted=is_trusted)

    def refuse_sender(self) -> None:
        self.account.sends_as.clear()

    def limit_size(self, size: int) -> None:
        self.simulators.ews.max_send_bytes = size
