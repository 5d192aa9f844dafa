"""The stages of a POP3 connection test; nothing in the mailbox changes."""

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime

from shared.adapters.sources.checks import Finding, certificate_finding, name_finding, port_finding
from shared.adapters.sources.pop3_connection import Pop3Connection
from shared.domain.errors import SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.retirements import retirement
from shared.domain.settlement import Delete, Move


class Pop3Check:
    """One method for each stage, in their order."""

    def __init__(self, connection: Pop3Connection, mailbox: Mailbox, now: datetime) -> None:
        self._connection = connection
        self._mailbox = mailbox
        self._now = now

    def stages(self) -> Iterator[tuple[str, Callable[[], Finding]]]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        yield "sign_in", self._sign_in
        yield "mailbox", self._list
        yield "settlement", self._settlement
        yield "waiting", self._waiting

    def _name(self) -> Finding:
        self._endpoint = self._connection.resolve()
        return name_finding(self._endpoint, retirement(self._mailbox.source))

    def _port(self) -> Finding:
        self._connection.dial(self._endpoint)
        return port_finding(self._endpoint)

    def _tls(self) -> Finding:
        sock = self._connection.secure()
        if not isinstance(sock, ssl.SSLSocket):
            advice = "Choose the TLS mode `tls` or `starttls`: the password can be read on its way."
            return Finding("The connection is not encrypted.", advice, warning=True)
        return certificate_finding(sock, self._now)

    def _sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the sign-in.")

    def _list(self) -> Finding:
        return Finding(f"The mailbox has {len(self._connection.numbers())} messages.")

    def _settlement(self) -> Finding:
        match self._mailbox.settlement:
            case Delete():
                return Finding("Messages are deleted from the server.")
            case Move():
                advice = "Leave messages on the server, or delete them."
                raise SourceMisconfigured("POP3 cannot move messages.", advice=advice)
            case _:
                return Finding("Messages stay on the server, where POP3 cannot mark them.")

    def _waiting(self) -> Finding:
        if self._mailbox.start_from:
            return Finding("A first poll would take in 0 messages: what is there then counts as the past.")
        return Finding(f"A first poll would take in {len(self._connection.numbers())} messages.")
