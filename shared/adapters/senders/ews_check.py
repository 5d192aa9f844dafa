"""The stages of a sender's connection test over EWS. Whether the account may send as the address, Exchange tells of no
message but one that is sent.
"""

from collections.abc import Callable

from shared.adapters.refusals import advice
from shared.adapters.senders.check import SenderCheck, Tested
from shared.adapters.sources.checks import Finding
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_folders import Folders
from shared.domain.errors import AccessDenied


class EwsSenderCheck(SenderCheck):
    stages = ("name", "port", "tls", "sign_in", "permission")

    def __init__(self, tested: Tested, opened: Callable[[], tuple[EwsConnection, Folders]]) -> None:
        super().__init__(tested)
        self._opened = opened

    def name(self) -> Finding:
        self._connection, self._folders = self._opened()
        return super().name()

    def sign_in(self) -> Finding:
        self._sent = self._folders.get("sentitems", "folder:EffectiveRights")
        return Finding("The server accepts the account, which may open the mailbox.")

    def permission(self) -> Finding:
        if self._sent.findtext("EffectiveRights/CreateContents") == "false":
            raise AccessDenied("The account may not keep what it sends in the mailbox.", advice=advice("full_access"))
        return Finding("The account may keep what it sends; only a message shows whether it may send as the address.")
