import imaplib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from local import azurite, dovecot
from local.world import World, run_world
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Settlement
from shared.settings import read_settings
from tests import privacy
from tests.servers import require


@dataclass(frozen=True, slots=True)
class Found:
    """A message as its mailbox shows it, known by its subject."""

    subject: str
    is_read: bool


@dataclass
class Provider:
    """One kind of mailbox on its server: made full of mail, and looked into from behind."""

    world: World
    make: Callable[..., Mailbox]
    look: Callable[[World, Mailbox, str], list[Found]]
    inbox: str

    @property
    def kind(self) -> str:
        return self.make.__name__.removesuffix("_mailbox")

    def mailbox(self, contents: Iterable[bytes], settlement: Settlement) -> Mailbox:
        return self.make(self.world, contents, settlement=settlement)

    def folder(self, mailbox: Mailbox, name: str) -> list[Found]:
        return sorted(self.look(self.world, mailbox, name), key=lambda found: found.subject)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    require(azurite.COMMAND.exists(), "Azurite (npm ci --prefix local)")
    require(dovecot.COMMAND is not None, "Dovecot (dovecot-imapd)")
    with run_world() as world:
        yield world
        assert [*privacy.secrets_in_storage(world.azurite)] == []


@pytest.fixture(scope="session")
def services(world: World) -> Services:
    """To look at what was stored, with the app's own eyes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.environment.items():
            patch.setenv(name, value)
        return compose(read_settings(world.environment))


def _look_by_imap(world: World, mailbox: Mailbox, folder: str) -> list[Found]:
    connection = imaplib.IMAP4("127.0.0.1", world.dovecot.imap_port)
    connection.login(mailbox.id, dovecot.PASSWORD)
    status, (count, *_) = connection.select(f'"{folder}"', readonly=True)
    is_empty = status != "OK" or count == b"0"
    _, parts = ("OK", []) if is_empty else connection.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    connection.logout()
    return [
        Found(part[1].decode().partition(":")[2].strip(), is_read=b"\\Seen" in part[0])
        for part in parts
        if isinstance(part, tuple)
    ]


def _look_into_graph(world: World, mailbox: Mailbox, folder: str) -> list[Found]:
    account = world.simulators.graph.mailboxes.get(mailbox.address)
    found = world.simulators.graph.find(account, folder)
    if found is None:
        return []
    return [Found(_subject(account.raw(message)), message.is_read) for message in account.within(found)]


def _look_into_gmail(world: World, mailbox: Mailbox, folder: str) -> list[Found]:
    account = world.simulators.gmail.mailboxes.get(mailbox.address)
    label = next((label for label, name in account.labels.items() if name == folder), folder)
    found = [message for message in account.newest_first() if label in message.labels]
    return [Found(_subject(account.raw(message)), "UNREAD" not in message.labels) for message in found]


def _subject(raw: bytes) -> str:
    match = re.search(rb"^Subject: (.*?)\r?$", raw, re.MULTILINE)
    return match[1].decode() if match else ""


PROVIDERS = {
    "imap": (World.imap_mailbox, _look_by_imap, "INBOX"),
    "pop3": (World.pop3_mailbox, _look_by_imap, "INBOX"),
    "graph": (World.graph_mailbox, _look_into_graph, "inbox"),
    "ews": (World.ews_mailbox, _look_into_graph, "inbox"),
    "gmail": (World.gmail_mailbox, _look_into_gmail, "INBOX"),
}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest, world: World) -> Provider:
    return Provider(world, *PROVIDERS[request.param])


def conversation() -> Sequence[bytes]:
    """Mail that takes every path: new, a reply, large, a copy, one without an id."""
    noise = random.Random(7).randbytes(60_000).hex()  # noqa: S311 - text that does not compress much
    lines = "\r\n".join(noise[start : start + 70] for start in range(0, len(noise), 70))
    first = _mail("first", "<1@x>")
    return [
        first,
        _mail("reply", "<3@x>", "In-Reply-To: <1@x>\r\n"),
        _mail("large", "<4@x>", body=lines),
        first,
        _mail("no id", None),
    ]


def _mail(subject: str, id_: str | None, more: str = "", body: str = "Hello.") -> bytes:
    id_line = f"Message-ID: {id_}\r\n" if id_ else ""
    head = f"From: ann@example.org\r\nTo: support@example.com\r\nSubject: {subject}\r\n{id_line}{more}"
    return f"{head}Date: Sat, 21 Nov 2026 09:00:00 +0000\r\n\r\n{body}\r\n".encode()
