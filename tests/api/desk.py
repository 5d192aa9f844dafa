"""A mailbox that the API has configured, and its mail."""

import email
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import default
from zlib import crc32

from local.smtp_server import SmtpServer
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.services import Services
from tests.intake.memory_source import MemoryMailbox


@dataclass
class Desk:
    """A configured mailbox whose mail is in memory."""

    id: str
    services: Services
    provider: MemoryMailbox

    def take_in(self, *messages: bytes) -> None:
        self.provider.deliver(*messages)
        services = replace(self.services, open_source=self.provider.open)
        poll(services, PollRequest(self.id, "demand", "test"))


def mail(subject: str = "Printer jams", **headers: str) -> EmailMessage:
    message = EmailMessage()
    fields = {"From": "Ann Example <ann@example.org>", "To": "support@example.com", "Subject": subject}
    for name, value in {**fields, "Message-ID": f"<{crc32(subject.encode())}@example.org>", **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_content("It jams.\n")
    return message


def messages(smtp: SmtpServer) -> list[EmailMessage]:
    return [email.message_from_bytes(each.content, policy=default) for each in smtp.received]
