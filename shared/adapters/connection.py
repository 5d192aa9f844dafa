"""A connection to a server that people name: found, reached and secured, step by step, each bounded in time."""

from shared.adapters.net import BoundedSocket, Deadline, Endpoint, Timeouts, connect, resolve
from shared.adapters.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket, start_tls
from shared.domain.fields import Tls


class Connection:
    """In TLS from the first byte, unless who speaks over it begins otherwise."""

    def __init__(self, host: str, port: int, tls: Tls, services: SourceServices, timeouts: Timeouts) -> None:
        self._address, self._tls, self._services = (host, port), tls, services
        self._timeouts = timeouts
        self._deadline = Deadline(timeouts)
        self._sock: BoundedSocket | None = None

    def resolve(self) -> Endpoint:
        return resolve(*self._address, self._services.settings, self._services.proxy)

    def dial(self, endpoint: Endpoint) -> None:
        self.drop()
        self._deadline.restart(self._timeouts.connect)
        self._sock = connect(endpoint, self._deadline)

    def secure(self) -> BoundedSocket:
        """The socket is what is used from then on."""
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        self._sock = self._secured(self._sock)
        return self._sock

    def _secured(self, sock: BoundedSocket) -> BoundedTlsSocket:
        return start_tls(sock, self._address[0], self._tls, self._services.settings)

    def drop(self) -> None:
        """Leave without a word."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
