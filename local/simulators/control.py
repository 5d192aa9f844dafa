"""The control surface: other processes arrange what the simulated services know, and look at what became of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from local.simulators.entra import Entra
from local.simulators.ews import Ews
from local.simulators.faults import Faults
from local.simulators.graph import Graph
from local.simulators.graph_query import PROPERTIES, View
from local.simulators.graph_store import Mailbox
from local.simulators.vault import Vault
from local.simulators.web import Refused, Request, Response, Route

_SHOWN = ("id", "internetMessageId", "subject", "receivedDateTime", "isRead", "categories")


class Control:
    """Everything under `/_control/`. Bodies are JSON with the arguments of the method named beside each route; a
    message is raw MIME, with `mailbox`, `folder`, `received_at` and `read` in the query.
    """

    def __init__(
        self, entra: Entra, graph: Graph, ews: Ews, vault: Vault, *, faults: Faults, counts: Counter[str]
    ) -> None:
        self._graph = graph
        self._counts = counts

        def post(name: str, act: Callable[..., Any]) -> Route:
            return Route("control", "POST", f"/_control/{name}", lambda request: done(act, request.json()))

        self.routes = (
            post("tenants", entra.add_tenant),
            post("apps", entra.add_app),
            post("mailboxes", graph.mailboxes.add),
            post("ews-accounts", ews.access.add),
            post("secrets", vault.put),
            post("faults", faults.add),
            post("expire-deltas", graph.expire_deltas),
            Route("control", "DELETE", "/_control/faults", lambda _: done(faults.clear, {})),
            Route("control", "POST", "/_control/messages", self._deliver),
            Route("control", "GET", "/_control/state", self._state),
            Route("control", "GET", "/_control/counts", lambda _: Response(body=dict(counts))),
            Route("control", "DELETE", "/_control/counts", lambda _: done(counts.clear, {})),
        )

    def admit(self, _request: Request, _parameters: Mapping[str, str]) -> AbstractContextManager[None]:
        return nullcontext()

    def _deliver(self, request: Request) -> Response:
        query = request.query
        arguments: dict[str, Any] = {"folder": query.get("folder", "inbox"), "read": query.get("read") == "true"}
        if "received_at" in query:
            arguments["received_at"] = datetime.fromisoformat(query["received_at"])
        return done(self._graph.deliver, {"address": query.get("mailbox", ""), "raw": request.body, **arguments})

    def _state(self, _request: Request) -> Response:
        return Response(body={mailbox.address: _contents(mailbox) for mailbox in self._graph.mailboxes})


def _contents(mailbox: Mailbox) -> dict[str, Any]:
    """Every folder by name with its messages."""
    with mailbox.lock:
        return {
            folder.name: [
                {name: PROPERTIES[name](View(mailbox, message, immutable=True)) for name in _SHOWN}
                for message in mailbox.within(folder)
            ]
            for folder in mailbox.folders.values()
        }


def done(act: Callable[..., Any], arguments: dict[str, Any]) -> Response:
    try:
        act(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise Refused(Response(400, {"error": {"code": "BadRequest", "message": str(error)}})) from error
    return Response(204)
