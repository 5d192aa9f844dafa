"""Simulated Exchange Web Services of a server of one's own, over the mailboxes that the simulated Graph shows too."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from local.simulators.entra import Entra
from local.simulators.ews_access import Access, Caller, ntlm_step
from local.simulators.ews_autodiscover import Autodiscover
from local.simulators.ews_items import (
    FOLDER,
    ITEM,
    change_key,
    folder_id,
    item_fields,
    item_id,
    orders,
    restriction,
    sendable,
    show_folder,
    show_item,
)
from local.simulators.ews_soap import (
    NAMES,
    VERSIONS,
    Call,
    Refusal,
    answer,
    element,
    failure,
    fault,
    local_name,
    one_of,
    parse,
    required,
    success,
    text,
    text_of,
)
from local.simulators.graph_query import View
from local.simulators.graph_store import Folder, Mailbox, Mailboxes, Message
from local.simulators.post import Post
from local.simulators.state import State
from local.simulators.web import Request, Response, Route

_MOST_CHANGES = 512
_MOST_FOUND = 1000
_OPERATION = re.compile(rb"Body[^>]*>\s*<(?:\w+:)?(\w+)")
_DISTINGUISHED = re.compile(r"[a-z]+")

Messages = Iterator[str]


class Ews:
    """`version` is the server's. `read_receipts` counts those that were sent because somebody forgot to suppress them.
    `broken` maps ids of messages to the response code that fetching them meets; `max_send_bytes` is the largest
    message that is sent.
    """

    def __init__(
        self, state: State, entra: Entra, mailboxes: Mailboxes, clock: Callable[[], datetime], post: Post
    ) -> None:
        self._clock = clock
        self._post = post
        self.max_send_bytes = 10 * 1024 * 1024
        self.access = Access(state, entra, mailboxes)
        self.autodiscover = Autodiscover(self.access)
        self.version = "Exchange2016"
        self.read_receipts = 0
        self.broken: dict[str, str] = {}
        self._mailboxes = mailboxes
        self._operations: Mapping[str, Callable[[Element, Caller], Messages]] = {
            "ConvertId": self._convert_id,
            "CreateFolder": self._create_folder,
            "CreateItem": self._create_item,
            "DeleteItem": self._delete_item,
            "FindFolder": self._find_folder,
            "FindItem": self._find_item,
            "GetFolder": self._get_folder,
            "GetItem": self._get_item,
            "MoveItem": self._move_item,
            "SyncFolderItems": self._sync_folder_items,
            "UpdateItem": self._update_item,
        }
        self.routes = (
            Route(_kind, "POST", "/EWS/Exchange.asmx", self._serve),
            Route("ews.autodiscover", "POST", "/autodiscover/autodiscover.svc", self.autodiscover.serve),
        )

    @contextmanager
    def admit(self, request: Request, _parameters: Mapping[str, str]) -> Iterator[None]:
        request.connection["caller"] = self.access.sign_in(request)
        yield

    def _serve(self, request: Request) -> Response:
        call = parse(request.body)
        self._check_version(call)
        caller = self.access.caller(request.connection["caller"], call.impersonated)
        operation = self._operations.get(call.operation)
        if operation is None:
            raise fault("ErrorInvalidRequest", f"the simulator has no operation {call.operation}")
        return answer(call.operation, operation(call.payload, caller), self.version)

    def _check_version(self, call: Call) -> None:
        wanted = call.version or VERSIONS[0]
        if wanted not in VERSIONS or VERSIONS.index(wanted) > VERSIONS.index(self.version):
            raise fault("ErrorInvalidServerVersion", "The specified server version is invalid.")

    # Folders

    def _get_folder(self, payload: Element, caller: Caller) -> Messages:
        shape = required(payload, "m:FolderShape")
        for wanted in required(payload, "m:FolderIds"):
            with _told("GetFolder") as told:
                mailbox, folder = self._folder(wanted, caller)
                shown = show_folder(mailbox, folder, shape, changeable=caller.may_change(mailbox.address))
                told.append(success("GetFolder", element("m:Folders", shown)))
            yield from told

    def _find_folder(self, payload: Element, caller: Caller) -> Messages:
        shape = required(payload, "m:FolderShape")
        is_deep = one_of(payload.get("Traversal"), ("Shallow", "Deep"), "Traversal") == "Deep"
        for parent in required(payload, "m:ParentFolderIds"):
            with _told("FindFolder") as told:
                mailbox, top = self._folder(parent, caller)
                found = list(_below(mailbox, top, is_deep=is_deep))
                holds = restriction(payload, partial(_folder_value, mailbox))
                shown = [show_folder(mailbox, folder, shape) for folder in found if holds(folder)]
                view = payload.find("m:IndexedPageFolderView", NAMES)
                told.append(success("FindFolder", _page("t:Folders", shown, view)))
            yield from told

    def _create_folder(self, payload: Element, caller: Caller) -> Messages:
        for wanted in required(payload, "m:Folders"):
            with _told("CreateFolder") as told:
                mailbox, parent = self._folder(required(payload, "m:ParentFolderId")[0], caller)
                with mailbox.lock:
                    created = mailbox.add_folder(parent, text_of(wanted, "t:DisplayName"))
                if created is None:
                    raise Refusal("ErrorFolderExists", "A folder with the specified name already exists.")
                shown = element("m:Folders", element("t:Folder", folder_id(created)))
                told.append(success("CreateFolder", shown))
            yield from told

    # Listing

    def _find_item(self, payload: Element, caller: Caller) -> Messages:
        one_of(payload.get("Traversal"), ("Shallow", "SoftDeleted", "Associated"), "Traversal")
        for parent in required(payload, "m:ParentFolderIds"):
            with _told("FindItem") as told:
                mailbox, folder = self._folder(parent, caller)
                fields = item_fields(required(payload, "m:ItemShape"), in_list=True)
                views = [View(mailbox, message, immutable=False) for message in mailbox.within(folder)]
                holds = restriction(payload, _item_value)
                views = [view for view in views if holds(view)]
                for name, descending in orders(payload):
                    views.sort(key=partial(_item_value, name=name), reverse=descending)
                shown = [show_item(mailbox, view.message, fields) for view in views]
                told.append(success("FindItem", _page("t:Items", shown, payload.find("m:IndexedPageItemView", NAMES))))
            yield from told

    def _sync_folder_items(self, payload: Element, caller: Caller) -> Messages:
        with _told("SyncFolderItems") as told:
            mailbox, folder = self._folder(required(payload, "m:SyncFolderId")[0], caller)
            fields = item_fields(required(payload, "m:ItemShape"), in_list=True)
            most = int(text_of(payload, "m:MaxChangesReturned") or 0)
            if not 1 <= most <= _MOST_CHANGES:
                raise fault("ErrorSchemaValidation", "MaxChangesReturned must be from 1 to 512.")
            since = _opened(text_of(payload, "m:SyncState"), mailbox, folder)
            with mailbox.lock:
                changes = sorted(_changes(mailbox, folder, since, fields))
            reached = changes[most - 1][0] if len(changes) > most else mailbox.step
            content = text("m:SyncState", _sealed(mailbox, folder, reached))
            content += text("m:IncludesLastItemInRange", len(changes) <= most)
            content += element("m:Changes", "".join(shown for _, shown in changes[:most]))
            told.append(success("SyncFolderItems", content))
        yield from told

    # Items

    def _get_item(self, payload: Element, caller: Caller) -> Messages:
        fields = item_fields(required(payload, "m:ItemShape"), in_list=False)
        for wanted in required(payload, "m:ItemIds"):
            with _told("GetItem") as told:
                mailbox, message = self._item(wanted, caller)
                if message.id in self.broken:
                    raise Refusal(self.broken[message.id])
                told.append(success("GetItem", element("m:Items", show_item(mailbox, message, fields))))
            yield from told

    def _create_item(self, payload: Element, caller: Caller) -> Messages:
        """Messages that are sent, given as MIME."""
        kinds = ("SaveOnly", "SendOnly", "SendAndSaveCopy")
        if one_of(payload.get("MessageDisposition"), kinds, "MessageDisposition") != "SendAndSaveCopy":
            raise fault("ErrorInvalidRequest", "the simulator sends and saves only")
        for item in required(payload, "m:Items"):
            with _told("CreateItem") as told:
                mailbox, folder = self._folder(required(payload, "m:SavedItemFolderId")[0], caller)
                self.access.check_mailbox(caller, mailbox.address, to_change=True)
                raw = sendable(item, (caller.address, *caller.sends_as), self.max_send_bytes)
                mailbox.deliver(raw, folder, self._clock(), is_read=True)
                self._post.send(raw)
                told.append(success("CreateItem", element("m:Items")))
            yield from told

    def _update_item(self, payload: Element, caller: Caller) -> Messages:
        resolution = one_of(
            payload.get("ConflictResolution"),
            ("NeverOverwrite", "AutoResolve", "AlwaysOverwrite"),
            "ConflictResolution",
        )
        suppressed = payload.get("SuppressReadReceipts") == "true"
        for change in required(payload, "m:ItemChanges"):
            with _told("UpdateItem") as told:
                wanted = required(change, "t:ItemId")
                mailbox, message = self._item(wanted, caller, to_change=True)
                if payload.get("MessageDisposition") is None:
                    raise Refusal("ErrorMessageDispositionRequired")
                if resolution != "AlwaysOverwrite" and not wanted.get("ChangeKey"):
                    raise Refusal("ErrorChangeKeyRequired", "A change key is required for this operation.")
                if resolution == "NeverOverwrite" and wanted.get("ChangeKey") != change_key(message):
                    raise Refusal("ErrorIrresolvableConflict")
                self._update(mailbox, message, change, suppressed=suppressed)
                told.append(success("UpdateItem", element("m:Items", element("t:Message", item_id(message)))))
            yield from told

    def _update(self, mailbox: Mailbox, message: Message, change: Element, *, suppressed: bool) -> None:
        for update in required(change, "t:Updates"):
            name = required(update, "t:FieldURI").get("FieldURI")
            if local_name(update) != "SetItemField" or name != "message:IsRead":
                raise Refusal("ErrorInvalidPropertySet", "the simulator sets IsRead only")
            is_read = text_of(update, "t:Message/t:IsRead") in ("1", "true")
            self.read_receipts += is_read and not message.is_read and not suppressed
            with mailbox.lock:
                message.is_read = is_read
                mailbox.touch(message)

    def _move_item(self, payload: Element, caller: Caller) -> Messages:
        for wanted in required(payload, "m:ItemIds"):
            with _told("MoveItem") as told:
                try:
                    mailbox, target = self._folder(required(payload, "m:ToFolderId")[0], caller)
                except Refusal as refusal:
                    if refusal.code == "ErrorFolderNotFound":
                        raise Refusal("ErrorToFolderNotFound", "The destination folder could not be found.") from None
                    raise
                _, message = self._item(wanted, caller, to_change=True)
                with mailbox.lock:
                    mailbox.move(message, target)
                told.append(success("MoveItem", element("m:Items", element("t:Message", item_id(message)))))
            yield from told

    def _delete_item(self, payload: Element, caller: Caller) -> Messages:
        kind = one_of(payload.get("DeleteType"), ("HardDelete", "SoftDelete", "MoveToDeletedItems"), "DeleteType")
        for wanted in required(payload, "m:ItemIds"):
            with _told("DeleteItem") as told:
                mailbox, message = self._item(wanted, caller, to_change=True)
                self.read_receipts += not message.is_read and payload.get("SuppressReadReceipts") != "true"
                bin_ = mailbox.folder("deleteditems")
                with mailbox.lock:
                    if kind == "MoveToDeletedItems" and bin_ is not None and message.folder != bin_.id:
                        mailbox.move(message, bin_)
                    else:
                        mailbox.take_away(message)
                told.append(success("DeleteItem", ""))
            yield from told

    def _convert_id(self, _payload: Element, _caller: Caller) -> Messages:
        """What clients ask to learn the server's version, with an id that is none."""
        yield failure("ConvertId", Refusal("ErrorInvalidIdMalformed", "Id is malformed."))

    def _folder(self, wanted: Element, caller: Caller) -> tuple[Mailbox, Folder]:
        """:raises Refusal: it is not there, or not open to them."""
        if local_name(wanted) == "DistinguishedFolderId":
            name = wanted.get("Id", "")
            if not _DISTINGUISHED.fullmatch(name):
                raise fault("ErrorSchemaValidation", f"'{name}' is no DistinguishedFolderId.")
            address = text_of(wanted, "t:Mailbox/t:EmailAddress").lower() or caller.address
            self.access.check_mailbox(caller, address)
            mailbox = self._mailboxes.get(address)
            found = mailbox and mailbox.folder("msgfolderroot" if name == "root" else name)
            if not mailbox or not found:
                raise Refusal("ErrorFolderNotFound", "The specified folder could not be found in the store.")
            return mailbox, found
        for mailbox in self._mailboxes:
            if wanted.get("Id") in mailbox.folders:
                self.access.check_mailbox(caller, mailbox.address)
                return mailbox, mailbox.folders[wanted.get("Id", "")]
        if not (wanted.get("Id") or "").startswith("AAMk"):
            raise Refusal("ErrorInvalidIdMalformed", "Id is malformed.")
        raise Refusal("ErrorFolderNotFound", "The specified folder could not be found in the store.")

    def _item(self, wanted: Element, caller: Caller, *, to_change: bool = False) -> tuple[Mailbox, Message]:
        """:raises Refusal: it is not there any more, or not open to them."""
        name, key = wanted.get("Id") or "", wanted.get("ChangeKey")
        if not name:
            raise Refusal("ErrorInvalidIdEmpty", "Id must be non-empty.")
        for mailbox in self._mailboxes:
            message = mailbox.message(name)
            if message is not None and message.id == name:
                self.access.check_mailbox(caller, mailbox.address, to_change=to_change)
                if key and not key.endswith("="):
                    raise Refusal("ErrorInvalidChangeKey", "The change key is invalid.")
                return mailbox, message
        if not name.startswith("AAMk"):
            raise Refusal("ErrorInvalidIdMalformed", "Id is malformed.")
        raise Refusal("ErrorItemNotFound", "The specified object was not found in the store.")


