"""The stages of a connection test over EWS; nothing in the mailbox changes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from exchangelib.ewsdatetime import EWSDateTime
from exchangelib.folders import Folder as EwsFolder
from exchangelib.restriction import Q, Restriction
from exchangelib.services import FindItem
from exchangelib.util import TNS

from shared.adapters.sources.checks import Finding, certificate_finding, move_target, port_finding
from shared.adapters.sources.ews_client import ID_ONLY, EwsClient
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_folders import ROOT, Folders, folder_id
from shared.domain.errors import AccessDenied, AppError, CredentialsRejected, SecretMissing
from shared.domain.mailbox import Mailbox
from shared.domain.retirements import EWS_ONLINE, is_microsoft
from shared.domain.settlement import Keep, MarkRead, Move
from shared.domain.sources import EwsSource

Opened = Callable[[], tuple[EwsConnection, EwsClient, Folders]]


class EwsCheck:
    """One method for each stage, in their order."""

    def __init__(self, mailbox: Mailbox, settings: EwsSource, now: datetime, opened: Opened) -> None:
        self._mailbox = mailbox
        self._settings = settings
        self._paths = settings.folders
        self._now = now
        self._opened = opened
        self._refused: AppError | None = None

    def stages(self) -> Iterator[tuple[str, Callable[[], Finding]]]:
        yield "name", self._name
        yield "port", self._port
        yield "tls", self._tls
        yield "sign_in", self._sign_in
        yield "mailbox", self._open_mailbox
        yield "folder", self._folder
        yield "settlement", self._settlement
        yield "waiting", self._waiting

    def _name(self) -> Finding:
        self._connection, self._client, self._folders = self._opened()
        self._endpoint = self._connection.resolve()
        detail = f"{self._connection.url} is at {', '.join(self._endpoint.addresses)}."
        if is_microsoft(self._endpoint.host):
            return Finding(detail, EWS_ONLINE, warning=True)
        is_found = self._settings.url is None
        return Finding(detail, f"Give {self._connection.url} as server, to spare each poll the search." * is_found)

    def _port(self) -> Finding:
        self._connection.dial(self._endpoint)
        return port_finding(self._endpoint)

    def _tls(self) -> Finding:
        return certificate_finding(self._connection.secure(), self._now)

    def _sign_in(self) -> Finding:
        """One request shows whether the account is let in and, if it is, whether the mailbox is open to it."""
        try:
            self._folders.get(ROOT)
        except (CredentialsRejected, SecretMissing):
            raise
        except AppError as error:
            self._refused = error
        return Finding("The server accepts the account.")

    def _open_mailbox(self) -> Finding:
        if self._refused is not None:
            raise self._refused
        return Finding(f"The account may open the mailbox. The server is Exchange {self._client.version}.")

    def _folder(self) -> Finding:
        found = [(path, self._folders.get(path, "total_count", "effective_rights")) for path in self._paths]
        self._refusals = {
            right.tag.rpartition("}")[2]
            for _, folder in found
            for right in folder.iterfind(f"{{{TNS}}}EffectiveRights/*")
            if right.text == "false"
        }
        counts = [(path, folder.findtext(f"{{{TNS}}}TotalCount", "an unknown number of")) for path, folder in found]
        return Finding("; ".join(f"`{path}` has {count} messages" for path, count in counts) + ".")

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        right, what = ("Modify", "marked as read") if isinstance(settlement, MarkRead) else ("Delete", "taken away")
        if right in self._refusals:
            advice = "Grant the account full access, or settle otherwise."
            raise AccessDenied(f"The account may not have messages {what}.", advice=advice)
        if isinstance(settlement, Move):
            return Finding(move_target(lambda path: folder_id(self._folders.get(path)), self._paths, settlement))
        return Finding(f"Messages can be {what}.")

    def _waiting(self) -> Finding:
        start_from, conditions = self._mailbox.start_from, {}
        if start_from is not None:
            conditions["datetime_received__gte"] = EWSDateTime.from_datetime(start_from.astimezone(UTC))
        if self._mailbox.intake.unread_only:
            conditions["is_read"] = False
        restriction = Restriction(Q(**conditions), [EwsFolder()], Restriction.ITEMS) if conditions else None
        count = sum(self._count(path, restriction) for path in self._paths)
        return Finding(f"A first poll would take in {count} messages.")

    def _count(self, path: str, restriction: Restriction | None) -> int:
        found, _ = self._client.one(
            FindItem,
            folders=[self._folders.ref(self._folders.find(path))],
            additional_fields=None,
            restriction=restriction,
            order_fields=None,
            query_string=None,
            shape=ID_ONLY,
            depth="Shallow",
            calendar_view=None,
            page_size=1,
        )
        return 0 if found is None else int(found.get("TotalItemsInView"))
