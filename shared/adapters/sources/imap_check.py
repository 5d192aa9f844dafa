"""The stages of an IMAP connection test; nothing in the mailbox changes."""

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime

from imapclient import DELETED, SEEN

from shared.adapters.sources.checks import Finding, certificate_finding, move_target, name_finding, port_finding
from shared.adapters.sources.imap_connection import ImapConnection, OpenFolder
from shared.adapters.sources.imap_folders import Folders
from shared.domain.errors import AccessDenied
from shared.domain.mailbox import Mailbox
from shared.domain.retirements import retirement
from shared.domain.settlement import Keep, MarkRead, Move
from shared.domain.sources import ImapSource


class ImapCheck:
    """One method for each stage, in their order; `waiting` counts what a first poll would take in."""

    def __init__(
        self,
        connection: ImapConnection,
        folders: Folders,
        mailbox: Mailbox,
        now: datetime,
        waiting: Callable[[OpenFolder], int],
    ) -> None:
        assert isinstance(mailbox.source, ImapSource)
        self._connection = connection
        self._folders = folders
        self._mailbox = mailbox
        self._paths = mailbox.source.folders
        self._now = now
        self._count_waiting = waiting

    def stages(self) -> Iterator[tuple[str, Callable[[], Finding]]]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        yield "sign_in", self._sign_in
        yield "mailbox", self._list_folders
        yield "folder", self._folder
        yield "settlement", self._settlement
        yield "waiting", self._waiting

    def _name(self) -> Finding:
        self._endpoint = self._connection.resolve()
        return name_finding(self._endpoint, retirement(self._mailbox.source))

    def _port(self) -> Finding:
        self._connection.dial(self._endpoint)
        return port_finding(self._endpoint)

    def _tls(self) -> Finding:
        sock = self._connection.secure()
        if not isinstance(sock, ssl.SSLSocket):
            advice = "Choose the TLS mode `tls` or `starttls`: the password can be read on its way."
            return Finding("The connection is not encrypted.", advice, warning=True)
        return certificate_finding(sock, self._now)

    def _sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the account.")

    def _list_folders(self) -> Finding:
        return Finding(f"The mailbox has {len(self._folders.list())} folders.")

    def _folder(self) -> Finding:
        counts = [f"`{path}` has {self._open(path).message_count} messages" for path in self._paths]
        return Finding("; ".join(counts) + ".")

    def _open(self, path: str) -> OpenFolder:
        return self._folders.open(path, writable=False)

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        folder = self._folders.open(self._paths[0], writable=True)
        with self._connection.command("tell its capabilities") as client:
            can_move, can_expunge = client.has_capability("MOVE"), client.has_capability("UIDPLUS")
        if isinstance(settlement, MarkRead):
            _require(folder, SEEN)
            return Finding("Messages can be marked as read.")
        detail = "Messages can be deleted."
        if isinstance(settlement, Move):
            detail = move_target(self._folders.find, self._paths, settlement)
            if can_move:
                return Finding(detail)
        _require(folder, DELETED)
        if can_expunge:
            return Finding(detail)
        advice = "The server lacks UIDPLUS: messages stay marked as deleted while others' deleted messages are there."
        return Finding(detail, advice, warning=True)

    def _waiting(self) -> Finding:
        count = sum(self._count_waiting(self._open(path)) for path in self._paths)
        return Finding(f"A first poll would take in {count} messages.")


def _require(folder: OpenFolder, flag: bytes) -> None:
    if folder.settable_flags is not None and flag.lower() not in folder.settable_flags:
        what = "mark messages as read" if flag == SEEN else "delete messages"
        raise AccessDenied(f"The account may not {what}.", advice="Grant the account the right, or settle otherwise.")
