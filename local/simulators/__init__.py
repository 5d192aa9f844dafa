"""Simulated Entra ID, Microsoft Graph mail, Exchange Web Services, Key Vault, Google sign-in, Gmail API and another
OAuth 2 provider, as strict as the real ones, on one HTTPS server on loopback.

A service is a class with `routes` and `admit` (see `web.Service`); adding one is a line in `Simulators`.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from local.simulators.control import Control
from local.simulators.control_accounts import AccountControl
from local.simulators.entra import HOME_TENANT, Entra, token_error
from local.simulators.entra_assertions import Assertions, Identities
from local.simulators.entra_users import EntraUsers
from local.simulators.ews import Ews
from local.simulators.ews_soap import soap_fault
from local.simulators.faults import Fault, Faults
from local.simulators.gmail import Gmail
from local.simulators.gmail_wire import gmail_error
from local.simulators.google import Google
from local.simulators.graph import Graph
from local.simulators.graph_wire import graph_error
from local.simulators.oauth_provider import OAuthProvider
from local.simulators.post import Post
from local.simulators.server import Front, HttpsServer
from local.simulators.state import State
from local.simulators.vault import Vault

__all__ = ["HOME_TENANT", "Fault", "Simulators", "gmail_error", "graph_error", "soap_fault", "token_error"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Simulators:
    """All simulated services at `url`, which is the endpoint of each; a context manager, or `start` and `stop`.

    `counts` counts the requests by kind (`graph.delta`); sub-requests of batches count as `batched:graph.move`.
    `post` has what was sent. With a `state` folder everything is kept in files, and the next start goes on with it.
    """

    def __init__(
        self, ca_file: Path, state: Path | None = None, port: int = 0, clock: Callable[[], datetime] = _utc_now
    ) -> None:
        kept = State(state)
        self.ca_file = ca_file
        self.counts: Counter[str] = Counter()
        self.faults = Faults()
        self.entra = Entra(kept, clock)
        self.users = EntraUsers(kept, self.entra, clock)
        self.entra.check_assertion = Assertions(self.entra, clock).check
        self.identities = Identities(kept, self.entra)
        self.google = Google(kept, clock)
        self.post = Post()
        self.gmail = Gmail(kept, self.google, clock, self.post)
        self.oauth = OAuthProvider(kept, clock, (self.google.mail_access, self.users.mail_access))
        self.graph = Graph(kept, self.entra, clock, self.post)
        self.ews = Ews(kept, self.entra, self.graph.mailboxes, clock, self.post)
        self.post.carriers = (self.graph.deliver, self.gmail.deliver)
        self.vault = Vault(kept, self.entra, clock)
        control = Control(self.entra, self.graph, self.ews, self.vault, faults=self.faults, counts=self.counts)
        accounts = AccountControl(self.users, self.identities, self.google, self.gmail, oauth=self.oauth)
        sign_in = (self.entra, self.users, self.identities, self.google, self.oauth)
        services = (*sign_in, self.graph, self.gmail, self.ews, self.vault, control, accounts)
        front = Front(services, self.faults, self.counts)
        self.graph.serve = front.answer_part
        self._server = HttpsServer(port, front, ca_file)
        self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def requests(self, service: str) -> int:
        """How many HTTP requests a service has had, such as `graph`."""
        return sum(number for kind, number in self.counts.items() if kind.startswith(f"{service}."))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.stop()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
