"""One session with an SMTP server."""

from contextlib import AbstractContextManager

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.senders.smtp_wire import SmtpWire
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.services import SourceServices
from shared.domain.senders import Sender, SmtpTransport


class SmtpConnection(MailServer[SmtpWire]):
    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts) -> None:
        server = sender.transport
        assert isinstance(server, SmtpTransport)
        who = credentials(sender.from_address, server.sign_in, None, "smtp", services) if server.sign_in else None
        super().__init__(server, services, who, timeouts)

    def _greeted(self, sock: BoundedSocket) -> SmtpWire:
        wire = self._wire = SmtpWire(sock, self._timeouts)
        with wire.errors():
            wire.begin()
        return wire

    def session(self) -> AbstractContextManager[SmtpWire]:
        """After an error a new one is begun: the server may be anywhere in the old one."""
        return self.command("send")
