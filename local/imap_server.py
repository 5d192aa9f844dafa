"""pymap, an IMAP server in Python, in a thread of this process: one user, whose mail is a maildir."""

import asyncio
import secrets
import ssl
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend import maildir
from pymap.backend.maildir.layout import MaildirLayout
from pymap.backend.maildir.mailbox import MailboxSet, Maildir
from pymap.concurrent import Subsystem
from pymap.exceptions import InvalidAuth
from pymap.imap import IMAPServer
from pymap.interfaces.login import IdentityInterface
from pysasl.creds.server import ServerCredentials
from pysasl.identity import ClearIdentity

HOST = "localhost"
_LAYOUT = "++"


@dataclass(frozen=True, slots=True)
class ImapServer:
    """`ca_certificate` is the authority to trust, new at every start (PEM)."""

    port: int
    ca_certificate: bytes
    _maildir: Path

    def deliver(self, raw: bytes) -> None:
        """Put a message into the inbox, as delivery agents do: whole before it is seen, under a name of its own."""
        name = f"{time.time_ns()}.{secrets.token_hex(8)}.{HOST}"
        draft = self._maildir / "tmp" / name
        draft.write_bytes(raw)
        draft.rename(self._maildir / "new" / name)


@contextmanager
def run_imap_server(folder: Path, user: str, password: str, port: int = 0) -> Iterator[ImapServer]:
    """Run the server with TLS for the duration of the block, keeping mail in `folder`; port 0 is any free one.

    :raises OSError: the port is taken.
    """
    _prepare(folder)
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(tls)
    listening: Future[int] = Future()
    stop: Future[None] = Future()
    with ThreadPoolExecutor(1, "imap") as pool:
        serving = _serve(_login(folder, ClearIdentity(user, password)), tls, port, listening, stop)
        served = pool.submit(asyncio.run, serving)
        either: list[Future[Any]] = [listening, served]
        wait(either, return_when=FIRST_COMPLETED)
        try:
            if served.done():
                served.result()
            yield ImapServer(listening.result(), authority.cert_pem.bytes(), folder)
        finally:
            stop.set_result(None)
            tempfile.tempdir = None
        served.result()


def _prepare(folder: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for lock in folder.rglob("*.lock"):
        lock.unlink()  # of a server that was killed
    tempfile.tempdir = str(folder / "tmp")  # pymap renames its temporary files to where they belong


async def _serve(
    login: "_Login", tls: ssl.SSLContext, port: int, listening: "Future[int]", stop: "Future[None]"
) -> None:
    login.config.apply_context()
    answer = ProxyProtocolReader(login.config.proxy_protocol).get_callback(IMAPServer(login, login.config))
    connections: list[asyncio.StreamWriter] = []  # pymap does not close them all

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    listening.set_result(server.sockets[0].getsockname()[1])
    await asyncio.wrap_future(stop)
    server.close()
    for connection in connections:
        connection.transport.abort()
    answering = asyncio.all_tasks() - {asyncio.current_task()}
    for task in answering:
        task.cancel()
    await asyncio.gather(*answering, return_exceptions=True)


def _login(folder: Path, user: ClearIdentity) -> "_Login":
    config = maildir.Config(
        Namespace(passlib_cfg=None, proxy_protocol=None),
        base_dir=str(folder),
        layout=_LAYOUT,
        colon=None,
        host=None,
        port=0,
        tls_enabled=False,  # it is on from the first byte, so there is nothing left to start
        subsystem=Subsystem.for_asyncio(),
    )
    return _Login(config, user)


class _Login(maildir.Login):
    """Lets one user in."""

    def __init__(self, config: maildir.Config, user: ClearIdentity) -> None:
        super().__init__(config)
        self._user = user

    async def authenticate(self, credentials: ServerCredentials) -> maildir.Identity:
        if not credentials.verify(self._user):
            raise InvalidAuth
        return _Identity(self.config, self.tokens, self._user.authcid, None, frozenset())

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> maildir.Identity:
        assert isinstance(authenticated, _Identity), f"{authzid} came through authenticate()"
        return authenticated


class _Identity(maildir.Identity):
    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[maildir.Session]:
        folder = self.config.base_dir
        layout = MaildirLayout.get(folder, _LAYOUT, _ExactMaildir)
        mailboxes = MailboxSet(_ExactMaildir(folder), layout)
        yield maildir.Session(self.name, self.config, mailboxes, maildir.FilterSet(folder))


class _ExactMaildir(Maildir):
    """Messages byte for byte as they were delivered, and in that order."""

    def get_message(self, key: str) -> Any:
        """The bytes: all that pymap does with a message is to make bytes of it, after a parser has touched them."""
        return self.get_bytes(key)

    def keys(self) -> list[str]:
        return sorted(super().keys())