def _kind(request: Request) -> str:
    """`ews.GetItem`, or `ews.handshake` where NTLM is only on its way."""
    scheme, _, proof = request.headers.get("authorization", "").partition(" ")
    is_done = scheme.lower() != "ntlm" or ntlm_step(proof) == 3
    if not is_done or (not scheme and "account" not in request.connection):
        return "ews.handshake"
    found = _OPERATION.search(request.body)
    return f"ews.{found[1].decode()}" if found else "ews.unknown"


@contextmanager
def _told(operation: str) -> Iterator[list[str]]:
    """Collects one response message; what is refused becomes one too."""
    messages: list[str] = []
    try:
        yield messages
    except Refusal as refusal:
        messages.append(failure(operation, refusal))


def _item_value(view: View, name: str) -> Any:
    if name not in ITEM:
        raise Refusal("ErrorUnsupportedPathForQuery", "The property is not supported in a restriction or sort order.")
    return ITEM[name](view)


def _folder_value(mailbox: Mailbox, folder: Folder, name: str) -> Any:
    return FOLDER[name](mailbox, folder)


def _below(mailbox: Mailbox, top: Folder, *, is_deep: bool) -> Iterator[Folder]:
    for child in mailbox.children(top.id, hidden=True):
        yield child
        if is_deep:
            yield from _below(mailbox, child, is_deep=True)


