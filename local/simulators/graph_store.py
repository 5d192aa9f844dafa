"""The mailboxes behind the simulated Graph: folders, messages, and a log of what moved where."""

import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.simulators.entra import HOME_TENANT
from local.simulators.state import State

ROOT = "msgfolderroot"
WELL_KNOWN = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "archive": "Archive",
    "junkemail": "Junk Email",
    "outbox": "Outbox",
    "conversationhistory": "Conversation History",
}
_HIDDEN = ("conversationhistory",)


@dataclass
class Folder:
    id: str
    name: str
    parent: str | None
    well_known: str | None = None


@dataclass
class Message:
    """`entered` and `changed` are steps of the mailbox's history: when it came into its folder, when it last changed.

    `left` tells when it left a folder. `folder` is None once it is beyond the reach of Graph. `id` changes with
    every move, `immutable_id` does not.
    """

    immutable_id: str
    id: str
    folder: str | None
    received_at: datetime
    size: int
    is_read: bool = False
    categories: list[str] = field(default_factory=list)
    flag: str = "notFlagged"
    entered: int = 0
    changed: int = 0
    left: dict[str, int] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        return f'W/"{self.changed}"'


class Mailbox:
    """One mailbox. `names` gives well-known folders the names of another language; `send_as` are the addresses, besides
    its own, that messages from it may bear.
    """

    def __init__(
        self,
        state: State,
        address: str,
        tenant: str = HOME_TENANT,
        names: dict[str, str] | None = None,
        send_as: Collection[str] = (),
    ) -> None:
        self.address = address.lower()
        self.lock = threading.RLock()
        self.running = 0
        self._state = state
        self._home = f"graph/{self.address}"
        stored = state.load(f"{self._home}/mailbox.json", None) or _new_mailbox(tenant, names or {})
        self.tenant: str = stored["tenant"]
        self.enabled: bool = stored["enabled"]
        self.sync_generation: int = stored["sync_generation"]
        self.send_as: list[str] = stored.get("send_as", list(send_as))
        self.folders = {folder["id"]: Folder(**folder) for folder in stored["folders"]}
        self.messages: dict[str, Message] = {}
        self._by_id: dict[str, Message] = {}
        for name in state.names(f"{self._home}/*.message.json"):
            self._remember(_message(state.load(name, {})))
        self.step = max((message.changed for message in self.messages.values()), default=0)
        self.save()

    def save(self) -> None:
        folders = [asdict(folder) for folder in self.folders.values()]
        facts = {"tenant": self.tenant, "enabled": self.enabled, "sync_generation": self.sync_generation}
        self._state.save(f"{self._home}/mailbox.json", facts | {"send_as": self.send_as, "folders": folders})

    def folder(self, name: str) -> Folder | None:
        """By id or well-known name."""
        known = (folder for folder in self.folders.values() if folder.well_known == name.lower())
        return self.folders.get(name) or next(known, None)

    def children(self, parent: str, *, hidden: bool = False) -> list[Folder]:
        found = [folder for folder in self.folders.values() if folder.parent == parent]
        return [folder for folder in found if hidden or folder.well_known not in _HIDDEN]

    def add_folder(self, parent: Folder, name: str) -> Folder | None:
        """None where the parent has a folder of that name."""
        if any(folder.name.casefold() == name.casefold() for folder in self.children(parent.id, hidden=True)):
            return None
        folder = Folder(_new_id("AAMkF"), name, parent.id)
        self.folders[folder.id] = folder
        self.save()
        return folder

    def remove_folder(self, folder: Folder) -> None:
        """With all that is in it."""
        for message in self.within(folder):
            self.take_away(message)
        del self.folders[folder.id]
        self.save()

    def within(self, folder: Folder) -> list[Message]:
        return [message for message in self.messages.values() if message.folder == folder.id]

    def message(self, message_id: str) -> Message | None:
        """By either of its ids; None where there is none within reach."""
        message = self._by_id.get(message_id)
        return message if message is not None and message.folder is not None else None

    def raw(self, message: Message) -> bytes:
        return self._state.get_bytes(self._file(message, "eml"))

    def deliver(self, raw: bytes, folder: Folder, received_at: datetime, *, is_read: bool = False) -> Message:
        with self.lock:
            message = Message(_new_id("AAkALg"), _new_id("AAMkAG"), folder.id, received_at, len(raw), is_read)
            self._state.put_bytes(self._file(message, "eml"), raw)
            self.step += 1
            message.entered = self.step
            self._remember(message)
            self.touch(message)
            return message

    def move(self, message: Message, folder: Folder) -> None:
        self.step += 1
        if message.folder is not None:
            message.left[message.folder] = self.step
        del self._by_id[message.id]
        message.id, message.folder, message.entered = _new_id("AAMkAG"), folder.id, self.step
        self._remember(message)
        self.touch(message)

    def take_away(self, message: Message) -> None:
        """Beyond the reach of Graph: purged, or among the recoverable items."""
        if message.folder is not None:
            message.left[message.folder] = self.step + 1
        message.folder = None
        self.touch(message)
        self._state.drop_bytes(self._file(message, "eml"))

    def touch(self, message: Message) -> None:
        """Record a change of the message."""
        self.step += 1
        message.changed = self.step
        self._state.save(
            self._file(message, "message.json"), asdict(message) | {"received_at": _iso(message.received_at)}
        )

    def _remember(self, message: Message) -> None:
        self.messages[message.immutable_id] = message
        self._by_id[message.immutable_id] = self._by_id[message.id] = message

    def _file(self, message: Message, kind: str) -> str:
        return f"{self._home}/{message.immutable_id}.{kind}"


class Mailboxes:
    def __init__(self, state: State) -> None:
        self._state = state
        names = (path.split("/")[1] for path in state.names("graph/*/mailbox.json"))
        self._all = {name: Mailbox(state, name) for name in names}

    def add(self, address: str, **options: Any) -> Mailbox:
        """Make a mailbox, or return the one there is."""
        if address.lower() not in self._all:
            self._all[address.lower()] = Mailbox(self._state, address, **options)
        return self._all[address.lower()]

    def get(self, address: str) -> Mailbox | None:
        return self._all.get(address.lower())

    def __iter__(self) -> Iterator[Mailbox]:
        return iter(list(self._all.values()))


def _new_mailbox(tenant: str, names: dict[str, str]) -> dict[str, Any]:
    root = Folder(_new_id("AAMkF"), "Top of Information Store", None, ROOT)
    known = [Folder(_new_id("AAMkF"), names.get(key, name), root.id, key) for key, name in WELL_KNOWN.items()]
    folders = [asdict(folder) for folder in (root, *known)]
    return {"tenant": tenant, "enabled": True, "sync_generation": 1, "folders": folders}


def _message(stored: dict[str, Any]) -> Message:
    return Message(**stored | {"received_at": datetime.fromisoformat(stored["received_at"])})


def _new_id(prefix: str) -> str:
    """An id as Exchange writes them: URL-safe base64 that ends in `=`, so it must be percent-encoded."""
    return f"{prefix}{urlsafe_b64encode(secrets.token_bytes(40)).decode()}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
