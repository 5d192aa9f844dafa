"""The stages of an SMTP connection test (req O3, O4)."""

from shared.adapters.senders.check import SenderCheck, Tested
from shared.adapters.senders.smtp_connection import SmtpConnection
from shared.adapters.sources.checks import Finding
from shared.domain.sign_in import PasswordSignIn
from shared.mime.outgoing_headers import written_address


class SmtpCheck(SenderCheck):
    def __init__(self, connection: SmtpConnection, tested: Tested) -> None:
        self._connection: SmtpConnection = connection
        signs_in = connection.credentials and connection.credentials.sign_in
        token = ("token",) if signs_in and not isinstance(signs_in, PasswordSignIn) else ()
        self.stages = ("name", "port", "tls", *token, "sign_in", "permission", "size")
        super().__init__(tested)

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
        sender = self._tested.sender.from_address
        confirmed = self._tested.confirmation
        recipient = confirmed.recipients[0] if confirmed else sender
        with self._connection.session() as wire:
            wire.request("name the sender", f"MAIL FROM:<{written_address(sender)}>", 250)
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
