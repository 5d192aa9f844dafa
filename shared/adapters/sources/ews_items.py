"""What is done to messages over EWS: fetching them in batches of bounded size, and settling them."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from shared.adapters.sources.ews_client import EwsClient, EwsRefused, Folders, misbehaved, received_at, shape
from shared.adapters.sources.fetching import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    CUT_BYTES,
    SLOWEST_BYTES_PER_SECOND,
    batches,
    chunks,
    raw_message,
)
from shared.application.ports.connections import FetchFailure
from shared.domain.errors import MessageError, MessageGone, SourceMisbehaved
from shared.domain.message import Listed, MessageRef, RawMessage
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement

_ENVELOPE_BYTES = 100_000
_ITEMS_PER_REQUEST = 100
_USUAL_BYTES = BATCH_BYTES // BATCH_MESSAGES

_READ = (
    '<t:Updates><t:SetItemField><t:FieldURI FieldURI="message:IsRead"/>'
    "<t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField></t:Updates>"
)
_UPDATE = {
    "ConflictResolution": "AlwaysOverwrite",  # the others want the version of the item
    "MessageDisposition": "SaveOnly",
    "SendMeetingInvitationsOrCancellations": "SendToNone",
}
_DELETE = {
    "DeleteType": "MoveToDeletedItems",
    "SendMeetingCancellations": "SendToNone",
    "AffectedTaskOccurrences": "AllOccurrences",
}


class Fetching:
    """`arrivals` are those of the messages that were listed last, by item id: an answer that is cut tells none."""

    def __init__(self, client: EwsClient, arrivals: Mapping[str, datetime], max_bytes: int) -> None:
        self._client = client
        self._arrivals = arrivals
        self._max_bytes = max_bytes

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        sizes = {message.ref: _USUAL_BYTES if message.size is None else message.size for message in messages}
        for batch in batches(sizes, self._max_bytes):
            yield from self._fetched(batch, sizes)

    def _fetched(
        self, refs: Sequence[MessageRef], sizes: Mapping[MessageRef, int]
    ) -> Iterator[RawMessage | FetchFailure]:
        """What turns out to be larger than it was said to be is fetched message by message."""
        size = sum(sizes[ref] for ref in refs)
        most = 2 * size if len(refs) > 1 else CUT_BYTES if size > self._max_bytes else self._max_bytes
        request = shape("Item", "item:MimeContent", "item:DateTimeReceived") + _ids(refs)
        cut_at = most * 4 // 3 + _ENVELOPE_BYTES
        found, is_cut = self._client.ask_for_bytes("GetItem", request, most / SLOWEST_BYTES_PER_SECOND, cut_at)
        if is_cut and len(refs) > 1:
            for ref in refs:
                yield from self._fetched([ref], sizes)
            return
        if len(found) != len(refs):
            raise SourceMisbehaved("Exchange left out messages that it was asked for.")
        for ref in refs:
            yield self._raw(ref, found.pop(0), sizes[ref] if is_cut else 0)

    def _raw(self, ref: MessageRef, answer: Element | EwsRefused, size: int) -> RawMessage | FetchFailure:
        if isinstance(answer, EwsRefused):
            return FetchFailure(ref, MessageGone() if answer.is_gone else MessageError(str(answer)))
        content = _taken(answer)
        if not content:
            return FetchFailure(ref, MessageError("Exchange hands over an empty message."))
        return raw_message(ref, content, received_at(answer) or self._arrivals.get(ref.id), self._max_bytes, size)


def _taken(answer: Element) -> bytes:
    """The bytes, as far as they go; the element gives them up, for it would hold them as long as the whole answer."""
    mime = answer.find("Items/*/MimeContent")
    if mime is None or not mime.text:
        return b""
    text, mime.text = mime.text, None
    if len(text) % 4:  # it was cut, or has white space in it
        text = "".join(text.split())
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except ValueError as exc:
        raise misbehaved() from exc


def settle(folders: Folders, refs: Sequence[MessageRef], settlement: Settlement) -> Iterator[Settled]:
    """Nobody is told that a message was read or a meeting declined."""
    for some in chunks(refs, _ITEMS_PER_REQUEST):
        found = _settled(folders, some, settlement)
        if len(found) != len(some):
            raise SourceMisbehaved("Exchange left out messages that it was to settle.")
        for ref, each in zip(some, found, strict=True):
            is_refused = isinstance(each, EwsRefused) and not each.is_gone
            yield Settled(ref, MessageError(str(each)) if is_refused else None)


def _settled(
    folders: Folders, refs: Sequence[MessageRef], settlement: Settlement
) -> Sequence[Element | EwsRefused | None]:
    match settlement:
        case Keep():
            return [None] * len(refs)
        case MarkRead():
            changes = (f"<t:ItemChange>{_id(ref)}{_READ}</t:ItemChange>" for ref in refs)
            return folders.client.ask("UpdateItem", f"<ItemChanges>{''.join(changes)}</ItemChanges>", **_UPDATE)
        case Move(folder=path, create=create):
            return _moved(folders, refs, path, create=create)
        case Delete():
            return folders.client.ask("DeleteItem", _ids(refs), **_DELETE)


def _moved(folders: Folders, refs: Sequence[MessageRef], path: str, *, create: bool) -> list[Element | EwsRefused]:
    """Once more where the folder to move to was removed since it was found."""
    for is_last in (False, True):
        target = f"<ToFolderId>{folders.ref(path, create=create)}</ToFolderId>"
        found = folders.client.ask("MoveItem", target + _ids(refs))
        lost = next((each for each in found if isinstance(each, EwsRefused) and each.is_folder_gone), None)
        if lost and is_last:
            raise lost
        if not lost:
            break
        folders.forget()
    return found


def _ids(refs: Sequence[MessageRef]) -> str:
    return f"<ItemIds>{''.join(map(_id, refs))}</ItemIds>"


def _id(ref: MessageRef) -> str:
    return f"<t:ItemId Id={quoteattr(ref.id)}/>"
