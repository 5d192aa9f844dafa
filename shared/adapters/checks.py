"""A connection test: stages in their order, each with its time, up to the first that fails (req O3)."""

import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from shared.adapters.connection import Connection
from shared.adapters.net import Timeouts
from shared.adapters.refusals import Refused
from shared.adapters.services import SourceServices
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.tls import certificate
from shared.application.ports.connections import CheckStage
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    FolderMissing,
    SecretMissing,
    SourceMisconfigured,
)
from shared.domain.fields import Tls
from shared.domain.mailbox import Mailbox
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.providers import retirement
from shared.domain.senders import Sender
from shared.domain.settlement import Keep, Move
from shared.domain.sources import Pop3Source

_SOON_DAYS = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage that passed has to tell. `warning`: it works, and somebody should look at it all the same."""

    detail: str
    advice: str = ""
    warning: bool = False


class Check:
    """Each stage has the name of its method. Nothing in a mailbox changes; `retirement` speaks against this way in."""

    stages: Sequence[str] = ("name", "port", "tls", "sign_in", "mailbox", "folder", "settlement", "waiting")
    _connection: Connection

    def __init__(self, now: datetime, retirement: str) -> None:
        self._now = now
        self._retirement = retirement

    def run(self) -> Iterator[CheckStage]:
        for name in self.stages:
            started = time.monotonic()
            try:
                finding: Finding = getattr(self, name)()
            except AppError as error:
                yield CheckStage(name, False, _since(started), str(error), error.code, error.advice)
                return
            yield CheckStage(name, True, _since(started), finding.detail, None, finding.advice, finding.warning)

    def name(self) -> Finding:
        self._endpoint = self._connection.resolve()
        where = ("The proxy is at " if self._endpoint.proxy else "") + ", ".join(self._endpoint.addresses)
        return Finding(where, self._retirement, warning=bool(self._retirement))

    def port(self) -> Finding:
        self._connection.dial(self._endpoint)
        through = f" through the proxy {self._endpoint.proxy}" if self._endpoint.proxy else ""
        return Finding(f"Port {self._endpoint.port} answers{through}.")

    def tls(self) -> Finding:
        sock = self._connection.secure()
        if not isinstance(sock, ssl.SSLSocket):
            advice = "Choose the TLS mode `tls` or `starttls`: messages and passwords can be read on their way."
            return Finding("The connection is not encrypted.", advice, warning=True)
        return _certificate(sock, self._now)


class FolderCheck(Check, ABC):
    """Where messages lie in folders and can be settled."""

    counted_at_most: ClassVar[int | None] = None

    def __init__(self, mailbox: Mailbox, now: datetime) -> None:
        assert not isinstance(mailbox.source, Pop3Source)
        super().__init__(now, retirement(mailbox.source))
        self._mailbox = mailbox
        self._paths = mailbox.source.folders

    def folder(self) -> Finding:
        return Finding("; ".join(map(self._shown, self._paths)) + ".")

    def settlement(self) -> Finding:
        if isinstance(self._mailbox.settlement, Keep):
            return Finding("Messages are left as they are.")
        return self._settled()

    def waiting(self) -> Finding:
        count = sum(map(self._waiting, self._paths))
        more = "or more " if self.counted_at_most is not None and count >= self.counted_at_most else ""
        return Finding(f"A first poll would take in {count} {more}messages.")

    @abstractmethod
    def _shown(self, path: str) -> str:
        """What can be seen of the folder. :raises FolderMissing: nothing."""

    @abstractmethod
    def _settled(self) -> Finding: ...

    @abstractmethod
    def _waiting(self, path: str) -> int: ...


class ApiCheck(FolderCheck):
    """Where each request is signed in by itself."""

    service: str
    _refused: AppError | None = None

    def sign_in(self) -> Finding:
        """One request shows whether the account is accepted and, if it is, whether it opens the mailbox."""
        try:
            self._look()
        except (CredentialsRejected, SecretMissing):
            raise
        except AppError as error:
            self._refused = error
        return Finding(f"{self.service} accepts the account.")

    def mailbox(self) -> Finding:
        if self._refused is not None:
            raise self._refused
        return Finding("The mailbox may be read.")

    @abstractmethod
    def _look(self) -> None: ...


class TokenCheck(Check):
    """As far as there is a token."""

    _rest: RestClient

    def name(self) -> Finding:
        address, services = urlsplit(self._rest.root), self._rest.services
        self._connection = Connection(address.hostname or "", address.port or 443, Tls(), services, Timeouts())
        return super().name()

    def tls(self) -> Finding:
        finding = super().tls()
        self._connection.drop()
        return finding

    def token(self) -> Finding:
        self._rest.sign_in()
        return Finding("The identity provider gives a token.")


class RestCheck(TokenCheck, ApiCheck):
    stages = ("name", "port", "tls", "token", "sign_in", "mailbox", "folder", "settlement", "waiting")

    def __init__(self, mailbox: Mailbox, client: RestClient) -> None:
        super().__init__(mailbox, client.services.clock())
        self._rest, self.service = client, client.service

    def _settled(self) -> Finding:
        settlement = self._mailbox.settlement
        try:
            self._change_nothing()
        except Refused as refused:
            if not refused.is_gone:
                raise
        if isinstance(settlement, Move):
            return Finding(move_target(self._id, self._paths, settlement))
        return Finding("Messages can be changed.")

    @abstractmethod
    def _change_nothing(self) -> None:
        """Ask for a change of a message that is not there, which shows whether changes are allowed."""

    @abstractmethod
    def _id(self, path: str) -> str:
        """:raises FolderMissing: there is no such folder."""


class Tested(Protocol):
    """A sender that is open."""

    sender: Sender
    services: SourceServices

    def send(self, mail: OutgoingMail) -> SendResult: ...


class SenderCheck(Check):
    """The confirmation is sent if all goes well; nothing else is."""

    def __init__(self, tested: Tested, confirmation: OutgoingMail | None) -> None:
        super().__init__(tested.services.clock(), retirement(tested.sender.transport))
        self._tested = tested
        self._confirmation = confirmation
        if confirmation:
            self.stages = (*self.stages, "confirmation")

    def confirmation(self) -> Finding:
        assert self._confirmation is not None
        result = self._tested.send(self._confirmation)
        if result.refused:
            advice = "Check the address that the message was to go to."
            raise AccessDenied(f"The server does not take the recipient ({result.refused[0].status}).", advice=advice)
        return Finding("The server took a message to the address given: look whether it arrives, and where.")


def _certificate(sock: ssl.SSLSocket, now: datetime) -> Finding:
    """What a TLS connection that stands tells about the server."""
    facts = certificate(sock)
    if facts is None:
        advice = "Turn verification on, and give the certificate of your authority if it is a private one."
        return Finding(f"{sock.version()}; the certificate is not verified.", advice, warning=True)
    days = (facts.expires_at - now).days
    detail = f"{sock.version()}; certificate of {facts.subject} by {facts.issuer}, valid for {days} more days."
    return Finding(detail, "Have the server's certificate renewed." * (days < _SOON_DAYS), warning=days < _SOON_DAYS)


def move_target(id_of: Callable[[str], str], sources: Sequence[str], settlement: Move) -> str:
    """Where messages will go, in words; `id_of` finds a folder by its path.

    :raises FolderMissing: it is not there and may not be created.
    :raises SourceMisconfigured: it is the folder that is read.
    """
    try:
        target = id_of(settlement.folder)
    except FolderMissing:
        if not settlement.create:
            raise
        return f"Messages are moved to `{settlement.folder}`, which will be created."
    if target in map(id_of, sources):
        advice = "Choose another folder to move to."
        raise SourceMisconfigured("Messages cannot be moved to the folder they are read from.", advice=advice)
    return f"Messages are moved to `{settlement.folder}`."


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
