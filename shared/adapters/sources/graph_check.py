"""The stages of a connection test of Graph; nothing in the mailbox changes."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from shared.adapters.net import Deadline, Timeouts, connect, resolve
from shared.adapters.sources.checks import Finding, move_target
from shared.adapters.sources.graph_client import GraphClient, graph_time
from shared.adapters.sources.graph_errors import GraphRefused
from shared.adapters.sources.graph_folders import ROOT, Folders
from shared.adapters.sources.services import SourceServices
from shared.adapters.tls import certificate, start_tls
from shared.domain.errors import AppError, CredentialsRejected
from shared.domain.fields import Tls
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Keep, Move
from shared.domain.sources import GraphSource

_NO_MESSAGE = "AAMkAGNobWVzc2FnZQ=="
"""No message has this id: asking for a change of it shows whether changes are allowed, and changes nothing."""


class GraphCheck:
    """One method for each stage, in their order."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, client: GraphClient, folders: Folders) -> None:
        assert isinstance(mailbox.source, GraphSource)
        self._mailbox = mailbox
        self._paths = mailbox.source.folders
        self._services = services
        self._client = client
        self._folders = folders
        self._refused: AppError | None = None

    def stages(self) -> Iterator[tuple[str, Callable[[], Finding]]]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        yield "token", self._token
        yield "sign_in", self._sign_in
        yield "mailbox", self._open_mailbox
        yield "folder", self._folder
        yield "settlement", self._settlement
        yield "waiting", self._waiting

    def _name(self) -> Finding:
        address = urlsplit(self._client.root)
        self._endpoint = resolve(address.hostname or "", address.port or 443, self._services.settings)
        return Finding(", ".join(self._endpoint.addresses))

    def _port(self) -> Finding:
        self._socket = connect(self._endpoint, Deadline(Timeouts()))
        return Finding(f"Port {self._endpoint.port} answers.")

    def _tls(self) -> Finding:
        with start_tls(self._socket, self._endpoint.host, Tls(), self._services.settings) as secured:
            facts, version = certificate(secured), secured.version()
        assert facts is not None, "it was verified"
        days = (facts.expires_at - self._services.clock()).days
        return Finding(f"{version}; certificate of {facts.subject} by {facts.issuer}, valid for {days} more days.")

    def _token(self) -> Finding:
        self._client.sign_in()
        return Finding("Entra ID gives the app a token.")

    def _sign_in(self) -> Finding:
        """One request shows whether the token is accepted and, if it is, whether it opens the mailbox."""
        try:
            self._client.get(f"/mailFolders/{ROOT}", select="id")
        except CredentialsRejected:
            raise
        except AppError as error:
            self._refused = error
        return Finding("Graph accepts the token.")

    def _open_mailbox(self) -> Finding:
        if self._refused is not None:
            raise self._refused
        return Finding("The app may read the mailbox.")

    def _folder(self) -> Finding:
        counts = [(path, self._folders.get(path).get("totalItemCount", "an unknown number of")) for path in self._paths]
        return Finding("; ".join(f"`{path}` has {count} messages" for path, count in counts) + ".")

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        try:
            self._client.patch(f"/messages/{_NO_MESSAGE}", {"isRead": True})
        except GraphRefused as refused:
            if not refused.is_gone:
                raise
        if isinstance(settlement, Move):
            return Finding(move_target(lambda path: str(self._folders.get(path)["id"]), self._paths, settlement))
        return Finding("Messages can be changed.")

    def _waiting(self) -> Finding:
        conditions = []
        if self._mailbox.start_from is not None:
            conditions.append(f"receivedDateTime ge {graph_time(self._mailbox.start_from)}")
        if self._mailbox.intake.unread_only:
            conditions.append("isRead eq false")
        query = {"filter": " and ".join(conditions)} if conditions else {}
        count = sum(self._count(path, query) for path in self._paths)
        return Finding(f"A first poll would take in {count} messages.")

    def _count(self, path: str, query: Mapping[str, str]) -> int:
        folder = f"/mailFolders/{quote(self._folders.find(path), safe='')}/messages"
        return int(self._client.get(folder, count="true", top=1, select="id", **query).get("@odata.count", 0))
