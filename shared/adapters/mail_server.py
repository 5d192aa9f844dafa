"""A connection to a mail server, whatever it speaks: dialled, secured and bounded in time."""

from typing import Protocol

from shared.adapters.connection import Connection
from shared.adapters.net import BoundedSocket, Timeouts
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import BoundedTlsSocket
from shared.domain.errors import SourceMisconfigured
from shared.domain.fields import Tls


class ServerSettings(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def effective_port(self) -> int: ...
    @property
    def tls(self) -> Tls: ...


class MailServer(Connection):
    def __init__(self, server: ServerSettings, services: SourceServices, timeouts: Timeouts) -> None:
        super().__init__(server.host, server.effective_port, server.tls, services, timeouts)
        self._server = server

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self._sock, BoundedTlsSocket)

    def _dialled(self) -> BoundedSocket:
        """The connection, in TLS where its mode begins with that."""
        assert self._sock is not None
        self._deadline.restart(self._timeouts.command)
        if self._server.tls.mode == "tls":
            self._sock = self._secured(self._sock)
        return self._sock

    def _uses(self, command: str, *, is_offered: bool) -> bool:
        """Whether to start TLS now by that command. An offer is always taken: a handshake that fails must not end in
        plain text.
        """
        mode = self._server.tls.mode
        if mode == "starttls" and not is_offered:
            advice = f"Use the mode `tls` with its own port, or have {command} turned on at the server."
            raise SourceMisconfigured(f"The server does not offer {command} on this port.", advice=advice)
        return is_offered and mode.startswith("starttls")
