"""Simulated Gmail API (v1): who may do what and how often, labels, messages, and what became of them since."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from local.simulators.gmail_query import QueryUnknown, looks_in_bins, parsed
from local.simulators.gmail_store import SYSTEM_LABELS, Mailbox, Mailboxes, Message
from local.simulators.gmail_wire import (
    event_shown,
    invalid,
    labelled,
    named,
    not_found,
    paged,
    raw_sent,
    refusal,
    shown,
    values,
)
from local.simulators.google import ALL_MAIL, COMPOSE, LABELS, MODIFY, READONLY, SEND, Google
from local.simulators.oauth import Access
from local.simulators.post import Post, author, recipients
from local.simulators.state import State
from local.simulators.web import Request, Response, Route

# Quota units by call since May 2026 (facts 6.3); a call that is not named costs one.
_UNITS = {"get": 20, "list": 5, "history": 2, "modify": 5, "batch_modify": 50, "send": 100, "trash": 5, "untrash": 5}
_READ = {READONLY, MODIFY, ALL_MAIL}
_CHANGE = {MODIFY, ALL_MAIL}
_BINS = {"TRASH", "SPAM"}
_FROM = re.compile(rb"^From:.*\r?\n(?:[ \t].*\r?\n)*", re.IGNORECASE | re.MULTILINE)
_HISTORY = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}

Handler = Callable[..., Response]


class Gmail:
    """`max_upload_bytes` is for what is sent."""

    def __init__(self, state: State, google: Google, clock: Callable[[], datetime], post: Post) -> None:
        self._google = google
        self._clock = clock
        self._post = post
        self.max_upload_bytes = 35 * 1024 * 1024
        self.mailboxes = Mailboxes(state, google.add_account)
        send = {SEND, COMPOSE, *_CHANGE}
        self.routes = (
            self._route("profile", "GET", "profile", _profile, _READ),
            self._route("aliases", "GET", "settings/sendAs", _aliases, _READ),
            self._route("labels", "GET", "labels", _labels, {*_READ, LABELS}),
            self._route("create_label", "POST", "labels", _create_label, {*_CHANGE, LABELS}),
            self._route("list", "GET", "messages", self._list, _READ),
            self._route("get", "GET", "messages/{message}", _get, _READ),
            self._route("delete", "DELETE", "messages/{message}", _delete, {ALL_MAIL}),
            self._route("send", "POST", "messages/send", self._send, send),
            self._route("send", "POST", "messages/send", self._send, send, root="/upload"),
            self._route("batch_modify", "POST", "messages/batchModify", _batch_modify, _CHANGE),
            self._route("modify", "POST", "messages/{message}/modify", _modify, _CHANGE),
            self._route("trash", "POST", "messages/{message}/trash", _trash, _CHANGE),
            self._route("untrash", "POST", "messages/{message}/untrash", _untrash, _CHANGE),
            self._route("history", "GET", "history", _history, _READ),
        )

    def deliver(
        self,
        address: str,
        raw: bytes,
        *,
        labels: Iterable[str] = ("INBOX",),
        received_at: datetime | None = None,
        read: bool = False,
    ) -> Message:
        """Put a message into a mailbox. :raises KeyError: there is no such mailbox."""
        mailbox = self.mailboxes.get(address)
        if mailbox is None:
            raise KeyError(address)
        return mailbox.add(raw, [*labels, *([] if read else ["UNREAD"])], received_at or self._clock())

    def expire_history(self, address: str) -> None:
        mailbox = self.mailboxes.get(address)
        if mailbox is not None:
            mailbox.expire_history()

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def _route(self, name: str, method: str, path: str, handler: Handler, scopes: set[str], *, root: str = "") -> Route:
        def serve(request: Request, user: str, **parameters: str) -> Response:
            mailbox = self._opened(request, user, scopes)
            self._charge(mailbox, _UNITS.get(name, 1))
            with mailbox.lock:
                return handler(request, mailbox, *(_found(mailbox, one) for one in parameters.values()))

        return Route(f"gmail.{name}", method, f"{root}/gmail/v1/users/{{user}}/{path}", serve)

    def _opened(self, request: Request, user: str, scopes: set[str]) -> Mailbox:
        access = self._access(request)
        if not scopes & set(access.scope.split()):
            said = "Request had insufficient authentication scopes."
            raise refusal(403, "insufficientPermissions", said)
        if user.lower() not in ("me", access.user):
            raise refusal(403, "forbidden", f"Delegation denied for {access.user}")
        mailbox = self.mailboxes.get(access.user)
        if mailbox is None:
            raise refusal(400, "failedPrecondition", "Precondition check failed.")
        return mailbox

    def _access(self, request: Request) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = self._google.tokens.get(token) if scheme.lower() == "bearer" else None
        if access is None:
            said = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            raise refusal(401, "authError", said)
        return access

    def _charge(self, mailbox: Mailbox, units: int) -> None:
        """:raises Refused: the calls of the last minute were too many."""
        now = self._clock().timestamp()
        with mailbox.lock:
            while mailbox.spent and mailbox.spent[0][0] <= now - 60:
                mailbox.spent.popleft()
            if sum(spent for _, spent in mailbox.spent) + units > mailbox.units_per_minute:
                raise refusal(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
            mailbox.spent.append((now, units))

    def _list(self, request: Request, mailbox: Mailbox) -> Response:
        query, wanted = request.query.get("q", ""), set(values(request, "labelIds"))
        names = {name.lower(): label for label, name in mailbox.labels.items()}
        try:
            matches = parsed(query, names, self._clock())
        except QueryUnknown as error:
            raise invalid(str(error)) from error
        everywhere = request.query.get("includeSpamTrash") == "true" or wanted & _BINS or looks_in_bins(query)
        found = [one for one in mailbox.newest_first() if wanted <= set(one.labels) and matches(one)]
        listed = [one for one in found if everywhere or not _BINS & set(one.labels)]
        response = paged(request, "messages", [(one.rank, named(one)) for one in listed])
        response.body["resultSizeEstimate"] = len(listed)
        return response

    def _send(self, request: Request, mailbox: Mailbox) -> Response:
        if len(request.body) > self.max_upload_bytes:
            raise refusal(413, "uploadTooLarge", "Request is too large.")
        raw, thread = _with_own_address(raw_sent(request), mailbox), request.json().get("threadId")
        if not recipients(raw):
            raise invalid("Recipient address required")
        if thread and all(message.thread_id != thread for message in mailbox.newest_first()):
            raise not_found()
        sent = mailbox.add(raw, ["SENT"], self._clock(), thread)
        self._post.send(raw)
        return Response(body=labelled(sent))


def _found(mailbox: Mailbox, message_id: str) -> Message:
    message = mailbox.message(message_id)
    if message is None:
        raise not_found()
    return message


def _profile(_request: Request, mailbox: Mailbox) -> Response:
    messages = mailbox.newest_first()
    totals = {"messagesTotal": len(messages), "threadsTotal": len({message.thread_id for message in messages})}
    return Response(body={"emailAddress": mailbox.address, **totals, "historyId": str(mailbox.history_id)})


def _aliases(_request: Request, mailbox: Mailbox) -> Response:
    own: list[dict[str, Any]] = [{"sendAsEmail": mailbox.address, "isPrimary": True, "isDefault": True}]
    aliases = [
        {"sendAsEmail": address, "treatAsAlias": True, "verificationStatus": "accepted" if is_confirmed else "pending"}
        for address, is_confirmed in mailbox.aliases.items()
    ]
    return Response(body={"sendAs": own + aliases})


def _with_own_address(raw: bytes, mailbox: Mailbox) -> bytes:
    """Gmail puts the account's own address where it does not know the one given."""
    if mailbox.aliases.get(author(raw)) or author(raw) == mailbox.address:
        return raw
    return _FROM.sub(f"From: {mailbox.address}\r\n".encode(), raw, count=1)


