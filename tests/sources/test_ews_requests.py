"""Our requests to Exchange have the elements, in the order, that a client of real servers writes (see ADR 3)."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from exchangelib import Configuration, FailFast, Identity
from exchangelib.ewsdatetime import EWSDateTime
from exchangelib.fields import FieldPath
from exchangelib.folders import DistinguishedFolderId, Folder
from exchangelib.items import Message
from exchangelib.properties import ItemId, Mailbox
from exchangelib.protocol import BaseProtocol
from exchangelib.restriction import Q, Restriction
from exchangelib.services import (
    CreateFolder,
    DeleteItem,
    FindFolder,
    FindItem,
    GetFolder,
    GetItem,
    MoveItem,
    SyncFolderItems,
    UpdateItem,
)
from exchangelib.version import Version

from shared.adapters.sources.ews_connection import EwsConnection
from shared.domain.settlement import Delete, MarkRead, Move
from tests.sources.contract import mail, refs
from tests.sources.ews_mailbox import ADDRESS, EwsMailbox

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_INBOX = DistinguishedFolderId(id="inbox", mailbox=Mailbox(email_address=ADDRESS))
_ITEMS = [ItemId(id="i")]


def _fields(kind: Any, *names: str) -> list[FieldPath]:
    return [FieldPath(field=kind.get_field_by_fieldname(name)) for name in names]


_THEIRS = {
    SyncFolderItems: {
        "folder": _INBOX,
        "shape": "IdOnly",
        "additional_fields": _fields(Message, "size", "datetime_received", "is_read"),
        "sync_state": "state",
        "ignore": None,
        "max_changes_returned": 10,
        "sync_scope": "NormalItems",
    },
    GetItem: {
        "items": _ITEMS,
        "additional_fields": _fields(Message, "mime_content", "datetime_received"),
        "shape": "IdOnly",
    },
    UpdateItem: {
        "items": [(Message(id="i", is_read=True), ["is_read"])],
        "conflict_resolution": "AlwaysOverwrite",
        "message_disposition": "SaveOnly",
        "send_meeting_invitations_or_cancellations": "SendToNone",
        "suppress_read_receipts": True,
    },
    MoveItem: {"items": _ITEMS, "to_folder": DistinguishedFolderId(id="drafts", mailbox=_INBOX.mailbox)},
    DeleteItem: {
        "items": _ITEMS,
        "delete_type": "MoveToDeletedItems",
        "send_meeting_cancellations": "SendToNone",
        "affected_task_occurrences": "AllOccurrences",
        "suppress_read_receipts": True,
    },
    GetFolder: {
        "folders": [_INBOX],
        "additional_fields": _fields(Folder, "total_count", "effective_rights"),
        "shape": "IdOnly",
    },
    FindFolder: {
        "folders": [_INBOX],
        "additional_fields": _fields(Folder, "name", "parent_folder_id", "folder_class"),
        "restriction": None,
        "depth": "Deep",
        "offset": 0,
        "page_size": 1000,
        "shape": "IdOnly",
    },
    CreateFolder: {"parent_folder": _INBOX, "folders": [Folder(name="New")]},
    FindItem: {
        "folders": [_INBOX],
        "additional_fields": None,
        "restriction": Restriction(
            Q(datetime_received__gte=EWSDateTime.from_datetime(_MOMENT), is_read=False), [Folder()], Restriction.ITEMS
        ),
        "order_fields": None,
        "query_string": None,
        "shape": "IdOnly",
        "depth": "Shallow",
        "calendar_view": None,
        "page_size": 1,
        "offset": 0,
    },
}


class _Protocol(BaseProtocol):
    @property
    def version(self) -> Any:
        return self.config.version


def _their_request(kind: Any) -> bytes:
    version = next(each for each in Version.all_versions() if each.api_version == "Exchange2013_SP1")
    config = Configuration(service_endpoint="https://mail.example.com/", version=version, retry_policy=FailFast())
    account = SimpleNamespace(
        access_type="impersonation",
        default_timezone=None,
        identity=Identity(primary_smtp_address=ADDRESS),
        primary_smtp_address=ADDRESS,
        protocol=_Protocol(config),
        version=version,
    )
    service = kind(account=account)
    return service.wrap(service.get_payload(**_THEIRS[kind]), version.api_version)


@pytest.fixture
def requests(simulators, monkeypatch) -> dict[str, list[str]]:
    """What a source says while it does everything it can, by operation."""
    said: dict[str, list[str]] = {}
    post = EwsConnection.post

    def noting(connection: EwsConnection, body: str, *rest: Any, **options: Any) -> Any:
        said.setdefault(fromstring(body)[1][0].tag.rpartition("}")[2], []).append(body)
        return post(connection, body, *rest, **options)

    monkeypatch.setattr(EwsConnection, "post", noting)
    provider = EwsMailbox(simulators)
    simulators.ews.access.add(ADDRESS, "open-sesame", full_access=[ADDRESS], impersonates=[ADDRESS])
    intake = {"start_from": _MOMENT.isoformat(), "unread_only": True}
    source = provider.open(provider.mailbox(source={"access": "impersonation"}, intake=intake))
    for subject in ("Read", "Moved", "Deleted"):
        provider.deliver(mail(subject))
    page = source.changes(None, 10)
    source.changes(page.cursor, 10)
    list(source.fetch(page.messages[:1]))
    read, moved, deleted = refs(page)
    for ref, settlement in ((read, MarkRead()), (moved, Move(folder="drafts")), (deleted, Delete())):
        source.settle([ref], settlement)
    source.settle([read], Move(folder="inbox/New"))
    assert all(stage.ok for stage in source.check())
    source.close()
    return said


def _outline(element: Element) -> Any:
    """Names in their order; of lists of properties which they are, in any order, and of a mailbox no more than it."""
    name, attributes = element.tag, tuple(sorted(element.attrib))
    if name.endswith("}AdditionalProperties"):
        return name, sorted(child.attrib["FieldURI"] for child in element)
    parts = () if name.endswith("}Mailbox") else tuple(map(_outline, element))
    return name, attributes, parts


@pytest.mark.parametrize("kind", _THEIRS, ids=lambda kind: kind.SERVICE_NAME)
def test_a_request_has_the_form_that_real_servers_take(requests, kind):
    ours = [_outline(fromstring(body)) for body in requests[kind.SERVICE_NAME]]

    assert _outline(fromstring(_their_request(kind))) in ours
