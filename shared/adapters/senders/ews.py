"""An Exchange server of one's own through its Web Services (req M1)."""

from base64 import b64encode
from collections.abc import Iterator
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from shared.adapters.checks import Finding, SenderCheck
from shared.adapters.net import Timeouts, Unanswered
from shared.adapters.refusals import advice, meanings
from shared.adapters.senders.named import NamedRecipientsSender
from shared.adapters.services import SourceServices
from shared.adapters.sources.ews_client import EwsClient, EwsRefused, Folders, part, shape
from shared.adapters.sources.fetching import SLOWEST_BYTES_PER_SECOND
from shared.application.ports.connections import CheckStage
from shared.domain.errors import AccessDenied, AppError, MessageRefused, OutcomeUnknown, SourceMisbehaved
from shared.domain.outgoing import OutgoingMail
from shared.domain.senders import EwsTransport, Sender

_VIEW = '<IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>'
_SENT = ("sentitems", "outbox")


class EwsSender(NamedRecipientsSender):
    def __init__(self, sender: Sender, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        assert isinstance(sender.transport, EwsTransport)
        self.sender, self.services = sender, services
        self._client = EwsClient(sender.transport, sender.from_address, services, timeouts)
        self.folders = Folders(self._client)

    def _hand_over(self, content: bytes) -> None:
        """On a new connection: a request on a kept one is made again where that turns out to be closed."""
        self._client.connection.drop()
        mime = f'<t:MimeContent CharacterSet="UTF-8">{b64encode(content).decode()}</t:MimeContent>'
        folder = f"<SavedItemFolderId>{self.folders.ref_of('sentitems')}</SavedItemFolderId>"
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
        folders = f"<ParentFolderIds>{''.join(map(self.folders.ref_of, _SENT))}</ParentFolderIds>"
        request = f"{shape('Item')}{_VIEW}<Restriction>{wanted}</Restriction>{folders}"
        return any(map(_count, self._client.ask("FindItem", request, Traversal="Shallow")))

    def check(self, confirmation: OutgoingMail | None = None) -> Iterator[CheckStage]:
        return _Check(self, confirmation).run()

    def close(self) -> None:
        self._client.close()


def _count(answer: Element | EwsRefused) -> int:
    if isinstance(answer, EwsRefused):
        raise answer
    return int(part(answer, "RootFolder").get("TotalItemsInView", 0))


def _refusal(refused: EwsRefused) -> AppError:
    if refused.ews_code == "ErrorInternalServerError":
        return OutcomeUnknown()
    meaning = meanings("ews_sending").get(refused.ews_code)
    return meaning.error() if meaning else MessageRefused(str(refused))


class _Check(SenderCheck):
    """Whether the account may send as the address, Exchange tells of no message but one that is sent."""

    stages = ("name", "port", "tls", "sign_in", "permission")

    def __init__(self, tested: EwsSender, confirmation: OutgoingMail | None) -> None:
        super().__init__(tested, confirmation)
        self._folders = tested.folders

    def name(self) -> Finding:
        self._connection = self._folders.client.connection
        return super().name()

    def sign_in(self) -> Finding:
        self._sent = self._folders.get("sentitems", "folder:EffectiveRights")
        return Finding("The server accepts the account, which may open the mailbox.")

    def permission(self) -> Finding:
        if self._sent.findtext("EffectiveRights/CreateContents") == "false":
            raise AccessDenied("The account may not keep what it sends in the mailbox.", advice=advice("full_access"))
        return Finding("The account may keep what it sends; only a message shows whether it may send as the address.")