def _labels(_request: Request, mailbox: Mailbox) -> Response:
    system = [{"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS]
    own = [{"id": label, "name": name, "type": "user"} for label, name in mailbox.labels.items()]
    return Response(body={"labels": system + own})


def _create_label(request: Request, mailbox: Mailbox) -> Response:
    name = request.json().get("name")
    if not isinstance(name, str) or not name:
        raise invalid("Label name is missing")
    label = mailbox.add_label(name)
    if label is None:
        raise refusal(409, "aborted", "Label name exists or conflicts")
    return Response(body={"id": label, "name": name, "type": "user"})


def _get(request: Request, mailbox: Mailbox, message: Message) -> Response:
    return Response(body=shown(request, mailbox, message))


def _modify(request: Request, mailbox: Mailbox, message: Message) -> Response:
    mailbox.modify(message, *_label_changes(request, mailbox))
    return Response(body=labelled(message))


def _batch_modify(request: Request, mailbox: Mailbox) -> Response:
    """Ids that are not there are passed over."""
    ids = request.json().get("ids", [])
    if not ids or len(ids) > 1000:
        raise invalid("Number of ids cannot exceed 1000" if ids else "No message ids specified")
    changes = _label_changes(request, mailbox)
    for message in filter(None, map(mailbox.message, ids)):
        mailbox.modify(message, *changes)
    return Response(204)


def _trash(_request: Request, mailbox: Mailbox, message: Message) -> Response:
    mailbox.modify(message, ["TRASH"], ["INBOX", "SPAM"])
    return Response(body=labelled(message))


def _untrash(_request: Request, mailbox: Mailbox, message: Message) -> Response:
    mailbox.modify(message, [], ["TRASH"])
    return Response(body=labelled(message))


def _delete(_request: Request, mailbox: Mailbox, message: Message) -> Response:
    mailbox.delete(message)
    return Response(204)


def _history(request: Request, mailbox: Mailbox) -> Response:
    start, types = request.query.get("startHistoryId", ""), values(request, "historyTypes") or list(_HISTORY)
    if not start.isdecimal() or not set(types) <= _HISTORY.keys():
        raise invalid("Invalid startHistoryId or historyTypes")
    if not mailbox.history_from <= int(start) <= mailbox.history_id:
        raise not_found()
    kinds, label = {_HISTORY[name] for name in types}, request.query.get("labelId")
    since = mailbox.log[bisect_right(mailbox.log, int(start), key=lambda entry: entry[1].id) :]
    events = [
        (event.id, event_shown(message, event))
        for message, event in since
        if event.kind in kinds and (not label or label in (*event.all_labels, *event.labels))
    ]
    response = paged(request, "history", events)
    response.body["historyId"] = str(mailbox.history_id)
    return response


def _label_changes(request: Request, mailbox: Mailbox) -> tuple[list[str], list[str]]:
    body = request.json()
    add, remove = body.get("addLabelIds", []), body.get("removeLabelIds", [])
    changeable = {*SYSTEM_LABELS, *mailbox.labels} - {"SENT", "DRAFT", "CHAT"}
    for label in [*add, *remove]:
        if label not in changeable:
            raise invalid(f"Invalid label: {label}")
    if not (add or remove) or max(len(add), len(remove)) > 100:
        raise invalid("No label add or removes specified, or more than 100")
    return add, remove
