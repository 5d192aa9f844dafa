"""One session with a POP3 server, which sees the mailbox as it was when it began, and numbers its messages anew."""

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.errors import CommandRefused
from shared.adapters.sources.pop3_wire import Pop3Wire, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.sources import Pop3Source


class Pop3Connection(MailServer[Pop3Wire]):
    starttls = "STLS"

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, Pop3Source)
        who = credentials(mailbox.address, mailbox.source.sign_in, None, "pop", services)
        super().__init__(mailbox.source, services, who, timeouts)
        self._numbers: dict[str, int] | None = None

    def _greeted(self, sock: BoundedSocket) -> Pop3Wire:
        with protocol_errors():
            return Pop3Wire(sock)

    def numbers(self) -> dict[str, int]:
        """The number in this session of each message by its unique id, in the server's order."""
        if self._numbers is None:
            try:
                with self.command("list messages") as wire:
                    self._numbers = {uidl: number for number, uidl in wire.table("UIDL")}
            except CommandRefused as exc:
                advice = "Read the mailbox by IMAP, or have UIDL turned on at the server."
                raise SourceMisconfigured("The server has no unique ids for messages (UIDL).", advice=advice) from exc
        return self._numbers

    def quit(self) -> None:
        """End the session: only now are messages deleted. :raises CommandRefused: they may still be there."""
        try:
            with self.command("delete messages") as wire:
                wire.leave()
        finally:
            self.drop()

    def drop(self) -> None:
        super().drop()
        self._numbers = None
