import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.simulators import Simulators
from shared.adapters.identity import AppIdentity
from shared.settings import Settings

MANAGED = "cccccccc-0000-4000-8000-000000000003"


class _Endpoint(BaseHTTPRequestHandler):
    """The managed identity endpoint of App Service."""

    asked: list[tuple[dict[str, list[str]], str | None]]

    def do_GET(self) -> None:
        self.asked.append((parse_qs(urlsplit(self.path).query), self.headers["X-IDENTITY-HEADER"]))
        token = {"access_token": "a-token", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"}
        body = json.dumps(token).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[dict[str, list[str]], str | None]]]:
    """What the endpoint was asked."""
    handler = type("Handler", (_Endpoint,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "the-header")
    monkeypatch.setenv("AZURE_CLIENT_ID", MANAGED)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler.asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_in_azure_the_app_is_its_managed_identity(asked: list, settings: Settings) -> None:
    token = AppIdentity(settings).get_token("https://storage.azure.com/.default")

    [(query, header)] = asked
    assert token.token == "a-token"
    assert query["resource"] == ["https://storage.azure.com"]
    assert query["client_id"] == [MANAGED]
    assert header == "the-header"


@pytest.mark.usefixtures("_app_registration")
def test_elsewhere_it_is_an_app_registration(simulators: Simulators, settings: Settings) -> None:
    token = AppIdentity(settings).get_token("https://vault.azure.net/.default")

    assert token.token
    assert simulators.counts["entra.token"] == 1


def test_composing_the_identity_imports_nothing_of_azure() -> None:
    code = "import sys, shared.adapters.identity, shared.adapters.vault, shared.adapters.tokens;"
    code += "print([name for name in ('azure.identity', 'azure.keyvault', 'msal', 'requests') if name in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
