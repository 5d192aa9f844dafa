"""The stages that connection tests of all JSON APIs have in common."""

from abc import abstractmethod
from collections.abc import Sequence
from urllib.parse import urlsplit

from shared.adapters.connection import Connection
from shared.adapters.net import Timeouts
from shared.adapters.sources.checks import ApiCheck, Check, Finding, move_target
from shared.adapters.sources.errors import Refused
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.fields import Tls
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Move


class TokenCheck(Check):
    """As far as there is a token."""

    _rest: RestClient

    def _ask(self, client: RestClient, services: SourceServices) -> None:
        """Whom the stages are about."""
        address = urlsplit(client.root)
        self._connection = Connection(address.hostname or "", address.port or 443, Tls(), services, Timeouts())
        self._rest = client

    def tls(self) -> Finding:
        finding = super().tls()
        self._connection.drop()
        return finding

    def token(self) -> Finding:
        self._rest.sign_in()
        return Finding("The identity provider gives a token.")


class RestCheck(TokenCheck, ApiCheck):
    stages = ("name", "port", "tls", "token", "sign_in", "mailbox", "folder", "settlement", "waiting")

    def __init__(self, mailbox: Mailbox, paths: Sequence[str], services: SourceServices, client: RestClient) -> None:
        super().__init__(mailbox, services.clock(), paths)
        self._ask(client, services)
        self.service = client.service

    def _settled(self) -> Finding:
        settlement = self._mailbox.settlement
        try:
            self._change_nothing()
        except Refused as refused:
            if not refused.is_gone:
                raise
        if isinstance(settlement, Move):
            return Finding(move_target(self._id, self._paths, settlement))
        return Finding("Messages can be changed.")

    @abstractmethod
    def _change_nothing(self) -> None:
        """Ask for a change of a message that is not there, which shows whether changes are allowed."""

    @abstractmethod
    def _id(self, path: str) -> str:
        """:raises FolderMissing: there is no such folder."""
