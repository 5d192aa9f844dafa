"""aiosmtpd, an SMTP server in Python, in a thread of this process: it keeps what it takes, and fails when told to."""

import asyncio
import hmac
import secrets
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import spnego
import trustme
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session
from spnego.exceptions import SpnegoError

HOST = "localhost"
DROP, HANG = "drop", "hang"
"""As an answer: the connection ends, or nothing more is said."""

Mode = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class Received:
    """A message with its envelope; `options` are those of MAIL FROM, `user` is who had signed in."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    options: tuple[str, ...]
    user: str
    is_encrypted: bool


@dataclass
class SmtpServer:
    """Anybody may send while there are neither `users` (with their passwords) nor `tokens` (with their users).

    `refused` are answers for recipients, `hidden` words that EHLO leaves out. `ca_certificate` is the authority to
    trust, new at every start (PEM).
    """

    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    received: list[Received] = field(default_factory=list)
    deliver: Callable[[Received], None] | None = None
    size_limit: int = 1_000_000
    sessions: int = 0
    port: int = 0
    ca_certificate: bytes = b""
    _faults: dict[str, deque[str]] = field(default_factory=dict)

    def fail(self, moment: str, *answers: str) -> None:
        """Give these answers, one each time, instead of doing what a command asks for. A moment is a command,
        `CONNECT`, or `TAKEN`: when the message is taken, and only its answer is missing.
        """
        self._faults.setdefault(moment, deque()).extend(answers)

    def fault(self, moment: str) -> str | None:
        waiting = self._faults.get(moment)
        return waiting.popleft() if waiting else None

    def take(self, received: Received) -> None:
        self.received.append(received)
        if self.deliver:
            self.deliver(received)


@contextmanager
def run_smtp_server(mode: Mode = "starttls", server: SmtpServer | None = None) -> Iterator[SmtpServer]:
    """Run it for the duration of the block, on any free port unless it has one. :raises OSError: that is taken."""
    server = server or SmtpServer()
    authority = trustme.CA()
    server.ca_certificate = authority.cert_pem.bytes()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(tls)
    listening: Future[int] = Future()
    stop: Future[None] = Future()
    with ThreadPoolExecutor(1, "smtp") as pool:
        served = pool.submit(asyncio.run, _serve(server, mode, tls, listening, stop))
        either: list[Future[Any]] = [listening, served]
        wait(either, return_when=FIRST_COMPLETED)
        try:
            if served.done():
                served.result()
            server.port = listening.result()
            yield server
        finally:
            stop.set_result(None)
        served.result()


async def _serve(
    server: SmtpServer, mode: Mode, tls: ssl.SSLContext, listening: "Future[int]", stop: "Future[None]"
) -> None:
    connections: set[_Smtp] = set()

    def connected() -> _Smtp:
        connection = _Smtp(server, tls if mode == "starttls" else None, asyncio.get_running_loop())
        connections.add(connection)
        return connection

    listener = await asyncio.get_running_loop().create_server(
        connected, "127.0.0.1", server.port, ssl=tls if mode == "tls" else None
    )
    listening.set_result(listener.sockets[0].getsockname()[1])
    await asyncio.wrap_future(stop)
    listener.close()
    for connection in connections:
        if connection.transport and not connection.transport.is_closing():
            connection.transport.abort()
    await asyncio.sleep(0)


class _Smtp(SMTP):
    """One connection."""

    transport: Any
    line_length_limit = 10_000  # access tokens come in one line

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext | None, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        super().__init__(
            _Handler(server),
            data_size_limit=server.size_limit,
            enable_SMTPUTF8=True,
            hostname=HOST,
            tls_context=tls,
            auth_require_tls=False,
            authenticator=_password_is_right(server),
            loop=loop,
        )

    async def _handle_client(self) -> None:
        self._server.sessions += 1
        if answer := await _fault(self, self._server, "CONNECT"):
            await self.push(answer)
            self.transport.close()
            return
        await super()._handle_client()


async def _fault(connection: Any, server: SmtpServer, moment: str) -> str | None:
    answer = server.fault(moment)
    if answer == DROP:
        connection.transport.abort()
    if answer in (DROP, HANG):
        await asyncio.Event().wait()  # the end of the connection cancels this
    return answer


def _password_is_right(server: SmtpServer) -> Callable[..., AuthResult]:
    def authenticated(_: SMTP, __: Session, ___: Envelope, ____: str, given: LoginPassword) -> AuthResult:
        known = server.users.get(given.login.decode())
        is_right = known is not None and secrets.compare_digest(known.encode(), given.password)
        return AuthResult(success=is_right, handled=False, auth_data=given)

    return authenticated


def _result(user: str | None) -> AuthResult:
    auth_data = LoginPassword((user or "").encode(), b"")
    return AuthResult(success=user is not None, handled=False, auth_data=auth_data)


class _Handler:
    """The hooks of aiosmtpd: MISSING goes on as usual."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, connection: Any, session: Session, _: Envelope, name: str, lines: list[str]
    ) -> list[str]:
        session.host_name = name
        if answer := await _fault(connection, self._server, "EHLO"):
            return [answer]
        return [line for line in lines if line[4:].split()[0] not in self._server.hidden]

    async def handle_AUTH(self, connection: Any, *_: Any) -> Any:  # noqa: N802 - the library's name
        return await _fault(connection, self._server, "AUTH") or MISSING

    async def handle_MAIL(self, connection: Any, session: Session, *_: Any) -> Any:  # noqa: N802 - the library's name
        if answer := await _fault(connection, self._server, "MAIL"):
            return answer
        if (self._server.users or self._server.tokens) and not session.authenticated:
            return "530 5.7.0 Authentication required"
        return MISSING

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, connection: Any, _: Session, __: Envelope, address: str, ___: list[str]
    ) -> Any:
        return await _fault(connection, self._server, "RCPT") or self._server.refused.get(address) or MISSING

    async def handle_DATA(self, connection: Any, session: Session, envelope: Any) -> str:  # noqa: N802 - the library's name
        if answer := await _fault(connection, self._server, "DATA"):
            return answer
        received = Received(
            envelope.mail_from,
            tuple(envelope.rcpt_tos),
            envelope.content,
            tuple(envelope.mail_options),
            getattr(session.auth_data, "login", b"").decode(),
            bool(session.ssl or connection.transport.get_extra_info("sslcontext")),
        )
        self._server.take(received)
        return await _fault(connection, self._server, "TAKEN") or "250 2.0.0 OK"

    async def auth_CRAM__MD5(self, connection: Any, _args: list[str]) -> AuthResult:  # noqa: N802 - the library's name
        challenge = f"<{secrets.token_hex(8)}@{HOST}>".encode()
        user, _, proof = (await connection.challenge_auth(challenge)).decode().rpartition(" ")
        password = self._server.users.get(user, secrets.token_hex(8))
        is_right = secrets.compare_digest(hmac.new(password.encode(), challenge, "md5").hexdigest(), proof)
        return _result(user if is_right else None)

    async def auth_NTLM(self, connection: Any, _: list[str]) -> AuthResult:  # noqa: N802 - the library's name
        """Says in words that it goes on, as Exchange does. The users are those of the file NTLM_USER_FILE."""
        acceptor = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        offer = await connection.challenge_auth("NTLM supported", encode_to_b64=False)
        try:
            acceptor.step(await connection.challenge_auth(acceptor.step(offer)))
        except SpnegoError:
            return _result(None)
        return _result(acceptor.client_principal)

    async def auth_XOAUTH2(self, connection: Any, _: list[str]) -> AuthResult:  # noqa: N802 - the library's name
        """Tells why in a challenge, as Google does."""
        user, bearer, *_ = (await connection.challenge_auth("")).decode().split("\x01")
        if self._server.tokens.get(bearer.removeprefix("auth=Bearer ")) == user.removeprefix("user="):
            return _result(user.removeprefix("user="))
        await connection.challenge_auth('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}')
        return _result(None)
