"""Items and folders as Exchange Web Services show, restrict and order them."""

import base64
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from xml.etree.ElementTree import Element

from local.simulators.ews_soap import NAMES, Refusal, element, fault, local_name, one_of, text, text_of
from local.simulators.graph_query import PROPERTIES, View, iso
from local.simulators.graph_store import Folder, Mailbox, Message
from local.simulators.post import author, recipients

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "IsEqualTo": eq,
    "IsNotEqualTo": ne,
    "IsGreaterThan": gt,
    "IsGreaterThanOrEqualTo": ge,
    "IsLessThan": lt,
    "IsLessThanOrEqualTo": le,
}
_DEFAULT = ("item:Subject", "item:DateTimeReceived", "item:Size", "message:IsRead", "message:InternetMessageId")
_NOT_IN_LISTS = ("item:MimeContent", "item:Body", "item:TextBody", "item:InternetMessageHeaders")

ITEM: dict[str, Callable[[View], Any]] = {
    "item:ItemClass": lambda _: "IPM.Note",
    "item:Subject": PROPERTIES["subject"],
    "item:DateTimeReceived": lambda view: iso(view.message.received_at),
    "item:Size": lambda view: view.message.size,
    "item:HasAttachments": PROPERTIES["hasAttachments"],
    "message:InternetMessageId": PROPERTIES["internetMessageId"],
    "message:IsRead": PROPERTIES["isRead"],
}
"""In the order of the schema, which leads with the contents and the ids."""

FOLDER: dict[str, Callable[[Mailbox, Folder], Any]] = {
    "folder:FolderClass": lambda _, folder: "IPF.Appointment" if folder.name == "Calendar" else "IPF.Note",
    "folder:DisplayName": lambda _, folder: folder.name,
    "folder:TotalCount": lambda mailbox, folder: len(mailbox.within(folder)),
    "folder:ChildFolderCount": lambda mailbox, folder: len(mailbox.children(folder.id, hidden=True)),
    "folder:UnreadCount": lambda mailbox, folder: sum(not message.is_read for message in mailbox.within(folder)),
    "folder:DistinguishedFolderId": lambda _, folder: folder.well_known,
}


def item_id(message: Message) -> str:
    return element("t:ItemId", Id=message.id, ChangeKey=change_key(message))


def change_key(message: Message) -> str:
    return base64.b64encode(b"\x01\x04\x00\x00" + message.changed.to_bytes(4, "big")).decode()


def folder_id(folder: Folder) -> str:
    return element("t:FolderId", Id=folder.id, ChangeKey="AQAAAA==")


def item_fields(shape: Element, *, in_list: bool) -> set[str]:
    """The properties that a shape asks for. :raises Refusal: a listing cannot give them."""
    base = one_of(text_of(shape, "t:BaseShape"), ("IdOnly", "Default", "AllProperties"), "BaseShape")
    fields = set() if base == "IdOnly" else set(_DEFAULT if base == "Default" else ITEM)
    fields |= {found.get("FieldURI", "") for found in shape.findall("t:AdditionalProperties/t:FieldURI", NAMES)}
    if text_of(shape, "t:IncludeMimeContent") == "true":
        fields.add("item:MimeContent")
    if in_list and fields.intersection(_NOT_IN_LISTS):
        raise Refusal("ErrorInvalidPropertyRequest", "Property is not valid for this operation.")
    return fields


def show_item(mailbox: Mailbox, message: Message, fields: set[str]) -> str:
    view, content = View(mailbox, message, immutable=False), ""
    if "item:MimeContent" in fields:
        raw = base64.b64encode(mailbox.raw(message)).decode()
        content = element("t:MimeContent", raw, CharacterSet="UTF-8")
    content += item_id(message)
    if "item:ParentFolderId" in fields:
        content += element("t:ParentFolderId", Id=message.folder)
    shown = "".join(text(f"t:{name.partition(':')[2]}", ITEM[name](view)) for name in ITEM if name in fields)
    return element("t:Message", content + shown)


def show_folder(mailbox: Mailbox, folder: Folder, shape: Element, *, changeable: bool = True) -> str:
    fields = {found.get("FieldURI", "") for found in shape.findall("t:AdditionalProperties/t:FieldURI", NAMES)}
    if text_of(shape, "t:BaseShape") != "IdOnly":
        fields.update(FOLDER)
    content = folder_id(folder)
    if "folder:ParentFolderId" in fields:
        content += element("t:ParentFolderId", Id=folder.parent or folder.id)
    for name, value in FOLDER.items():
        if name in fields and value(mailbox, folder) is not None:
            content += text(f"t:{name.partition(':')[2]}", value(mailbox, folder))
    if "folder:EffectiveRights" in fields:
        rights = "".join(text(f"t:{right}", changeable) for right in ("CreateContents", "Delete", "Modify")) + text(
            "t:Read", True
        )
        content += element("t:EffectiveRights", rights)
    return element("t:Folder", content)


def sendable(item: Element, addresses: Collection[str], max_bytes: int) -> bytes:
    """The message in an item. :raises Refusal: it is none that may be sent by one of these addresses."""
    try:
        raw = base64.b64decode(text_of(item, "t:MimeContent"), validate=True)
    except ValueError:
        raise Refusal("ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from None
    if author(raw) not in addresses:
        raise Refusal("ErrorSendAsDenied", "The user account does not have the right to send mail on behalf.")
    if not recipients(raw):
        raise Refusal("ErrorInvalidRecipients", "At least one recipient is not valid.")
    if len(raw) > max_bytes:
        raise Refusal("ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    return raw


def restriction(payload: Element, value_of: Callable[[Any, str], Any]) -> Callable[[Any], bool]:
    """What decides whether something is listed; `value_of` gives one of its properties."""
    found = payload.find("m:Restriction", NAMES)
    if found is None:
        return lambda _: True
    return lambda candidate: _holds(found[0], lambda name: value_of(candidate, name))


def _holds(term: Element, value_of: Callable[[str], Any]) -> bool:
    kind = local_name(term)
    if kind in ("And", "Or"):
        return (all if kind == "And" else any)(_holds(part, value_of) for part in term)
    if kind == "Not":
        return not _holds(term[0], value_of)
    value = value_of(_field(term))
    if kind == "Contains":
        constant = term.find("t:Constant", NAMES)
        wanted = "" if constant is None else constant.get("Value", "")
        return wanted.casefold() in str(value).casefold()
    constant = term.find("t:FieldURIOrConstant/t:Constant", NAMES)
    if kind not in _COMPARISONS or constant is None:
        raise fault("ErrorSchemaValidation", f"the simulator has no restriction {kind}")
    given = constant.get("Value", "")
    if isinstance(value, bool):
        return _COMPARISONS[kind](value, given in ("1", "true"))
    return _COMPARISONS[kind](_comparable(value), _comparable(given))


def _comparable(value: Any) -> Any:
    """Times are compared as such, the rest as text."""
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)


def orders(payload: Element) -> list[tuple[str, bool]]:
    """The properties to sort by, the first one last, each with whether it descends."""
    found = [(_field(order), order.get("Order") == "Descending") for order in payload.findall("m:SortOrder/*", NAMES)]
    return found[::-1]


def _field(term: Element) -> str:
    found = term.find("t:FieldURI", NAMES)
    return "" if found is None else found.get("FieldURI", "")
