"""One connection to an IMAP server, and the folder that is open in it."""

from dataclasses import dataclass

from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sources.credentials import credentials
from shared.adapters.sources.imap_wire import Client, protocol_errors
from shared.adapters.sources.services import SourceServices
from shared.domain.mailbox import Mailbox
from shared.domain.sources import ImapSource


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """The selected folder. `path` is as the configuration has it; None as `settable_flags` means any."""

    path: str
    uidvalidity: int
    uidnext: int
    message_count: int
    settable_flags: frozenset[bytes] | None
    is_writable: bool


class ImapConnection(MailServer[Client]):
    def __init__(self, mailbox: Mailbox, services: SourceServices, max_literal_bytes: int, timeouts: Timeouts) -> None:
        assert isinstance(mailbox.source, ImapSource)
        who = credentials(mailbox.address, mailbox.source.sign_in, mailbox.source.mailbox, "imap", services)
        super().__init__(mailbox.source, services, who, timeouts)
        self._max_literal_bytes = max_literal_bytes
        self.folder: OpenFolder | None = None

    def _greeted(self, sock: BoundedSocket) -> Client:
        with protocol_errors():
            return Client(sock, self._max_literal_bytes)

    def drop(self) -> None:
        super().drop()
        self.folder = None
