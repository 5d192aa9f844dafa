"""Providers without an envelope: they send a message to everybody whom its header names (To, Cc, Bcc)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from shared.adapters.checks import Finding, SenderCheck, TokenCheck
from shared.adapters.services import SourceServices
from shared.adapters.sources.rest_client import RestClient
from shared.application.ports.connections import CheckStage
from shared.domain.errors import AccessDenied, AddressUnusable, MessageRefused
from shared.domain.message import Address
from shared.domain.outgoing import OutgoingMail, RefusedRecipient, SendResult
from shared.domain.senders import Sender
from shared.mime.addresses import addresses
from shared.mime.headers import read_fields
from shared.mime.outgoing_headers import addresses as written_addresses
from shared.mime.outgoing_headers import field, written_address

_SOME_ONLY = (
    "The message is for some of those whom it names, and this provider sends to all of them.",
    "Send it through an SMTP server, or to all of them.",
)


class NamedRecipientsSender(ABC):
    def send(self, mail: OutgoingMail) -> SendResult:
        """Where anybody's address is none, the others get it."""
        wanted: dict[str, str] = {}
        refused = []
        for each in mail.recipients:
            try:
                wanted[_key(each)] = each
            except AddressUnusable:
                refused.append(RefusedRecipient(each, permanent=True, status="5.1.3"))
        if wanted:
            self._hand_over(_addressed(mail.content, wanted))
        return SendResult(tuple(wanted.values()), tuple(refused))

    @abstractmethod
    def _hand_over(self, content: bytes) -> None:
        """:raises AppError: as `SenderConnection.send` does."""


class RestSender(NamedRecipientsSender):
    """Through a JSON API."""

    client: RestClient

    def __init__(self, sender: Sender, services: SourceServices) -> None:
        self.sender, self.services = sender, services

    def find_sent(self, message_id: str) -> bool | None:
        return self.is_there(message_id)

    @abstractmethod
    def is_there(self, message_id: str) -> bool: ...

    @abstractmethod
    def permit(self) -> None:
        """Ask for something that shows whether sending is allowed, without sending."""

    def check(self, confirmation: OutgoingMail | None = None) -> Iterator[CheckStage]:
        return _RestCheck(self, confirmation).run()

    def close(self) -> None:
        self.client.close()


class _RestCheck(TokenCheck, SenderCheck):
    stages = ("name", "port", "tls", "token", "permission", "sent")

    def __init__(self, tested: RestSender, confirmation: OutgoingMail | None) -> None:
        super().__init__(tested, confirmation)
        self._sender, self._rest = tested, tested.client

    def permission(self) -> Finding:
        self._sender.permit()
        return Finding(f"{self._rest.service} lets the account send.")

    def sent(self) -> Finding:
        """Without it a sender works."""
        try:
            self._sender.is_there("<test@mailroom.invalid>")
        except AccessDenied as denied:
            text = "What was sent cannot be looked for: a message whose answer is lost stays in doubt."
            return Finding(text, denied.advice, warning=True)
        return Finding("What was sent can be looked for.")


def _addressed(content: bytes, wanted: Mapping[str, str]) -> bytes:
    """With a Bcc for those whom the header does not name; providers do not hand that field on.

    :raises MessageRefused: it names somebody else, who would get it.
    """
    header, _ = read_fields(content, 0, len(content), [])
    found = addresses([value for name in ("to", "cc", "bcc") for value in header.every(name)])
    named = {_key(each.address) for each in found if each.address}
    if named - wanted.keys():
        text, advice = _SOME_ONLY
        raise MessageRefused(text, advice=advice)
    hidden = [Address(wanted[key], "") for key in wanted if key not in named]
    return (field("Bcc", written_addresses(hidden)) if hidden else b"") + content


def _key(address: str) -> str:
    return written_address(address).casefold()
