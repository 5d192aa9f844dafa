r"""A connection to an IMAP server, and its folders: paths with `/`, `\` or the server's own separator (req F2)."""

from contextlib import suppress
from dataclasses import dataclass, field

from shared.adapters.credentials import credentials
from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.refusals import CommandRefused
from shared.adapters.services import SourceServices
from shared.adapters.sources.folders import folder_missing
from shared.adapters.sources.imap_wire import Client
from shared.application.ports.connections import Folder
from shared.domain.errors import AppError, FolderMissing, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.sources import ImapSource

_ROLES = frozenset(("all", "archive", "drafts", "flagged", "junk", "sent", "trash"))  # RFC 6154
_NO_MESSAGES = frozenset(("noselect", "nonexistent"))


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
        with Client.errors():
            return Client(sock, self._max_literal_bytes)

    def drop(self) -> None:
        super().drop()
        self.folder = None


@dataclass
class Folders:
    """A path is tried as it is written; only where the server refuses that, its list is searched for the true name."""

    connection: ImapConnection
    _names: dict[str, str] = field(default_factory=dict)
    _separator: str = "/"

    def name(self, path: str) -> str:
        """The server's name of the folder as far as it is known."""
        return self._names.get(path, path)

    def open(self, path: str, *, writable: bool, afresh: bool = False) -> OpenFolder:
        """Select the folder; one that is selected already is selected again only to see it `afresh`.

        :raises FolderMissing: and names those that there are.
        :raises AccessDenied: it is to be writable and is not.
        """
        current = self.connection.folder
        if current and current.path == path and (current.is_writable or not writable) and not afresh:
            return current
        try:
            return self._select(path, writable)
        except CommandRefused as refusal:
            self._names[path] = self.find(path, refusal)
            return self._select(path, writable)

    def _select(self, path: str, writable: bool) -> OpenFolder:
        self.connection.folder = None
        with self.connection.command("open the folder") as client:
            answer = client.select_folder(self.name(path), readonly=not writable)
            if b"UIDVALIDITY" not in answer:
                raise SourceMisbehaved("The server does not number its messages (UIDVALIDITY).")
            uidnext = answer.get(b"UIDNEXT") or max(client.search(["UID", "*"]), default=0) + 1
        flags = answer.get(b"PERMANENTFLAGS")
        self.connection.folder = OpenFolder(
            path=path,
            uidvalidity=answer[b"UIDVALIDITY"],
            uidnext=uidnext,
            message_count=answer.get(b"EXISTS", 0),
            settable_flags=None if flags is None else frozenset(flag.lower() for flag in flags),
            is_writable=writable,
        )
        return self.connection.folder

    def list(self) -> list[Folder]:
        return [folder for folder, _ in self._known().values()]

    def _known(self) -> dict[str, tuple[Folder, str]]:
        """Each folder that can hold messages, by its path, with the server's name of it."""
        with self.connection.command("list its folders") as client:
            listed = client.list_folders()
        known = {}
        for flags, separator, name in listed:
            marks = {flag.decode("ascii", "replace").lstrip("\\").lower() for flag in flags}
            self._separator = separator.decode("ascii", "replace") if separator else self._separator
            path = _canonical("/".join(str(name).split(self._separator)))
            role = "inbox" if path == "INBOX" else next(iter(sorted(marks & _ROLES)), None)
            if not marks & _NO_MESSAGES:
                known[path] = Folder(path, role), str(name)
        return known

    def find(self, path: str, cause: AppError | None = None) -> str:
        """The server's name of the folder, from its list. :raises FolderMissing: it is not there."""
        known = self._known()
        slashed = path.replace("\\", "/")
        for spelling in (path, slashed, slashed.replace(self._separator, "/")):
            if _canonical(spelling) in known:
                return known[_canonical(spelling)][1]
        raise folder_missing(path, known) from cause

    def find_or_create(self, path: str, *, create: bool) -> str:
        """:raises FolderMissing: it is not there, and may not or cannot be created."""
        try:
            self._names[path] = self.find(path)
        except FolderMissing:
            if not create:
                raise
            self._names[path] = self._create(path)
        return self._names[path]

    def _create(self, path: str) -> str:
        name = self._separator.join(_canonical(path.replace("\\", "/")).split("/"))
        try:
            with self.connection.command("create the folder") as client:
                client.create_folder(name)
        except CommandRefused as refusal:
            advice = "Create the folder by hand, or choose another one."
            raise FolderMissing(f"The folder `{path}` cannot be created.", advice=advice) from refusal
        with suppress(CommandRefused), self.connection.command("subscribe to the folder") as client:
            client.subscribe_folder(name)
        return name


def _canonical(path: str) -> str:
    """INBOX is the same in any case (RFC 3501 section 5.1), also as the first part of a path."""
    first, slash, rest = path.strip("/").partition("/")
    return ("INBOX" if first.upper() == "INBOX" else first) + slash + rest
