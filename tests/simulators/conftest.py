from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.simulators import HOME_TENANT, Simulators
from tests.clock import MovableClock

APP = "aaaaaaaa-0000-4000-8000-000000000001"
SECRET = "the-app-secret"
MAILBOX = "help@example.com"


class Client:
    """A bare HTTP client of the simulated services, signed in as the app."""

    def __init__(self, simulators: Simulators) -> None:
        self.url = simulators.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(simulators.ca_file)
        self.audience = "https://graph.microsoft.com"

    def form(self, tenant: str = HOME_TENANT, **fields: str | None) -> requests.Response:
        """A token request; None leaves a field out."""
        form: dict[str, str | None] = {"grant_type": "client_credentials", "client_id": APP, "client_secret": SECRET}
        form |= {"scope": f"{self.audience}/.default"} | fields
        return self.session.post(f"{self.url}/{tenant}/oauth2/v2.0/token", data=form)

    def sign_in(self, **fields: str) -> "Client":
        self.session.headers["Authorization"] = f"Bearer {self.form(**fields).json()['access_token']}"
        return self

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("https:") else self.url + path
        return self.session.request(method, url, **options)

    def mail(self, method: str, path: str, *, immutable: bool = True, **options: Any) -> requests.Response:
        """A request below the mailbox."""
        headers = {"Prefer": 'IdType="ImmutableId"'} if immutable else {}
        options["headers"] = headers | options.get("headers", {})
        return self.request(method, path if path.startswith("https:") else f"/v1.0/users/{MAILBOX}{path}", **options)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def simulators(tmp_path: Path, clock: MovableClock) -> Iterator[Simulators]:
    with Simulators(tmp_path / "ca.pem", clock=clock) as running:
        running.entra.add_app(APP, SECRET, vault="officer")
        running.graph.mailboxes.add(MAILBOX)
        yield running


@pytest.fixture
def client(simulators: Simulators) -> Iterator[Client]:
    client = Client(simulators)
    with client.session:
        yield client


@pytest.fixture
def graph(client: Client) -> Client:
    return client.sign_in()
