"""Simulated Microsoft Graph, mail part of v1.0: who may come in, folders, messages and what is done to them."""

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from local.simulators.entra import GRAPH_AUDIENCE, Entra, TokenRefused
from local.simulators.graph_batch import CONCURRENCY, batch
from local.simulators.graph_delta import delta
from local.simulators.graph_query import PROPERTIES, View, filter_terms, matches, message_value, order_of, shown
from local.simulators.graph_store import ROOT, Folder, Mailbox, Mailboxes, Message
from local.simulators.graph_subscriptions import Subscriptions
from local.simulators.graph_wire import bad_query, not_found, page_size, preferences, refusal
from local.simulators.post import Post, author, recipients
from local.simulators.state import State
from local.simulators.web import Request, Response, Route

_READ_ROLES = {"Mail.Read", "Mail.ReadWrite"}
_WRITE_ROLES = {"Mail.ReadWrite"}
_SEND_ROLES = {"Mail.Send"}
_TOKEN_TEXTS = {
    "missing": "Access token is empty.",
    "malformed": "CompactToken parsing failed.",
    "expired": "Lifetime validation failed, the token is expired.",
    "audience": "Access token validation failure. Invalid audience.",
}
_IN_MAILBOX = "/v1.0/users/{mailbox}"


class Graph:
    """`serve` answers one sub-request of a batch; the server sets it. `max_request_bytes` is for what is sent."""

    serve: Callable[[Request], Response]

    def __init__(self, state: State, entra: Entra, clock: Callable[[], datetime], post: Post) -> None:
        self._entra = entra
        self._clock = clock
        self._post = post
        self.max_request_bytes = 4 * 1024 * 1024
        self.mailboxes = Mailboxes(state)
        self.subscriptions = Subscriptions(self._folder_id, clock)
        folders, messages = f"{_IN_MAILBOX}/mailFolders", f"{_IN_MAILBOX}/messages"
        self.routes = (
            Route("graph.folders", "GET", folders, self._folders),
            Route("graph.folders", "GET", f"{folders}/{{folder}}/childFolders", self._folders),
            Route("graph.create_folder", "POST", folders, self._create_folder),
            Route("graph.create_folder", "POST", f"{folders}/{{folder}}/childFolders", self._create_folder),
            Route("graph.folder", "GET", f"{folders}/{{folder}}", self._folder),
            Route("graph.delta", "GET", f"{folders}/{{folder}}/messages/delta", self._delta),
            Route("graph.list", "GET", f"{folders}/{{folder}}/messages", self._list),
            Route("graph.list", "GET", messages, self._list),
            Route("graph.message", "GET", f"{messages}/{{message}}", self._message),
            Route("graph.mime", "GET", f"{messages}/{{message}}/$value", self._mime),
            Route("graph.update", "PATCH", f"{messages}/{{message}}", self._update),
            Route("graph.move", "POST", f"{messages}/{{message}}/move", self._move),
            Route("graph.delete", "DELETE", f"{messages}/{{message}}", self._delete),
            Route("graph.delete", "POST", f"{messages}/{{message}}/permanentDelete", self._purge),
            Route("graph.send", "POST", f"{_IN_MAILBOX}/sendMail", self._send),
            Route("graph.batch", "POST", "/v1.0/$batch", self._batch),
            Route("graph.subscribe", "POST", "/v1.0/subscriptions", self._subscribe),
            Route("graph.subscriptions", "GET", "/v1.0/subscriptions", self._subscriptions),
            Route("graph.renew", "PATCH", "/v1.0/subscriptions/{wanted}", self._renew),
            Route("graph.unsubscribe", "DELETE", "/v1.0/subscriptions/{wanted}", self._unsubscribe),
        )

    def deliver(
        self,
        address: str,
        raw: bytes,
        *,
        folder: str = "inbox",
        received_at: datetime | None = None,
        read: bool = False,
    ) -> Message:
        """Put a message into a mailbox. :raises KeyError: there is no such mailbox or folder."""
        mailbox = self.mailboxes.get(address)
        target = self.find(mailbox, folder) if mailbox else None
        if mailbox is None or target is None:
            raise KeyError(f"{address} {folder}")
        message = mailbox.deliver(raw, target, received_at or self._clock(), is_read=read)
        self.subscriptions.arrived(mailbox.address, target.id, message.immutable_id)
        return message

    def find(self, mailbox: Mailbox, path: str) -> Folder | None:
        """A folder by id, well-known name, or names with `/` between, from the root or a well-known folder."""
        first, *rest = path.split("/")
        root = mailbox.folder(ROOT)
        found = mailbox.folder(path) or mailbox.folder(first) or (root and _child(mailbox, root, first))
        for name in rest if found and found.id != path else []:
            found = found and _child(mailbox, found, name)
        return found

    def expire_deltas(self, address: str) -> None:
        """All delta tokens of the mailbox are of no use any more."""
        mailbox = self.mailboxes.get(address)
        if mailbox is not None:
            mailbox.sync_generation += 1
            mailbox.save()

    @contextmanager
    def admit(self, request: Request, parameters: Mapping[str, str]) -> Iterator[None]:
        try:
            claims = self._entra.claims(request, GRAPH_AUDIENCE)
        except TokenRefused as refused:
            said = _TOKEN_TEXTS[str(refused)]
            raise refusal(401, "InvalidAuthenticationToken", said, WWW_Authenticate="Bearer") from refused
        if "mailbox" not in parameters:
            yield
            return
        address = parameters["mailbox"].lower()
        if not self._grants(claims, address) & _needed(request):
            raise refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        mailbox = self.mailboxes.get(address)
        if mailbox is None or mailbox.tenant != claims["tid"]:
            raise refusal(404, "ErrorInvalidUser", f"The requested user '{address}' is invalid.")
        if not mailbox.enabled:
            said = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise refusal(404, "MailboxNotEnabledForRESTAPI", said)
        with self._slots(address, 0 if request.in_batch else 1):
            yield

    def _grants(self, claims: Mapping[str, Any], address: str) -> set[str]:
        if "scp" in claims:
            return self._entra.delegated(claims, address)
        app = self._entra.apps.get((claims["tid"], claims["appid"]))
        by_exchange = app.roles if app and app.mailboxes and address in map(str.lower, app.mailboxes) else []
        return {*claims.get("roles", []), *by_exchange}

    @contextmanager
    def _slots(self, address: str, number: int) -> Iterator[None]:
        """Hold so many of the mailbox's four. :raises Refused: they are not free."""
        mailbox = self.mailboxes.get(address)
        if mailbox is None:
            yield
            return
        with mailbox.lock:
            if mailbox.running + number > CONCURRENCY:
                said = "Application is over its MailboxConcurrency limit."
                raise refusal(429, "ApplicationThrottled", said, Retry_After="1")
            mailbox.running += number
        try:
            yield
        finally:
            with mailbox.lock:
                mailbox.running -= number

    def _folders(self, request: Request, mailbox: str, folder: str = ROOT) -> Response:
        box, parent = self._place(mailbox, folder)
        terms = filter_terms(request.query.get("$filter"))
        if any(name != "displayName" for name, _, _ in terms):
            raise bad_query("the simulator filters folders by displayName only")
        hidden = request.query.get("includeHiddenFolders", "").lower() == "true"
        found = box.children(parent.id, hidden=hidden)
        wanted = [_folder(box, one) for one in found if matches(terms, partial(_folder_value, one))]
        return _paged(request, wanted)

    def _folder(self, _request: Request, mailbox: str, folder: str) -> Response:
        return Response(body=_folder(*self._place(mailbox, folder)))

    def _create_folder(self, request: Request, mailbox: str, folder: str = ROOT) -> Response:
        box, parent = self._place(mailbox, folder)
        name = request.json().get("displayName")
        if not isinstance(name, str) or not name:
            raise refusal(400, "ErrorInvalidRequest", "displayName is required.")
        with box.lock:
            created = box.add_folder(parent, name)
        if created is None:
            raise refusal(409, "ErrorFolderExists", "A folder with the specified name already exists.")
        return Response(201, _folder(box, created))

    def _delta(self, request: Request, mailbox: str, folder: str) -> Response:
        box, place = self._place(mailbox, folder)
        with box.lock:
            return delta(box, place, request)

    def _list(self, request: Request, mailbox: str, folder: str | None = None) -> Response:
        box = self._mailbox(mailbox)
        place = self._place(mailbox, folder)[1] if folder else None
        terms = filter_terms(request.query.get("$filter"))
        order = order_of(request.query.get("$orderby"), terms)
        select, expand = request.query.get("$select"), request.query.get("$expand")
        immutable = preferences(request).immutable_ids
        with box.lock:
            found = box.within(place) if place else [one for one in box.messages.values() if one.folder]
            views = [View(box, one, immutable=immutable) for one in found]
            views = [view for view in views if matches(terms, partial(message_value, view))]
            for name, descending in reversed(order or [("receivedDateTime", True)]):
                views.sort(key=PROPERTIES[name], reverse=descending)
            return _paged(request, views, lambda view: shown(view, select, expand))

    def _message(self, request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        return self._shown(request, box, found)

    def _mime(self, _request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        return Response(body=box.raw(found), headers={"Content-Type": "text/plain"}, chunked=True)

    def _update(self, request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        if request.headers.get("if-match", found.etag) not in ("*", found.etag):
            raise refusal(412, "ErrorIrresolvableConflict", "The send or update operation could not be performed.")
        changes = request.json()
        unpatchable = changes.keys() - {"isRead", "categories", "flag"}
        if unpatchable:
            raise refusal(403, "ErrorAccessDenied", f"{unpatchable.pop()} of a received message cannot be changed.")
        with box.lock:
            found.is_read = changes.get("isRead", found.is_read)
            found.categories = changes.get("categories", found.categories)
            found.flag = changes.get("flag", {}).get("flagStatus", found.flag)
            box.touch(found)
        return self._shown(request, box, found)

    def _move(self, request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        target = box.folder(str(request.json().get("destinationId", "")))
        if target is None:
            raise not_found()
        with box.lock:
            box.move(found, target)
        self.subscriptions.arrived(box.address, target.id, found.immutable_id)
        response = self._shown(request, box, found)
        response.status = 201
        return response

    def _delete(self, _request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        bin_ = box.folder("deleteditems")
        with box.lock:
            if bin_ is None or found.folder == bin_.id:
                box.take_away(found)
            else:
                box.move(found, bin_)
        return Response(204)

    def _purge(self, _request: Request, mailbox: str, message: str) -> Response:
        box, found = self._found(mailbox, message)
        with box.lock:
            box.take_away(found)
        return Response(204)

    def _send(self, request: Request, mailbox: str) -> Response:
        """A message as MIME in base64 (facts 2.6)."""
        if len(request.body) > self.max_request_bytes:
            raise refusal(413, "RequestEntityTooLarge", "The request is too large.")
        if request.headers.get("content-type", "") != "text/plain":
            raise refusal(400, "BadRequest", "the simulator takes messages as MIME only")
        try:
            raw = b64decode(b"".join(request.body.split()), validate=True)
        except binascii.Error as error:
            said = "Invalid base64 string for MIME content."
            raise refusal(400, "ErrorMimeContentInvalidBase64String", said) from error
        box, from_ = self._mailbox(mailbox), author(raw)
        if from_ not in (box.address, *box.send_as):
            raise refusal(403, "ErrorSendAsDenied", "The user account does not have the right to send mail on behalf.")
        if not recipients(raw):
            raise refusal(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        self.deliver(box.address, raw, folder="sentitems", read=True)
        self._post.send(raw)
        return Response(202)

    def _batch(self, request: Request) -> Response:
        return batch(request, self.serve, self._slots)

    def _subscribe(self, request: Request) -> Response:
        claims = self._entra.claims(request, GRAPH_AUDIENCE)
        return self.subscriptions.create(
            request, claims["appid"], lambda address: bool(self._grants(claims, address) & _READ_ROLES)
        )

    def _subscriptions(self, request: Request) -> Response:
        return self.subscriptions.shown(self._entra.claims(request, GRAPH_AUDIENCE)["appid"])

    def _renew(self, request: Request, wanted: str) -> Response:
        return self.subscriptions.renew(request, self._entra.claims(request, GRAPH_AUDIENCE)["appid"], wanted)

    def _unsubscribe(self, request: Request, wanted: str) -> Response:
        return self.subscriptions.delete(self._entra.claims(request, GRAPH_AUDIENCE)["appid"], wanted)

    def _folder_id(self, address: str, name: str) -> str | None:
        mailbox = self.mailboxes.get(address)
        found = mailbox.folder(name) if mailbox else None
        return found.id if found else None

    def _mailbox(self, address: str) -> Mailbox:
        mailbox = self.mailboxes.get(address)
        assert mailbox is not None, "admit() let the request in"
        return mailbox

    def _place(self, address: str, folder: str) -> tuple[Mailbox, Folder]:
        mailbox = self._mailbox(address)
        found = mailbox.folder(folder)
        if found is None:
            raise not_found() if folder.startswith("AAMkF") else _malformed()
        return mailbox, found

    def _found(self, address: str, message_id: str) -> tuple[Mailbox, Message]:
        mailbox = self._mailbox(address)
        found = mailbox.message(message_id)
        if found is None:
            raise not_found() if message_id.startswith("AA") else _malformed()
        return mailbox, found

    def _shown(self, request: Request, mailbox: Mailbox, message: Message) -> Response:
        wants = preferences(request)
        view = View(mailbox, message, immutable=wants.immutable_ids)
        return Response(
            body=shown(view, request.query.get("$select"), request.query.get("$expand")), headers=dict(wants.applied)
        )


def _needed(request: Request) -> set[str]:
    if request.path.lower().endswith("/sendmail"):
        return _SEND_ROLES
    return _READ_ROLES if request.method == "GET" else _WRITE_ROLES


def _malformed() -> Exception:
    return refusal(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def _child(mailbox: Mailbox, parent: Folder, name: str) -> Folder | None:
    found = mailbox.children(parent.id, hidden=True)
    return next((folder for folder in found if folder.name.casefold() == name.casefold()), None)


def _folder_value(folder: Folder, _name: str) -> str:
    return folder.name


def _folder(mailbox: Mailbox, folder: Folder) -> dict[str, Any]:
    messages = mailbox.within(folder)
    unread = sum(not message.is_read for message in messages)
    shape = {"id": folder.id, "displayName": folder.name, "parentFolderId": folder.parent, "isHidden": False}
    return shape | {
        "childFolderCount": len(mailbox.children(folder.id)),
        "unreadItemCount": unread,
        "totalItemCount": len(messages),
    }


def _paged(request: Request, items: list[Any], show: Callable[[Any], Any] = lambda item: item) -> Response:
    start, size = int(request.query.get("$skip", 0)), page_size(request)
    count = {"@odata.count": len(items)} if request.query.get("$count") == "true" else {}
    body: dict[str, Any] = count | {"value": [show(item) for item in items[start : start + size]]}
    if start + size < len(items):
        options = [
            pair for pair in request.target.partition("?")[2].split("&") if pair and not pair.startswith("$skip")
        ]
        body["@odata.nextLink"] = f"{request.origin}{request.path}?{'&'.join([*options, f'$skip={start + size}'])}"
    return Response(body=body, headers=dict(preferences(request).applied))
