"""Simulated delta queries over the messages of one folder."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from local.simulators.graph_query import View, filter_terms, shown
from local.simulators.graph_store import Folder, Mailbox, Message
from local.simulators.graph_wire import bad_query, page_size, preferences, refusal
from local.simulators.web import Request, Response

FILTERED_ROUND_LIMIT = 5000
"""At most so many messages come in a first round with a filter."""

_OPTIONS = {"$select", "$top", "$expand", "$filter", "$orderby", "changetype", "$skiptoken", "$deltatoken"}


@dataclass(frozen=True, slots=True)
class Round:
    """What a token stands for: the changes after step `since` up to `until`, resuming after `last`.

    `until` is None where the round has not begun. `since` 0 is the first round, which lists what there is.
    """

    generation: int
    since: int = 0
    until: int | None = None
    last: int = 0
    select: str | None = None
    received_from: str | None = None
    strictly: bool = False
    change: str | None = None

    def token(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode().rstrip("=")


def delta(mailbox: Mailbox, folder: Folder, request: Request) -> Response:
    query = _query(request)
    token = query.get("$skiptoken") or query.get("$deltatoken")
    current = _resumed(mailbox, request, token) if token else _first_round(mailbox, query)
    if current.until is None:
        current = replace(current, until=mailbox.step, last=current.since)
    size, wants = page_size(request), preferences(request)
    entries = _entries(mailbox, folder, current)
    page = [render(wants.immutable_ids) for _, render in entries[:size]]
    context = f"{request.origin}/v1.0/$metadata#Collection(message)"
    following, kind = replace(current, since=current.until or 0, until=None, last=0), "deltatoken"
    if len(entries) > size:
        following, kind = replace(current, last=entries[size - 1][0]), "skiptoken"
    base = f"{request.origin}/v1.0/users('{quote(mailbox.address)}')/mailFolders('{quote(folder.id)}')/messages/delta"
    link = {"@odata.nextLink" if kind == "skiptoken" else "@odata.deltaLink": f"{base}?${kind}={following.token()}"}
    return Response(body={"@odata.context": context, **link, "value": page}, headers=wants.applied)


def _query(request: Request) -> dict[str, str]:
    query = {name.lower(): value for name, value in request.query.items()}
    unsupported = [name for name in query if name not in _OPTIONS]
    if unsupported:
        raise bad_query(f"The query option '{unsupported[0]}' is not supported on a delta query for messages.")
    if "$orderby" in query:
        raise refusal(501, "NotImplemented", "the simulator does not order delta queries")
    if "$expand" in query:  # seen live: a nested filter on a function fails in the OData library
        raise refusal(500, "InternalServerError", "Value cannot be null.\r\nParameter name: type")
    return query


def _first_round(mailbox: Mailbox, query: dict[str, str]) -> Round:
    change = query.get("changetype")
    if change not in (None, "created", "updated", "deleted"):
        raise bad_query("changeType must be created, updated or deleted.")
    terms = filter_terms(query.get("$filter"))
    supported = not terms or (len(terms) == 1 and terms[0][0] == "receivedDateTime" and terms[0][1] in ("ge", "gt"))
    if not supported or not all(isinstance(literal, datetime) for _, _, literal in terms):
        raise refusal(400, "ErrorInvalidUrlQuery", "A delta query can filter on receivedDateTime ge or gt only.")
    started = Round(mailbox.sync_generation, select=query.get("$select"), change=change)
    if terms:
        started = replace(started, received_from=terms[0][2].isoformat(), strictly=terms[0][1] == "gt")
    return started


def _resumed(mailbox: Mailbox, request: Request, token: str) -> Round:
    try:
        stored = Round(**json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    except (ValueError, TypeError) as error:
        raise refusal(400, "ErrorInvalidUrlQuery", "The delta token is malformed.") from error
    if stored.generation != mailbox.sync_generation:
        fresh = f"{request.origin}{request.path}?$deltatoken="
        said = "The sync state generation is not found; the delta token is expired and the request must be retried."
        raise refusal(410, "SyncStateNotFound", said, Location=fresh)
    return stored


Entry = tuple[int, Callable[[bool], dict[str, Any]]]


def _entries(mailbox: Mailbox, folder: Folder, current: Round) -> list[Entry]:
    """What is left of the round, each with its step and a way to show it."""
    first = current.since == 0
    inside = [message for message in mailbox.within(folder) if _received_in_range(message, current)]
    if first and current.received_from:
        inside = sorted(inside, key=lambda message: message.received_at)[-FILTERED_ROUND_LIMIT:]
    entries = []
    for message in inside:
        created = message.entered > current.since
        if current.change in (None, "created" if created or first else "updated") or first:
            step = message.entered if current.change == "created" else message.changed
            entries.append((step, _present(mailbox, message, current)))
    if not first and current.change in (None, "deleted"):
        entries += [(step, _removed(message)) for message, step in _gone(mailbox, folder)]
    upto = current.until or 0
    return sorted((entry for entry in entries if current.last < entry[0] <= upto), key=lambda entry: entry[0])


def _received_in_range(message: Message, current: Round) -> bool:
    if current.received_from is None:
        return True
    floor, received_at = datetime.fromisoformat(current.received_from), message.received_at.replace(microsecond=0)
    return received_at > floor if current.strictly else received_at >= floor


def _gone(mailbox: Mailbox, folder: Folder) -> list[tuple[Message, int]]:
    left = ((message, message.left.get(folder.id, 0)) for message in mailbox.messages.values())
    return [(message, step) for message, step in left if step and message.folder != folder.id]


def _present(mailbox: Mailbox, message: Message, current: Round) -> Callable[[bool], dict[str, Any]]:
    kind = {"@odata.type": "#microsoft.graph.message"}
    return lambda immutable: kind | shown(View(mailbox, message, immutable=immutable), current.select)


def _removed(message: Message) -> Callable[[bool], dict[str, Any]]:
    def show(immutable: bool) -> dict[str, Any]:
        message_id = message.immutable_id if immutable else message.id
        return {"@odata.type": "#microsoft.graph.message", "id": message_id, "@removed": {"reason": "deleted"}}

    return show