def _page(tag: str, shown: list[str], view: Element | None) -> str:
    """The part of what was found that a view asks for; never more than a thousand (EWSFindCountLimit)."""
    start = 0 if view is None else int(view.get("Offset", 0))
    size = min(_MOST_FOUND, _MOST_FOUND if view is None else int(view.get("MaxEntriesReturned", _MOST_FOUND)))
    end = min(start + size, len(shown))
    return element(
        "m:RootFolder",
        element(tag, "".join(shown[start:end])),
        IndexedPagingOffset=end,
        TotalItemsInView=len(shown),
        IncludesLastItemInRange=str(end == len(shown)).lower(),
    )


def _changes(mailbox: Mailbox, folder: Folder, since: int, fields: set[str]) -> Iterator[tuple[int, str]]:
    """What happened in the folder after a step, each at its own."""
    for message in mailbox.messages.values():
        if message.folder == folder.id and message.entered > since:
            yield message.changed, element("t:Create", show_item(mailbox, message, fields))
        elif message.folder == folder.id and message.changed > since:
            flag = item_id(message) + text("t:IsRead", message.is_read)
            yield message.changed, element("t:ReadFlagChange", flag)
        elif message.left.get(folder.id, 0) > since > 0:
            yield message.left[folder.id], element("t:Delete", item_id(message))


def _sealed(mailbox: Mailbox, folder: Folder, step: int) -> str:
    state = [folder.id, mailbox.sync_generation, step]
    return base64.b64encode(gzip.compress(json.dumps(state).encode())).decode()


def _opened(sync_state: str, mailbox: Mailbox, folder: Folder) -> int:
    """The step that a synchronisation state stands for. :raises Refusal: it is not of this folder, or too old."""
    if not sync_state:
        return 0
    try:
        [name, generation, step] = json.loads(gzip.decompress(base64.b64decode(sync_state, validate=True)))
    except (ValueError, OSError, EOFError):
        raise Refusal(
            "ErrorInvalidSyncStateData", "Synchronization state data is corrupt or otherwise invalid."
        ) from None
    if (name, generation) != (folder.id, mailbox.sync_generation):
        raise Refusal("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or otherwise invalid.")
    return int(step)
