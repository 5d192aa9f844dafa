"""A session with an SMTP server: smtplib over a socket that is given, and one seam for what goes wrong."""

import re
import smtplib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from shared.adapters.credentials import credentials
from shared.adapters.mail_server import MailServer
from shared.adapters.net import BoundedSocket, Timeouts, network_errors
from shared.adapters.refusals import meanings
from shared.adapters.sasl import Mechanism
from shared.adapters.services import SourceServices
from shared.domain.errors import AppError, OutcomeUnknown, SourceMisbehaved, SourceUnavailable, Throttled
from shared.domain.senders import Sender, SmtpTransport

Step = Literal["connect", "start TLS", "sign in", "name the sender", "name a recipient", "hand over the message"]

_ADVICE_ON_PROTOCOL = "Check that host and port are those of an SMTP server."
_LONGEST_LINE = 8192
_MOST_LINES = 100
_MOST_CHALLENGES = 10
_CHUNK_BYTES = 65_536
_SLOWEST_BYTES_PER_SECOND = 100_000
_REPLY = re.compile(rb"[2-5][0-9]{2}(?:[ -]|\r?\n)")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: bytes

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def status(self) -> str:
        """That of RFC 3463; made from the code where the server gives none."""
        given = re.match(rb"([245]\.\d{1,3}\.\d{1,3})\b", self.text)
        return given[1].decode() if given else f"{self.code // 100}.0.0"

    @property
    def is_about_the_sender(self) -> bool:
        """Whether a recipient was refused for a reason that is none of theirs. Postfix says of each recipient that it
        does not take the sender.
        """
        return self.code in (421, 530) or self.status == "5.7.57" or (self.code, self.status) == (553, "5.7.1")


def _refusal(step: Step, reply: Reply) -> AppError:
    """Who must act (RFC 5321 section 4.2, RFC 3463, RFC 4954 section 6). The server's own words stay out: they may name
    people.
    """
    where = f" ({reply.code} {reply.status})"
    if reply.code < 400:
        return SourceMisbehaved(f"The server gives a strange answer{where}.", advice=_ADVICE_ON_PROTOCOL)
    meaning = meanings("smtp_status").get(reply.status) or meanings("smtp_code").get(str(reply.code))
    if meaning is None and reply.code < 500:
        kind = Throttled if reply.status.startswith(("4.3.2", "4.5.3", "4.7.")) else SourceUnavailable
        return kind(f"The server cannot {step} now{where}.")
    meaning = meaning or meanings("smtp_step")[step]
    return meaning.error(meaning.text.removesuffix(".") + where + ".")


