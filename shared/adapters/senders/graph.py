"""Exchange Online through Microsoft Graph: `sendMail` with the whole message (req M1)."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

from shared.adapters.refusals import Refused, meanings
from shared.adapters.senders.named import RestSender
from shared.adapters.services import SourceServices
from shared.adapters.sources.graph_client import GraphClient, graph_code, items
from shared.domain.errors import AccessDenied, AppError, MessageRefused
from shared.domain.senders import GraphTransport, Sender

_NO_BASE64 = b"?"
"""No message: who may send is told so, and who may not is refused before."""


class _Client(GraphClient):
    def refusal(self, status: int, body: Any, wait: timedelta | None) -> AppError:
        code = "errormessagesizeexceeded" if status == 413 else graph_code(body).casefold()
        if meaning := meanings("graph_sending").get(code):
            return meaning.error()
        return super().refusal(status, body, wait)


class GraphSender(RestSender):
    client: GraphClient

    def __init__(self, sender: Sender, services: SourceServices) -> None:
        assert isinstance(sender.transport, GraphTransport)
        super().__init__(sender, services)
        transport = sender.transport
        self.client = _Client(transport.mailbox or sender.from_address, transport.sign_in, services)

    def _hand_over(self, content: bytes) -> None:
        try:
            self.client.hand_over("/sendMail", b64encode(content), "text/plain")
        except Refused as refused:
            raise MessageRefused(str(refused)) from refused

    def find_sent(self, message_id: str) -> bool | None:
        try:
            return super().find_sent(message_id)
        except AccessDenied:  # an app may be allowed to send, and to read nothing
            return None

    def is_there(self, message_id: str) -> bool:
        """In any folder: a rule may have moved it, and at first it is on its way to Sent Items."""
        wanted = message_id.replace("'", "''")
        return bool(items(self.client.get("/messages", filter=f"internetMessageId eq '{wanted}'", select="id", top=1)))

    def permit(self) -> None:
        try:
            self.client.hand_over("/sendMail", _NO_BASE64, "text/plain")
        except Refused as refused:
            if refused.status != 400:
                raise
