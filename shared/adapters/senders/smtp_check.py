"""The stages of an SMTP connection test; nothing is sent unless a confirmation is asked for (req O3, O4)."""

from collections.abc import Callable
from datetime import datetime

from shared.adapters.senders.confirmation import confirmed
from shared.adapters.senders.smtp_connection import SmtpConnection
from shared.adapters.sources.checks import Check, Finding
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.retirements import sender_retirement
from shared.domain.senders import Sender
from shared.domain.sign_in import PasswordSignIn
from shared.mime.outgoing_headers import written_address


class SmtpCheck(Check):
    def __init__(
        self,
        connection: SmtpConnection,
        sender: Sender,
        now: datetime,
        send: Callable[[OutgoingMail], SendResult],
        confirm_to: str | None,
    ) -> None:
        super().__init__(now, sender_retirement(sender.transport))
        self._connection: SmtpConnection = connection
        self._sender, self._send, self._confirm_to = sender, send, confirm_to
        sign_in = sender.transport.sign_in
        token = ("token",) if sign_in and not isinstance(sign_in, PasswordSignIn) else ()
        confirmation = ("confirmation",) if confirm_to else ()
        self.stages = ("name", "port", "tls", *token, "sign_in", "permission", "size", *confirmation)

    def token(self) -> Finding:
        assert self._connection.credentials is not None
        self._connection.credentials.secret()
        return Finding("There is an access token.")

    def sign_in(self) -> Finding:
        self._connection.sign_in()
        if self._connection.credentials:
            return Finding("The server accepts the sign-in.")
        return Finding("The server is used without signing in.")

    def permission(self) -> Finding:
        """As far as a message goes before its first word."""
        recipient = self._confirm_to or self._sender.from_address
        with self._connection.session() as wire:
            wire.request("name the sender", f"MAIL FROM:<{written_address(self._sender.from_address)}>", 250)
            refused = wire.offer(written_address(recipient))
            wire.request("hand over the message", "RSET", 250)
        if refused is None:
            return Finding("The server takes messages from the sender's address.")
        advice = "If others are refused as well, choose a way to sign in, or have the server let this app send."
        return Finding(f"The server takes the sender, but not the recipient ({refused.status}).", advice, warning=True)

    def size(self) -> Finding:
        with self._connection.session() as wire:
            limit = int(wire.esmtp_features.get("size") or 0)
        return Finding(f"The server takes at most {limit} bytes a message." if limit else "The server tells no limit.")

    def confirmation(self) -> Finding:
        assert self._confirm_to is not None
        return confirmed(self._sender, self._confirm_to, self._now, self._send)