class SmtpWire(smtplib.SMTP):
    """Each step has its own time limit, however the server drips."""

    sock: BoundedSocket
    file: Any

    def __init__(self, sock: BoundedSocket, timeouts: Timeouts) -> None:
        address = sock.getsockname()[0]
        super().__init__(local_hostname=f"[IPv6:{address}]" if ":" in address else f"[{address}]")  # there is no name
        self._timeouts = timeouts
        self._use(sock)

    def begin(self) -> None:
        """Hear the greeting and say hello."""
        self._expect("connect", 220)
        self.hello()

    def _use(self, sock: BoundedSocket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def send(self, data: Any) -> None:
        with network_errors():
            self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def getreply(self) -> tuple[int, bytes]:
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            with network_errors():
                line: bytes = self.file.readline(_LONGEST_LINE)
            if not line:
                raise SourceUnavailable("The server closed the connection.")
            if not _REPLY.match(line):
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        raise SourceMisbehaved("The server does not answer as an SMTP server does.", advice=_ADVICE_ON_PROTOCOL)

    def _expect(self, step: Step, *codes: int) -> Reply:
        """:raises AppError: it answers anything else."""
        reply = Reply(*self.getreply())
        if reply.code not in codes:
            raise _refusal(step, reply)
        return reply

    def request(self, step: Step, command: str, *codes: int) -> Reply:
        self.sock.deadline.restart(self._timeouts.command)
        self.putcmd(command)
        return self._expect(step, *codes)

    def hello(self) -> None:
        """Old servers do not know EHLO; then there are no extensions."""
        reply = Reply(*self.ehlo())
        if reply.code in (500, 502, 504):
            reply = Reply(*self.helo())
        if reply.code != 250:
            raise _refusal("connect", reply)

    def secure(self, start: Callable[[BoundedSocket], BoundedSocket]) -> BoundedSocket:
        """STARTTLS. What was said before may be somebody else's and is forgotten (RFC 3207 section 4.2)."""
        self.request("start TLS", "STARTTLS", 220)
        self.file.close()
        self._use(start(self.sock))
        self.hello()
        return self.sock

    def prove(self, mechanism: Mechanism) -> None:
        """What is said first waits for the server's word: Exchange takes NTLM in no other form."""
        first = [] if mechanism.initial is None else [mechanism.initial]
        reply = self.request("sign in", f"AUTH {mechanism.name}", 235, 334)
        for _ in range(_MOST_CHALLENGES):
            if reply.code == 235:
                return
            said = first.pop() if first else mechanism.respond(b64decode(reply.text))
            reply = self.request("sign in", b64encode(said).decode(), 235, 334)
        raise SourceMisbehaved("The server does not come to an end of signing in.")

    @property
    def mechanisms(self) -> list[str]:
        return self.esmtp_features.get("auth", "").upper().split()

    def start(self, purpose: str) -> None:
        """Each request names its own step."""

    @staticmethod
    @contextmanager
    def errors() -> Iterator[None]:
        """The seam for what smtplib raises, on answers that it cannot read among others."""
        try:
            yield
        except (smtplib.SMTPException, ValueError, LookupError, TypeError) as exc:
            text = "The server does not answer as an SMTP server does."
            raise SourceMisbehaved(text, advice=_ADVICE_ON_PROTOCOL) from exc

    def takes(self, command: str) -> bool:
        return self.has_extn(command)

    def takes_login(self, *_: str) -> bool:
        return "LOGIN" in self.mechanisms

    def sign_in(self, user: str, password: str) -> None:
        answers = iter((user.encode(), password.encode()))
        self.prove(Mechanism("LOGIN", None, lambda _: next(answers, b"")))

    def leave(self) -> None:
        self.putcmd("QUIT")
        self.getreply()

    def offer(self, path: str) -> Reply | None:
        """Name a recipient; the refusal, where it is about this one. :raises AppError: it is about the sender."""
        self.sock.deadline.restart(self._timeouts.command)
        self.putcmd(f"RCPT TO:<{path}>")
        reply = Reply(*self.getreply())
        if reply.code < 300:
            return None
        if reply.code < 400 or reply.is_about_the_sender:
            raise _refusal("name a recipient", reply)
        return reply

    def transmit(self, content: bytes) -> None:
        """Hand over the lines of a message. Until all of them have left, no server can have taken it.

        :raises OutcomeUnknown: they have, and there is no answer.
        """
        self.request("hand over the message", "DATA", 354)
        self.sock.deadline.restart(self._timeouts.command + len(content) / _SLOWEST_BYTES_PER_SECOND)
        lines = memoryview(_LEADING_DOT.sub(b"..", content))
        for start in range(0, len(lines), _CHUNK_BYTES):
            self.send(lines[start : start + _CHUNK_BYTES])
        self.send(b".\r\n")
        self.sock.deadline.restart(self._timeouts.idle)
        try:
            reply = Reply(*self.getreply())
        except (SourceUnavailable, SourceMisbehaved) as exc:
            raise OutcomeUnknown from exc
        if reply.code != 250:
            raise _refusal("hand over the message", reply)


class SmtpConnection(MailServer[SmtpWire]):
    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts) -> None:
        server = sender.transport
        assert isinstance(server, SmtpTransport)
        who = credentials(sender.from_address, server.sign_in, None, "smtp", services) if server.sign_in else None
        super().__init__(server, services, who, timeouts)

    def _greeted(self, sock: BoundedSocket) -> SmtpWire:
        wire = self._wire = SmtpWire(sock, self._timeouts)
        with wire.errors():
            wire.begin()
        return wire

    def session(self) -> AbstractContextManager[SmtpWire]:
        """After an error a new one is begun: the server may be anywhere in the old one."""
        return self.command("send")
