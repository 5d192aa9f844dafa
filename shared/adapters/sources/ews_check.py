"""The stages of a connection test over EWS; nothing in the mailbox changes."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from exchangelib.ewsdatetime import EWSDateTime
from exchangelib.folders import Folder as EwsFolder
from exchangelib.restriction import Q, Restriction
from exchangelib.services import FindItem, GetFolder
from exchangelib.util import TNS

from shared.adapters.sources.checks import Finding, certificate_finding
from shared.adapters.sources.ews_client import ID_ONLY, EwsClient, folder_fields
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import EwsRefused
from shared.adapters.sources.ews_folders import ROOT, Folders
from shared.adapters.sources.ews_settings import EwsSource
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    FolderMissing,
    SecretMissing,
    SourceMisconfigured,
)
from shared.domain.mailbox import Mailbox
from shared.domain.settlement import Keep, MarkRead, Move

_ONLINE = (".office365.com", ".outlook.com", ".office365.us", ".partner.outlook.cn")
_RETIREMENT = (
    "Exchange Online turns EWS off, tenant by tenant from 1 October 2026 and for all on 1 April 2027: read the mailbox "
    "through Microsoft Graph."
)

Opened = Callable[[], tuple[EwsConnection, EwsClient, Folders]]


class EwsCheck:
    """One method for each stage, in their order."""

    def __init__(self, mailbox: Mailbox, settings: EwsSource, now: datetime, opened: Opened) -> None:
        self._mailbox = mailbox
        self._settings = settings
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
        if self._endpoint.host.endswith(_ONLINE):
            return Finding(detail, _RETIREMENT, warning=True)
        is_found = self._settings.url is None
        return Finding(detail, f"Give {self._connection.url} as server, to spare each poll the search." * is_found)

    def _port(self) -> Finding:
        self._connection.dial(self._endpoint)
        return Finding(f"Port {self._endpoint.port} answers.")

    def _tls(self) -> Finding:
        return certificate_finding(self._connection.secure(), self._now)

    def _sign_in(self) -> Finding:
        """One request shows whether the account is let in and, if it is, whether the mailbox is open to it."""
        try:
            self._get_folder(ROOT)
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
        self._read = self._folders.find(self._settings.folder)
        folder = self._get_folder(self._read, "total_count", "effective_rights")
        self._total = folder.findtext(f"{{{TNS}}}TotalCount", "an unknown number of")
        self._rights = {
            right.tag.rpartition("}")[2]: right.text for right in folder.iterfind(f"{{{TNS}}}EffectiveRights/*")
        }
        return Finding(f"The folder has {self._total} messages.")

    def _settlement(self) -> Finding:
        settlement = self._mailbox.settlement
        if isinstance(settlement, Keep):
            return Finding("Messages are left as they are.")
        right, what = ("Modify", "marked as read") if isinstance(settlement, MarkRead) else ("Delete", "taken away")
        if self._rights.get(right) == "false":
            advice = "Grant the account full access, or settle otherwise."
            raise AccessDenied(f"The account may not have messages {what}.", advice=advice)
        return Finding(self._target(settlement) if isinstance(settlement, Move) else f"Messages can be {what}.")

    def _target(self, settlement: Move) -> str:
        try:
            name = self._folders.find(settlement.folder)
        except FolderMissing:
            if not settlement.create:
                raise
            return f"Messages are moved to `{settlement.folder}`, which will be created."
        if name == self._read:
            advice = "Choose another folder to move to."
            raise SourceMisconfigured("Messages cannot be moved to the folder they are read from.", advice=advice)
        return f"Messages are moved to `{settlement.folder}`."

    def _waiting(self) -> Finding:
        start_from, conditions = self._mailbox.start_from, {}
        if start_from is not None:
            conditions["datetime_received__gte"] = EWSDateTime.from_datetime(start_from.astimezone(UTC))
        if self._mailbox.intake.unread_only:
            conditions["is_read"] = False
        restriction = Restriction(Q(**conditions), [EwsFolder()], Restriction.ITEMS) if conditions else None
        found, _ = self._client.one(
            FindItem,
            folders=[self._folders.ref(self._read)],
            additional_fields=None,
            restriction=restriction,
            order_fields=None,
            query_string=None,
            shape=ID_ONLY,
            depth="Shallow",
            calendar_view=None,
            page_size=1,
        )
        count = "0" if found is None else found.get("TotalItemsInView")
        return Finding(f"{self._total} messages, of which a first poll would take in {count}.")

    def _get_folder(self, name: str, *fields: str) -> Any:
        """:raises FolderMissing: it is not there any more."""
        try:
            return self._client.one(
                GetFolder, folders=[self._folders.ref(name)], additional_fields=folder_fields(*fields), shape=ID_ONLY
            )
        except EwsRefused as refused:
            if refused.is_gone:
                raise FolderMissing("The account does not find the folder.", advice="Check the folder.") from refused
            raise
