"""Gmail and Google Workspace through the Gmail API (req M1)."""

from urllib.parse import urlsplit

from shared.adapters.refusals import Refused
from shared.adapters.senders.named import RestSender
from shared.adapters.services import SourceServices
from shared.adapters.sources.gmail_client import GmailClient, items
from shared.domain.errors import AccessDenied, MessageRefused, MessageTooLarge, SourceMisbehaved
from shared.domain.senders import GmailTransport, Sender

_ALIAS = (
    "Add the address under `Send mail as` in the account's Gmail settings and confirm it, or use the account's own."
)
_LARGE = "Send it without its attachments, or with links to them."


class GmailSender(RestSender):
    """Gmail replaces an address that the account may not send as by the account's own, so that is found out before."""

    client: GmailClient

    def __init__(self, sender: Sender, services: SourceServices) -> None:
        assert isinstance(sender.transport, GmailTransport)
        super().__init__(sender, services)
        transport = sender.transport
        self.client = GmailClient(transport.mailbox or sender.from_address, transport.sign_in, services)
        path = urlsplit(self.client.mailbox_url).path
        self._url = f"{services.settings.gmail_endpoint}/upload{path}/messages/send?uploadType=media"
        self._may_send_as = False

    def _hand_over(self, content: bytes) -> None:
        self._check_address()
        try:
            self.client.hand_over(self._url, content, "message/rfc822")
        except Refused as refused:
            if refused.status == 413:
                raise MessageTooLarge("The message is too large for Gmail.", advice=_LARGE) from refused
            raise MessageRefused(str(refused)) from refused

    def _check_address(self) -> None:
        """:raises AccessDenied: it is not one of the account's, or was not confirmed."""
        address = self.sender.from_address.casefold()
        if self._may_send_as or address == self.client.address.casefold():
            return
        known = self.client.get("/settings/sendAs").get("sendAs")
        if not isinstance(known, list) or not all(isinstance(each, dict) for each in known):
            raise SourceMisbehaved("Gmail does not say as whom the account may send.")
        mine = (each for each in known if each.get("isPrimary") or each.get("verificationStatus") == "accepted")
        if address not in {str(each.get("sendAsEmail")).casefold() for each in mine}:
            raise AccessDenied("The account may not send as this address.", advice=_ALIAS)
        self._may_send_as = True

    def is_there(self, message_id: str) -> bool:
        query = f"rfc822msgid:{message_id.strip('<>')}"
        return bool(items(self.client.get("/messages", q=query, includeSpamTrash="true", maxResults=1), "messages"))

    def permit(self) -> None:
        """A message to nobody: who may send is told so, and who may not is refused before."""
        self._check_address()
        try:
            self.client.hand_over(self._url, b"Subject: To nobody\r\n\r\n", "message/rfc822")
        except Refused as refused:
            if refused.status != 400:
                raise
