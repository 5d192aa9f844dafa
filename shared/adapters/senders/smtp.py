"""SMTP: any server that takes messages, whether one signs in or not (req M1, A9)."""

import re
from collections.abc import Iterator

from shared.adapters.checks import Finding, SenderCheck
from shared.adapters.net import Timeouts
from shared.adapters.senders.smtp_wire import Reply, SmtpConnection, SmtpWire
from shared.adapters.services import SourceServices
from shared.application.ports.connections import CheckStage
from shared.domain.errors import AddressUnusable, MessageRefused, MessageTooLarge, SourceUnavailable, Throttled
from shared.domain.outgoing import OutgoingMail, RefusedRecipient, SendResult
from shared.domain.senders import Sender
from shared.domain.sign_in import PasswordSignIn
from shared.mime.outgoing_headers import written_address

_PATIENCE = Timeouts(connect=15, idle=300, command=120)
"""Servers look at a message before they answer, and may make strangers wait (RFC 5321 section 4.5.3.2)."""

_LONGEST_LINE = 998
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_TOO_LONG = re.compile(rb"[^\r\n]{%d}" % (_LONGEST_LINE + 1))
_BAD_ADDRESS = Reply(553, b"5.1.3")
_BEYOND_ASCII = Reply(553, b"5.6.7")


class SmtpSender:
    """Stays connected from one message to the next."""

    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts = _PATIENCE) -> None:
        self.sender = sender
        self.services = services
        self.connection = SmtpConnection(sender, services, timeouts)

    def send(self, mail: OutgoingMail) -> SendResult:
        """Tried once more where the session may have ended since its last message: nothing was sent then."""
        content, was_open = _lines(mail.content), self.connection.is_open
        try:
            return self._sent(mail, content)
        except SourceUnavailable as error:
            if isinstance(error, Throttled) or not was_open:
                raise
            return self._sent(mail, content)

    def _sent(self, mail: OutgoingMail, content: bytes) -> SendResult:
        with self.connection.session() as wire:
            parameters = _parameters(wire, mail, content)
            wire.request("name the sender", f"MAIL FROM:<{_return_path(mail)}>{parameters}", 250)
            replies = {each: _offered(wire, each) for each in mail.recipients}
            accepted = tuple(each for each, reply in replies.items() if reply is None)
            if accepted:
                wire.transmit(content)
            else:
                wire.request("hand over the message", "RSET", 250)
        refused = (RefusedRecipient(each, reply.is_permanent, reply.status) for each, reply in replies.items() if reply)
        return SendResult(accepted, tuple(refused))

    def find_sent(self, message_id: str) -> bool | None:  # noqa: ARG002 - the protocol cannot look for it
        return None

    def check(self, confirmation: OutgoingMail | None = None) -> Iterator[CheckStage]:
        return _Check(self, confirmation).run()

    def close(self) -> None:
        self.connection.close()


def _return_path(mail: OutgoingMail) -> str:
    try:
        return mail.envelope_from and written_address(mail.envelope_from)
    except AddressUnusable as exc:
        raise MessageRefused("Failures would be reported to what is no address.") from exc


def _lines(content: bytes) -> bytes:
    """With CRLF at the end of each line and nowhere else: another end could pass for the end of the message.

    :raises MessageRefused: a line is longer than servers take (RFC 5321 section 4.5.3.1.6); some break it in two.
    """
    lines = _BARE.sub(b"\r\n", content)
    if _TOO_LONG.search(lines):
        raise MessageRefused(f"The message has a line of more than {_LONGEST_LINE} bytes.")
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _parameters(wire: SmtpWire, mail: OutgoingMail, content: bytes) -> str:
    """What the server must know before it takes the message (RFC 1870, RFC 6152, RFC 6531).

    :raises MessageRefused: it takes no such message.
    """
    wanted = []
    if wire.has_extn("size"):
        limit = int(wire.esmtp_features["size"] or 0)
        if 0 < limit < len(content):
            text = f"The message has {len(content)} bytes, and the server takes at most {limit}."
            raise MessageTooLarge(text, advice="Send it without its attachments, or have the server take more.")
        wanted.append(f"SIZE={len(content)}")
    is_8bit = not content.isascii()
    header = content[: content.find(b"\r\n\r\n")]
    is_utf8 = not (header.isascii() and _is_ascii(mail.envelope_from))
    goes_to_utf8 = not all(map(_is_ascii, mail.recipients))
    for name, is_needed, is_useful, parameter in (
        ("8bitmime", is_8bit, is_8bit, "BODY=8BITMIME"),
        ("smtputf8", is_utf8, is_utf8 or goes_to_utf8, "SMTPUTF8"),
    ):
        if is_useful and wire.has_extn(name):
            wanted.append(parameter)
        elif is_needed:
            advice = "Use addresses in ASCII and text that is encoded for transport, or have the server offer it."
            raise MessageRefused(f"The message needs a server that offers {name.upper()}.", advice=advice)
    return "".join(f" {each}" for each in wanted)


def _is_ascii(address: str) -> bool:
    """The domain does not count: it has a form in ASCII."""
    return address.rpartition("@")[0].isascii()


def _offered(wire: SmtpWire, recipient: str) -> Reply | None:
    """The refusal, be it the server's or ours."""
    if not (_is_ascii(recipient) or wire.has_extn("smtputf8")):
        return _BEYOND_ASCII
    try:
        return wire.offer(written_address(recipient))
    except AddressUnusable:
        return _BAD_ADDRESS


class _Check(SenderCheck):
    _connection: SmtpConnection

    def __init__(self, tested: SmtpSender, confirmation: OutgoingMail | None) -> None:
        self._connection = tested.connection
        signs_in = self._connection.credentials and self._connection.credentials.sign_in
        token = ("token",) if signs_in and not isinstance(signs_in, PasswordSignIn) else ()
        self.stages = ("name", "port", "tls", *token, "sign_in", "permission", "size")
        super().__init__(tested, confirmation)

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
        recipient = self._confirmation.recipients[0] if self._confirmation else sender
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
