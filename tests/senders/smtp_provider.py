"""An SMTP server in this process, as the contract of senders handles it; and what senders are opened with."""

from datetime import UTC, datetime
from typing import Any

from local.smtp_server import DROP, HOST, SmtpServer
from shared.adapters.net import Timeouts
from shared.adapters.senders import open_sender
from shared.adapters.senders.smtp import SmtpSender
from shared.application.ports.connections import SenderConnection
from shared.domain.senders import Sender
from tests.senders.contract import FROM, Delivered
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import services, settings, unused_port

SECRET, PASSWORD = "smtp-password", "open-sesame"
IMPATIENT = Timeouts(connect=5, idle=1, command=3)
"""For servers that never answer; one that does may be slow on a busy machine."""
PATIENT = Timeouts()


def a_sender(transport: dict[str, Any], **changes: Any) -> Sender:
    defaults = {"id": "out", "name": "Out", "from_address": FROM, "created_at": datetime.now(UTC)}
    return Sender.model_validate(defaults | changes | {"transport": transport})


def smtp_sender(transport: dict[str, Any], **changes: Any) -> Sender:
    sign_in = {"kind": "password", "account": FROM, "password_secret": SECRET}
    return a_sender({"kind": "smtp", "host": HOST, "sign_in": sign_in} | transport, **changes)


class SmtpProvider:
    """Implements `tests.senders.contract.Provider`."""

    stages = ("name", "port", "tls", "sign_in", "permission", "size")
    secret_stage = "sign_in"
    secret = SECRET
    keeps_what_was_sent = False

    def __init__(self, server: SmtpServer, mode: str) -> None:
        self.server = server
        self.mode = mode
        self.secrets = Secrets({SECRET: PASSWORD})
        server.users[FROM] = PASSWORD

    def sender(self, transport: dict[str, Any] | None = None, **changes: Any) -> Sender:
        return smtp_sender({"port": self.server.port, "tls": {"mode": self.mode}} | (transport or {}), **changes)

    def open(self, sender: Sender, *, is_trusted: bool = True, is_up: bool = True) -> SenderConnection:
        here = sender.transport
        if is_trusted:
            trusting = here.tls.model_copy(update={"ca_certificate": self.server.ca_certificate.decode()})
            here = here.model_copy(update={"tls": trusting})
        if not is_up:
            here = here.model_copy(update={"port": unused_port()})
        return open_sender(sender.model_copy(update={"transport": here}), services(self.secrets, settings()))

    def impatient(self, **transport: Any) -> SmtpSender:
        """Without TLS, and with little patience."""
        sender = self.sender({"tls": {"mode": self.mode}} | transport)
        return SmtpSender(sender, services(self.secrets, settings()), IMPATIENT)

    def delivered(self) -> list[Delivered]:
        return [Delivered(each.recipients, each.content) for each in self.server.received]

    def ask_to_wait(self) -> None:
        self.server.fail("DATA", "451 4.3.0 Try again later")

    def break_before(self) -> None:
        self.server.fail("RCPT", DROP)

    def lose_answer(self) -> None:
        self.server.fail("TAKEN", DROP)

    def refuse_sender(self) -> None:
        self.server.fail("MAIL", "550 5.7.60 Client does not have permissions to send as this sender")

    def refuse_message(self) -> None:
        self.server.fail("DATA", "554 5.6.0 Not with these words")

    def limit_size(self, size: int) -> None:
        self.server.size_limit = size
