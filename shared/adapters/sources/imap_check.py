"""The stages of an IMAP connection test."""

from collections.abc import Callable
from datetime import datetime

from imapclient import DELETED, SEEN

from shared.adapters.checks import Finding, FolderCheck, move_target
from shared.adapters.sources.imap_folders import Folders, ImapConnection, OpenFolder
from shared.domain.errors import AccessDenied
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import MarkRead, Move


class ImapCheck(FolderCheck):
    """`count` tells how many messages of a folder a first poll would take in."""

    _connection: ImapConnection

    def __init__(self, mailbox: Mailbox, now: datetime, folders: Folders, count: Callable[[OpenFolder], int]) -> None:
        super().__init__(mailbox, now)
        self._connection = folders.connection
        self._folders = folders
        self._count = count

    def sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the account.")

    def mailbox(self) -> Finding:
        return Finding(f"The mailbox has {len(self._folders.list())} folders.")

    def _shown(self, path: str) -> str:
        return f"`{path}` has {self._open(path).message_count} messages"

    def _open(self, path: str) -> OpenFolder:
        return self._folders.open(path, writable=False)

    def _settled(self) -> Finding:
        settlement = self._mailbox.settlement
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

    def _waiting(self, path: str) -> int:
        return self._count(self._open(path))


def _require(folder: OpenFolder, flag: bytes) -> None:
    if folder.settable_flags is not None and flag.lower() not in folder.settable_flags:
        what = "mark messages as read" if flag == SEEN else "delete messages"
        raise AccessDenied(f"The account may not {what}.", advice="Grant the account the right, or settle otherwise.")
