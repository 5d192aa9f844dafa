"""Exchange Web Services (req C4). Messages are known by their item ids, which last as long as they stay in a folder."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from exchangelib.util import TNS

from shared.adapters.net import Timeouts
from shared.adapters.sources.checks import run_stages
from shared.adapters.sources.ews_autodiscover import discover
from shared.adapters.sources.ews_check import EwsCheck
from shared.adapters.sources.ews_client import ID_ONLY, EwsClient, Sync, item_fields
from shared.adapters.sources.ews_connection import EwsConnection, SignIn
from shared.adapters.sources.ews_errors import EwsRefused, ews_errors
from shared.adapters.sources.ews_folders import Folders, invisible
from shared.adapters.sources.ews_items import LISTED_FIELDS, Facts, Fetching, Settling, facts_of
from shared.adapters.sources.folder_listing import list_folders
from shared.adapters.sources.services import SourceServices
from shared.application.ports import CheckStage, FetchFailure, Folder, Page
from shared.domain import sources as configured
from shared.domain.errors import CursorExpired, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Settled, Settlement
from shared.domain.sign_in import MicrosoftAppSignIn, PasswordSignIn

_MOST_CHANGES = 512


@dataclass(frozen=True, slots=True)
class _Position:
    """What a cursor says: the state of synchronisation with this folder, whose id saves looking for it by its path.

    In the first round, which lists what there was, `start_from` (ISO) tells what to leave out.
    """

    address: str
    path: str
    folder: str
    state: str | None = None
    start_from: str | None = None

    def cursor(self) -> Cursor:
        return Cursor(json.dumps(asdict(self)))


class EwsSource:
    """A `Source`. It lists by synchronisation, which sees every message that comes in, also one that is moved in."""

    def __init__(self, mailbox: Mailbox, services: SourceServices, timeouts: Timeouts | None = None) -> None:
        settings = mailbox.source
        assert isinstance(settings, configured.EwsSource)
        self._mailbox = mailbox
        self._settings = settings
        self._address = settings.mailbox or mailbox.address
        self._services = services
        self._timeouts = timeouts or Timeouts()
        self._listed_facts: dict[str, Facts] = {}

    @cached_property
    def _connection(self) -> EwsConnection:
        return self._connected(self._settings.url or discover(self._address, self._settings, self._connected))

    @cached_property
    def _client(self) -> EwsClient:
        return EwsClient(self._connection, self._address, self._settings)

    @cached_property
    def _folders(self) -> Folders:
        return Folders(self._client, self._address)

    def _connected(self, url: str) -> EwsConnection:
        sign_in = _sign_in(self._settings.sign_in, self._services)
        services = self._services
        return EwsConnection(url, self._settings.tls, sign_in, services.settings, self._timeouts, proxy=services.proxy)

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        self._listed_facts = {}
        return list_folders(self._settings.folders, cursor, limit, self._changes_in)

    def _changes_in(self, path: str, cursor: Cursor | None, limit: int) -> Page:
        position = self._first_round(path) if cursor is None else self._resumed(path, cursor)
        service = self._client.service(Sync)
        found = self._client.call(
            service,
            folder=self._folders.ref(position.folder),
            shape=ID_ONLY,
            additional_fields=item_fields(*LISTED_FIELDS),
            sync_state=position.state,
            ignore=None,
            max_changes_returned=_MOST_CHANGES if position.start_from else min(limit, _MOST_CHANGES),
            sync_scope="NormalItems",
        )
        for each in found:
            if isinstance(each, EwsRefused):
                if not each.is_gone:
                    raise each
                raise (CursorExpired() if cursor else invisible(position.path)) from each
        more = not service.includes_last_item_in_range
        if more and service.sync_state == position.state:
            raise SourceMisbehaved("Exchange does not get on with its listing.")
        following = replace(position, state=service.sync_state, start_from=position.start_from if more else None)
        with ews_errors():
            return Page(tuple(self._listed(found, position)), following.cursor(), more)

    def _first_round(self, path: str) -> _Position:
        start_from = self._mailbox.start_from
        start = _Position(self._address, path, self._folders.find(path))
        return replace(start, start_from=start_from.isoformat()) if start_from else start

    def _resumed(self, path: str, cursor: Cursor) -> _Position:
        """:raises CursorExpired: it is for another folder or mailbox, or from another kind of source."""
        try:
            position = _Position(**json.loads(cursor))
        except (TypeError, ValueError) as exc:
            raise CursorExpired from exc
        if (position.address, position.path) != (self._address, path):
            raise CursorExpired
        return position

    def _listed(self, changes: Iterable[Any], position: _Position) -> Iterator[Listed]:
        """The new ones, oldest first; Exchange promises no order, and tells times to the second."""
        created = [change[0] for change in changes if change.tag == f"{{{TNS}}}Create"]
        found = {item.find(f"{{{TNS}}}ItemId").get("Id"): facts_of(item) for item in created}
        self._listed_facts |= found
        start_from = position.start_from and datetime.fromisoformat(position.start_from).replace(microsecond=0)
        latest = self._services.clock()
        for item_id, facts in sorted(found.items(), key=lambda pair: pair[1].received_at or latest):
            is_past = start_from and (facts.received_at or latest) < start_from
            if not is_past and not (self._mailbox.intake.unread_only and facts.is_read):
                yield Listed(MessageRef(position.path, item_id), facts.size)

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        fetching = Fetching(self._client, self._listed_facts, self._mailbox.intake.max_message_bytes)
        return fetching.fetch([message.ref for message in messages])

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        return Settling(self._client, self._folders, settlement).settle(refs)

    def folders(self) -> Sequence[Folder]:
        return self._folders.list()

    def check(self) -> Iterator[CheckStage]:
        now = self._services.clock()
        return run_stages(EwsCheck(self._mailbox, self._settings, now, self._opened).stages())

    def _opened(self) -> tuple[EwsConnection, EwsClient, Folders]:
        return self._connection, self._client, self._folders

    def close(self) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()


def _sign_in(sign_in: PasswordSignIn | MicrosoftAppSignIn, services: SourceServices) -> SignIn:
    if isinstance(sign_in, PasswordSignIn):
        name, secrets = sign_in.password_secret, services.secrets
        return SignIn(sign_in.method, sign_in.account, lambda: secrets.get(name), lambda: secrets.forget(name))
    tokens = services.tokens
    return SignIn("bearer", "", lambda: tokens.token(sign_in, "ews"), lambda: tokens.forget(sign_in, "ews"))
