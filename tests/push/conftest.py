import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from local.azurite import Azurite
from local.simulators import HOME_TENANT, Simulators
from local.simulators.graph_subscriptions import Subscription, Subscriptions
from shared.adapters.services import SourceServices
from shared.adapters.sources import open_watcher
from shared.adapters.tokens import Tokens
from shared.application.own_ids import OwnIds
from shared.application.ports.platform import PollRequest
from shared.application.push import look_after_watches
from shared.application.services import Services
from shared.bootstrap import compose
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import ClientSecret, MicrosoftAppSignIn
from shared.domain.sources import GraphSource
from shared.domain.watch import Watches
from shared.entrypoints.http import graph_hook
from shared.settings import read_settings
from tests.clock import MovableClock
from tests.sources.contract import Secrets

APP = "aaaaaaaa-0000-4000-8000-000000000001"
PUBLIC_URL = "https://mailroom.example"
HOOK = f"{PUBLIC_URL}/hooks/graph"
KEY = "a key that nobody can guess except for tests"


class Requests:
    """A queue in memory."""

    def __init__(self) -> None:
        self.put_in: list[tuple[PollRequest, timedelta]] = []

    def put(self, request: PollRequest, delay: timedelta = timedelta()) -> None:
        self.put_in.append((request, delay))

    def of(self, mailbox: Mailbox) -> list[str]:
        return [request.reason for request, _ in self.put_in if request.mailbox_id == mailbox.id]


@dataclass
class Pushed:
    """A mailbox with push on the simulated Graph, whose notifications come in by HTTP."""

    services: Services
    mailbox: Mailbox
    simulators: Simulators
    clock: MovableClock
    requests: Requests = field(default_factory=Requests)

    @property
    def graph(self) -> Subscriptions:
        return self.simulators.graph.subscriptions

    @property
    def address(self) -> str:
        return self.mailbox.address

    def sweep(self) -> None:
        look_after_watches(self.services)

    def subscriptions(self) -> list[Subscription]:
        return self.graph.of(self.address)

    def stored(self) -> Watches | None:
        return next((each for each in self.services.watches.all() if each.mailbox_id == self.mailbox.id), None)

    def configure(self, **changes) -> None:
        before = self.services.mailboxes.get(self.mailbox.id)
        self.mailbox = before.value.model_copy(update=changes)
        self.services.mailboxes.replace(self.mailbox, before.etag)

    def push(self, **changes) -> GraphSource:
        return self.mailbox.source.model_copy(update=changes)

    def deliver(self, folder: str = "inbox") -> None:
        self.simulators.graph.deliver(self.address, b"Subject: Hi\r\n\r\nHello", folder=folder)


class _Hook(BaseHTTPRequestHandler):
    """What the Functions host does with requests to the hook."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = func.HttpRequest("POST", self.path, params=dict(parse_qsl(urlsplit(self.path).query)), body=body)
        answer = graph_hook.answer(request)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", f"{answer.mimetype}; charset={answer.charset}")
        self.end_headers()
        self.wfile.write(answer.get_body())

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def simulators(tmp_path: Path, clock: MovableClock) -> Iterator[Simulators]:
    with Simulators(tmp_path / "ca.pem", clock=clock) as running:
        running.entra.add_app(APP, "the-app-secret", roles=["Mail.ReadWrite"])
        yield running


@pytest.fixture
def hook(simulators: Simulators) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hook) as server:
        simulators.graph.subscriptions.fronts[PUBLIC_URL] = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture
def pushed(
    azurite: Azurite, simulators: Simulators, hook: None, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pushed]:
    environment = {
        "DATA_STORAGE": azurite.connection_string,
        "KEY_VAULT_URI": "https://vault.example",
        "POLL_SCHEDULE": "0 * * * * *",
        "LOGIN_ENDPOINT": simulators.url,
        "GRAPH_ENDPOINT": simulators.url,
        "PUBLIC_URL": PUBLIC_URL,
        "EXTRA_CA_FILE": str(simulators.ca_file),
        "ALLOW_LOOPBACK_TARGETS": "true",
    }
    secrets = Secrets({"graph-secret": "the-app-secret", "message-id-key": KEY})
    settings, requests = read_settings(environment), Requests()
    for_sources = SourceServices(settings, secrets, Tokens(settings, secrets, clock), clock)
    services = replace(
        compose(settings, clock),
        polls=requests,
        secrets=secrets,
        own_ids=OwnIds(secrets),
        open_watcher=lambda mailbox: open_watcher(mailbox, for_sources),
    )
    monkeypatch.setattr("shared.bootstrap.services", lambda: services)
    name = uuid.uuid4().hex[:12]
    simulators.graph.mailboxes.add(f"{name}@example.com")
    sign_in = MicrosoftAppSignIn(tenant=HOME_TENANT, client_id=APP, credential=ClientSecret(secret="graph-secret"))
    mailbox = Mailbox(
        id=f"push-{name}",
        created_at=clock(),
        name=name,
        address=f"{name}@example.com",
        ticket_prefix="SUP",
        source=GraphSource(sign_in=sign_in, push=True),
    )
    services.mailboxes.add(mailbox)
    yield Pushed(services, mailbox, simulators, clock, requests)
    services.mailboxes.delete(mailbox.id, services.mailboxes.get(mailbox.id).etag)
    services.watches.delete(mailbox.id)
