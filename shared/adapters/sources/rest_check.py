"""The stages that connection tests of all JSON APIs have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from shared.adapters.net import Deadline, Timeouts, connect, resolve
from shared.adapters.sources.checks import Finding, certificate_finding, name_finding, port_finding
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import start_tls
from shared.domain.errors import AppError, CredentialsRejected
from shared.domain.fields import Tls
from shared.domain.mailbox import Mailbox


class RestCheck(ABC):
    """One method for each stage, in their order; a provider's own class has the last three and the first request."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, client: RestClient) -> None:
        self._mailbox = mailbox
        self._services = services
        self._rest = client
        self._refused: AppError | None = None

    def stages(self) -> Iterator[tuple[str, Callable[[], Finding]]]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        yield "token", self._token
        yield "sign_in", self._sign_in
        yield "mailbox", self._open_mailbox
        yield "folder", self._folder
        yield "settlement", self._settlement
        yield "waiting", self._waiting

    def _name(self) -> Finding:
        address = urlsplit(self._rest.root)
        services = self._services
        self._endpoint = resolve(address.hostname or "", address.port or 443, services.settings, services.proxy)
        return name_finding(self._endpoint)

    def _port(self) -> Finding:
        self._socket = connect(self._endpoint, Deadline(Timeouts()))
        return port_finding(self._endpoint)

    def _tls(self) -> Finding:
        with start_tls(self._socket, self._endpoint.host, Tls(), self._services.settings) as secured:
            return certificate_finding(secured, self._services.clock())

    def _token(self) -> Finding:
        self._rest.sign_in()
        return Finding("The identity provider gives a token.")

    def _sign_in(self) -> Finding:
        """One request shows whether the token is accepted and, if it is, whether it opens the mailbox."""
        try:
            self._look()
        except CredentialsRejected:
            raise
        except AppError as error:
            self._refused = error
        return Finding(f"{self._rest.service} accepts the token.")

    def _open_mailbox(self) -> Finding:
        if self._refused is not None:
            raise self._refused
        return Finding("The mailbox may be read.")

    @abstractmethod
    def _look(self) -> None: ...

    @abstractmethod
    def _folder(self) -> Finding: ...

    @abstractmethod
    def _settlement(self) -> Finding: ...

    @abstractmethod
    def _waiting(self) -> Finding: ...
