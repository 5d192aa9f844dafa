"""The stages of an SMTP connection test; nothing is sent unless a confirmation is asked for (req O3, O4)."""

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime

from shared.adapters.senders.confirmation import confirmed
from shared.adapters.senders.smtp_connection import SmtpConnection
from shared.adapters.sources.checks import Finding, certificate_finding, name_finding, port_finding
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.retirements import sender_retirement
from shared.domain.senders import Sender
from shared.domain.sign_in import PasswordSignIn
from shared.mime.outgoing_headers import written_address

Stage = tuple[str, Callable[[], Finding]]


class SmtpCheck:
    """One method for each stage, in their order."""

    def __init__(self, connection: SmtpConnection, sender: Sender, now: datetime) -> None:
        self._connection = connection
        self._sender = sender
        self._now = now

    def stages(self, send: Callable[[OutgoingMail], SendResult], confirm_to: str | None) -> Iterator[Stage]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        sign_in = self._sender.transport.sign_in
        if sign_in and not isinstance(sign_in, PasswordSignIn):
            yield "token", self._token
        yield "sign_in", self._sign_in
        yield "permission", lambda: self._permission(confirm_to or self._sender.from_address)
        yield "size", self._size
        if confirm_to:
            yield "confirmation", lambda: confirmed(self._sender, confirm_to, self._now, send)

    def _name(self) -> Finding:
        self._endpoint = self._connection.resolve()
        return name_finding(self._endpoint, sender_retirement(self._sender.transport))

    def _port(self) -> Finding:
        self._connection.dial(self._endpoint)
        return port_finding(self._endpoint)

    def _tls(self) -> Finding:
        sock = self._connection.secure()
        if not isinstance(sock, ssl.SSLSocket):
            advice = "Choose the TLS mode `tls` or `starttls`: messages and passwords can be read on their way."
            return Finding("The connection is not encrypted.", advice, warning=True)
        return certificate_finding(sock, self._now)

    def _token(self) -> Finding:
        assert self._connection.credentials is not None
        self._connection.credentials.secret()
        return Finding("There is an access token.")

    def _sign_in(self) -> Finding:
        self._connection.sign_in()
        if self._connection.credentials:
            return Finding("The server accepts the sign-in.")
        return Finding("The server is used without signing in.")

    def _permission(self, recipient: str) -> Finding:
        """As far as a message goes before its first word."""
        with self._connection.session() as wire:
            wire.request("name the sender", f"MAIL FROM:<{written_address(self._sender.from_address)}>", 250)
            refused = wire.offer(written_address(recipient))
            wire.request("hand over the message", "RSET", 250)
        if refused is None:
            return Finding("The server takes messages from the sender's address.")
        advice = "If others are refused as well, choose a way to sign in, or have the server let this app send."
        return Finding(f"The server takes the sender, but not the recipient ({refused.status}).", advice, warning=True)

    def _size(self) -> Finding:
        with self._connection.session() as wire:
            limit = int(wire.esmtp_features.get("size") or 0)
        return Finding(f"The server takes at most {limit} bytes a message." if limit else "The server tells no limit.")
