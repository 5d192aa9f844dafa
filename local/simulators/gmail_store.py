"""The mailboxes behind the simulated Gmail API: labels, messages, and a history of what happened to them."""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from email.message import Message as Mime
from email.parser import BytesHeaderParser
from typing import Any

from local.simulators.state import State

SYSTEM_LABELS = ("INBOX", "UNREAD", "SENT", "DRAFT", "TRASH", "SPAM", "STARRED", "IMPORTANT", "CHAT")
_STEP = 13  # history ids ascend with gaps


@dataclass
class Event:
    """`kind` as in the answers of `history.list` (`labelsAdded`); `labels` are those that changed, `all_labels` those
    that the message then had.
    """

    id: int
    kind: str
    labels: list[str]
    all_labels: list[str]


@dataclass
class Message:
    """`arrived_at` in milliseconds since the epoch. A message that is `gone` is there for the history only."""

    id: str
    thread_id: str
    message_id: str
    arrived_at: int
    size: int
    labels: list[str]
    gone: bool = False
    events: list[Event] = field(default_factory=list)

    @property
    def history_id(self) -> int:
        return self.events[-1].id

    @property
    def rank(self) -> int:
        """Ascends from the newest to the oldest: by arrival, then by the order in which they came in."""
        return 10**24 - self.arrived_at * 10**10 - self.events[0].id


class Mailbox:
    """One account's mail. `units_per_minute` is its quota; history before the id `history_from` is forgotten; `aliases`
    are other addresses that it may send as, each with whether it was confirmed.
    """

    def __init__(
        self, state: State, address: str, units_per_minute: int = 6000, aliases: Mapping[str, bool] | None = None
    ) -> None:
        self.address = address.lower()
        self.lock = threading.RLock()
        self.spent: deque[tuple[float, int]] = deque()
        self._state = state
        self._home = f"gmail/{self.address}"
        stored = state.load(f"{self._home}/mailbox.json", {})
        self.units_per_minute: int = stored.get("units_per_minute", units_per_minute)
        self.history_from: int = stored.get("history_from", 1000)
        self.labels: dict[str, str] = stored.get("labels", {})
        self.aliases: dict[str, bool] = stored.get("aliases", dict(aliases or {}))
        self._messages: dict[str, Message] = {}
        self._threads: dict[str, str] = {}
        for name in state.names(f"{self._home}/*.message.json"):
            known = state.load(name, {})
            known["events"] = [Event(**event) for event in known["events"]]
            self._remember(Message(**known))
        everything = ((message, event) for message in self._messages.values() for event in message.events)
        self.log = sorted(everything, key=lambda entry: entry[1].id)
        self.history_id = max(self.history_from, self.log[-1][1].id if self.log else 0)
        self._save()

    def add_label(self, name: str) -> str | None:
        """The id of a new label of the user; None where there is one of that name."""
        if name.casefold() in map(str.casefold, [*self.labels.values(), *SYSTEM_LABELS]):
            return None
        label_id = f"Label_{len(self.labels) + 1}"
        self.labels[label_id] = name
        self._save()
        return label_id

    def message(self, message_id: str) -> Message | None:
        message = self._messages.get(message_id)
        return message if message and not message.gone else None

    def newest_first(self) -> list[Message]:
        found = [message for message in self._messages.values() if not message.gone]
        return sorted(found, key=lambda message: message.rank)

    def raw(self, message: Message) -> bytes:
        return self._state.get_bytes(self._file(message, "eml"))

    def headers(self, message: Message) -> Mime:
        return _headers(self.raw(message))

    def add(self, raw: bytes, labels: Collection[str], arrived_at: datetime, thread_id: str | None = None) -> Message:
        with self.lock:
            headers, new_id = _headers(raw), secrets.token_hex(8)
            thread = thread_id or self._thread(headers) or new_id
            own, arrival = str(headers.get("Message-ID", "")).strip(), int(arrived_at.timestamp() * 1000)
            message = Message(new_id, thread, own, arrival, len(raw), [])
            self._state.put_bytes(self._file(message, "eml"), raw)
            self._remember(message)
            self._record(message, "messagesAdded", labels)
            return message

    def modify(self, message: Message, add: Collection[str], remove: Collection[str]) -> None:
        with self.lock:
            added = [label for label in add if label not in message.labels]
            removed = [label for label in remove if label in message.labels]
            if added:
                self._record(message, "labelsAdded", added)
            if removed:
                self._record(message, "labelsRemoved", removed)

    def delete(self, message: Message) -> None:
        with self.lock:
            message.gone = True
            self._record(message, "messagesDeleted", [])
            self._state.drop_bytes(self._file(message, "eml"))

    def expire_history(self) -> None:
        """No history id handed out so far is of use any more."""
        self.history_id += _STEP
        self.history_from = self.history_id
        self._save()

    def _thread(self, headers: Mime) -> str | None:
        """The thread of the nearest message it answers (RFC 5322 section 3.6.4)."""
        answered = f"{headers.get('References', '')} {headers.get('In-Reply-To', '')}".split()
        return next((self._threads[one] for one in reversed(answered) if one in self._threads), None)

    def _remember(self, message: Message) -> None:
        self._messages[message.id] = message
        if message.message_id:
            self._threads[message.message_id] = message.thread_id

    def _record(self, message: Message, kind: str, labels: Collection[str]) -> None:
        kept = [label for label in message.labels if label not in labels]
        message.labels = kept if kind == "labelsRemoved" else [*kept, *labels]
        self.history_id += _STEP
        event = Event(self.history_id, kind, list(labels), list(message.labels))
        message.events.append(event)
        self.log.append((message, event))
        self._state.save(self._file(message, "message.json"), asdict(message))

    def _save(self) -> None:
        facts = {"units_per_minute": self.units_per_minute, "history_from": self.history_from, "labels": self.labels}
        self._state.save(f"{self._home}/mailbox.json", facts | {"aliases": self.aliases})

    def _file(self, message: Message, kind: str) -> str:
        return f"{self._home}/{message.id}.{kind}"


class Mailboxes:
    def __init__(self, state: State, add_account: Callable[[str], None]) -> None:
        self._state = state
        self._add_account = add_account
        names = (path.split("/")[1] for path in state.names("gmail/*/mailbox.json"))
        self._all = {name: Mailbox(state, name) for name in names}

    def add(self, address: str, **options: Any) -> Mailbox:
        """Make a mailbox and its Google account, or return the one there is."""
        self._add_account(address)
        if address.lower() not in self._all:
            self._all[address.lower()] = Mailbox(self._state, address, **options)
        return self._all[address.lower()]

    def get(self, address: str) -> Mailbox | None:
        return self._all.get(address.lower())

    def __iter__(self) -> Iterator[Mailbox]:
        return iter(list(self._all.values()))


def _headers(raw: bytes) -> Mime:
    return BytesHeaderParser().parsebytes(raw)
