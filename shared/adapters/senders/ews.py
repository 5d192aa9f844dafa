"""An Exchange server of one's own through its Web Services (req M1)."""

from base64 import b64encode
from collections.abc import Iterator
from functools import cached_property
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from shared.adapters.net import Timeouts, Unanswered
from shared.adapters.refusals import meanings
from shared.adapters.senders.check import Tested
from shared.adapters.senders.ews_check import EwsSenderCheck
from shared.adapters.senders.named import NamedRecipientsSender
from shared.adapters.sources.ews_autodiscover import reach
from shared.adapters.sources.ews_client import EwsClient, part, shape
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import EwsRefused
from shared.adapters.sources.ews_folders import Folders
from shared.adapters.sources.fetching import SLOWEST_BYTES_PER_SECOND
from shared.adapters.sources.services import SourceServices
from shared.application.ports.connections import CheckStage
from shared.domain.errors import AppError, MessageRefused, OutcomeUnknown, SourceMisbehaved
from shared.domain.outgoing import OutgoingMail
from shared.domain.senders import EwsTransport, Sender

_VIEW = '<IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>'
_SENT = ("sentitems", "outbox")


class EwsSender(NamedRecipientsSender):
    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        assert isinstance(sender.transport, EwsTransport)
        self._sender, self._services = sender, services
        self._settings, self._timeouts = sender.transport, timeouts or Timeouts()
        self._address = self._settings.mailbox or sender.from_address

    @cached_property
    def _connection(self) -> EwsConnection:
        return reach(self._settings, self._sender.from_address, self._services, self._timeouts)

    @cached_property
    def _client(self) -> EwsClient:
        return EwsClient(self._connection, self._address, self._settings)

    @cached_property
    def _folders(self) -> Folders:
        return Folders(self._client, self._address)

    def _hand_over(self, content: bytes) -> None:
        """On a new connection: a request on a kept one is made again where that turns out to be closed."""
        self._connection.drop()
        mime = f'<t:MimeContent CharacterSet="UTF-8">{b64encode(content).decode()}</t:MimeContent>'
        folder = f"<SavedItemFolderId>{self._folders.ref_of('sentitems')}</SavedItemFolderId>"
        request = f"{folder}<Items><t:Message>{mime}</t:Message></Items>"
        seconds = len(content) / SLOWEST_BYTES_PER_SECOND
        try:
            found, _ = self._client.ask_for_bytes(
                "CreateItem", request, seconds, None, MessageDisposition="SendAndSaveCopy"
            )
        except EwsRefused as refused:
            raise _refusal(refused) from refused
        except (Unanswered, SourceMisbehaved) as exc:
            raise OutcomeUnknown from exc
        if isinstance(found[0], EwsRefused):
            raise _refusal(found[0]) from found[0]

    def find_sent(self, message_id: str) -> bool | None:
        constant = f"<t:FieldURIOrConstant><t:Constant Value={quoteattr(message_id)}/></t:FieldURIOrConstant>"
        wanted = f'<t:IsEqualTo><t:FieldURI FieldURI="message:InternetMessageId"/>{constant}</t:IsEqualTo>'
        folders = f"<ParentFolderIds>{''.join(map(self._folders.ref_of, _SENT))}</ParentFolderIds>"
        request = f"{shape('Item')}{_VIEW}<Restriction>{wanted}</Restriction>{folders}"
        return any(map(_count, self._client.ask("FindItem", request, Traversal="Shallow")))

    def check(self, confirmation: OutgoingMail | None = None) -> Iterator[CheckStage]:
        tested = Tested(self._sender, self.send, self._services.clock(), confirmation)
        return EwsSenderCheck(tested, lambda: (self._connection, self._folders)).run()

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.drop()


def _count(answer: Element | EwsRefused) -> int:
    if isinstance(answer, EwsRefused):
        raise answer
    return int(part(answer, "RootFolder").get("TotalItemsInView", 0))


def _refusal(refused: EwsRefused) -> AppError:
    if refused.ews_code == "ErrorInternalServerError":
        return OutcomeUnknown()
    meaning = meanings("ews_sending").get(refused.ews_code)
    return meaning.error() if meaning else MessageRefused(str(refused))
