"""The control surface of everything that people and apps sign in with, and of Gmail: see `control.Control`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from local.simulators.control import done
from local.simulators.entra_assertions import Identities
from local.simulators.entra_users import EntraUsers
from local.simulators.gmail import Gmail
from local.simulators.gmail_store import Mailbox
from local.simulators.google import Google
from local.simulators.oauth_provider import OAuthProvider
from local.simulators.web import Request, Response, Route


class AccountControl:
    """`sign-in` is for the people at a browser; a Gmail message is raw MIME, with `mailbox`, `labels` (with commas),
    `received_at` and `read` in the query.
    """

    def __init__(
        self, users: EntraUsers, identities: Identities, google: Google, gmail: Gmail, *, oauth: OAuthProvider
    ) -> None:
        self._gmail = gmail
        orders: dict[str, Callable[..., Any]] = {
            "users": users.add,
            "users/sign-in": users.sign_in,
            "users/revoke": users.revoke,
            "identities": identities.add,
            "google/clients": google.clients.add,
            "google/service-accounts": google.add_service_account,
            "google/sign-in": google.sign_in,
            "google/revoke": google.revoke,
            "gmail/mailboxes": gmail.mailboxes.add,
            "gmail/expire-history": gmail.expire_history,
            "oauth/clients": oauth.clients.add,
            "oauth/sign-in": oauth.sign_in,
            "oauth/revoke": oauth.revoke,
        }
        self.routes = (
            *(_order(name, act) for name, act in orders.items()),
            Route("control", "POST", "/_control/gmail/messages", self._deliver),
            Route("control", "GET", "/_control/gmail/state", self._state),
        )

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def _deliver(self, request: Request) -> Response:
        query = request.query
        arguments: dict[str, Any] = {"labels": query.get("labels", "INBOX").split(",")}
        arguments["read"] = query.get("read") == "true"
        if "received_at" in query:
            arguments["received_at"] = datetime.fromisoformat(query["received_at"])
        return done(self._gmail.deliver, {"address": query.get("mailbox", ""), "raw": request.body, **arguments})

    def _state(self, _request: Request) -> Response:
        return Response(body={mailbox.address: _contents(mailbox) for mailbox in self._gmail.mailboxes})


def _order(name: str, act: Callable[..., Any]) -> Route:
    return Route("control", "POST", f"/_control/{name}", lambda request: done(act, request.json()))


def _contents(mailbox: Mailbox) -> list[dict[str, Any]]:
    """The messages, newest first, with the names of their labels."""
    with mailbox.lock:
        return [
            {
                "id": message.id,
                "internetMessageId": message.message_id,
                "subject": str(mailbox.headers(message).get("Subject", "")),
                "labels": [mailbox.labels.get(label, label) for label in message.labels],
            }
            for message in mailbox.newest_first()
        ]
