"""The demo: what Mailroom talks to on this machine, and two mailboxes full of sample mail."""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from local.azurite import run_azurite
from local.imap_server import HOST, ImapServer, run_imap_server
from local.run.kept import Kept, free_port
from local.simulators import HOME_TENANT, Simulators
from local.smtp_server import Received, SmtpServer, run_smtp_server

_SAMPLES = Path(__file__).parent.parent / "mail"
_SUPPORT, _BILLING = "support@example.com", "billing@example.com"
_GRAPH_APP, _GRAPH_SECRET = "11111111-1111-4111-8111-111111111111", "made up for the demo"
_OWN_APP, _OWN_SECRET = "22222222-2222-4222-8222-222222222222", "the app's identity here"
_PASSWORD = "made up for the demo as well"


@dataclass(frozen=True, slots=True)
class DemoMailbox:
    """`settings` as the API takes them; `deliver` puts a raw message into the inbox."""

    kind: str
    served_by: str
    settings: dict[str, Any]
    deliver: Callable[[bytes], object]

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def label(self) -> str:
        return f"{self.name} ({self.kind})"

    def receive(self, raw: bytes) -> bytes:
        """Deliver with the line ends that mail has. What was delivered."""
        content = re.sub(rb"\r?\n", b"\r\n", raw)
        self.deliver(content)
        return content


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything but the functions host, which needs this environment. What is sent is kept in a folder."""

    environment: dict[str, str]
    mailboxes: tuple[DemoMailbox, ...]
    sender: dict[str, Any]
    smtp: SmtpServer
    sent: Path


@contextmanager
def run_demo(folder: Path, kept: Kept) -> Iterator[Demo]:
    """Run the services for the duration of the block, and fill them the first time. :raises RuntimeError:"""
    kept.simulators_port, kept.imap_port = free_port(kept.simulators_port), free_port(kept.imap_port)
    kept.smtp_port, sent = free_port(kept.smtp_port), folder / "sent"
    sent.mkdir(exist_ok=True)
    with ExitStack() as stack:
        azurite = stack.enter_context(run_azurite(folder / "azurite"))
        simulators = Simulators(folder / "simulators.pem", folder / "simulators", kept.simulators_port)
        stack.enter_context(simulators)
        imap = stack.enter_context(run_imap_server(folder / "maildir", _BILLING, _PASSWORD, kept.imap_port))
        takes = SmtpServer(port=kept.smtp_port, deliver=partial(_keep, sent))
        smtp = stack.enter_context(run_smtp_server("tls", takes))
        trusted = folder / "trusted.pem"
        trusted.write_bytes(simulators.ca_file.read_bytes() + imap.ca_certificate + smtp.ca_certificate)
        demo = Demo(
            _environment(azurite.connection_string, simulators.url, trusted),
            (_support(simulators), _billing(imap)),
            _sender(smtp),
            smtp,
            sent,
        )
        if not kept.is_filled:
            _fill(simulators, demo)
            kept.is_filled = True
        kept.save(folder)
        yield demo


def _environment(storage: str, microsoft: str, trusted: Path) -> dict[str, str]:
    """The app settings, the identity that the app has in Azure, and no proxy between the parts."""
    return {
        "DATA_STORAGE": storage,
        "KEY_VAULT_URI": microsoft,
        "LOGIN_ENDPOINT": microsoft,
        "GRAPH_ENDPOINT": microsoft,
        "EXTRA_CA_FILE": str(trusted),
        "ALLOW_LOOPBACK_TARGETS": "true",
        "POLL_SCHEDULE": "*/5 * * * * *",
        "RETENTION_SCHEDULE": "0 30 2 * * *",
        "AZURE_AUTHORITY_HOST": microsoft,
        "AZURE_TENANT_ID": HOME_TENANT,
        "AZURE_CLIENT_ID": _OWN_APP,
        "AZURE_CLIENT_SECRET": _OWN_SECRET,
        "NO_PROXY": "localhost,127.0.0.1",
    }


def _support(simulators: Simulators) -> DemoMailbox:
    source = {
        "kind": "graph",
        "sign_in": {
            "kind": "microsoft_app",
            "tenant": HOME_TENANT,
            "client_id": _GRAPH_APP,
            "credential": {"kind": "secret", "secret": "support-graph"},
        },
    }
    settings = _settings("Support", _SUPPORT, "SUP", source, {"action": "mark_read"})
    return DemoMailbox("Graph", "simulated Microsoft Graph", settings, partial(simulators.graph.deliver, _SUPPORT))


def _billing(imap: ImapServer) -> DemoMailbox:
    sign_in = {"kind": "password", "account": _BILLING, "password_secret": "billing-imap"}
    source = {"kind": "imap", "host": HOST, "port": imap.port, "sign_in": sign_in}
    settings = _settings("Billing", _BILLING, "BIL", source, {"action": "move", "folder": "Processed"})
    return DemoMailbox("IMAP", f"an IMAP server at {HOST}:{imap.port}", settings, imap.deliver)


def _sender(smtp: SmtpServer) -> dict[str, Any]:
    """What it takes goes no further than this machine."""
    transport = {"kind": "smtp", "host": HOST, "port": smtp.port}
    return {
        "name": "This terminal",
        "from_address": "mailroom@example.com",
        "transport": transport,
        "limits": {"messages_per_minute": 1_000},
    }


def _keep(folder: Path, received: Received) -> None:
    number = len([*folder.glob("*.eml")]) + 1
    (folder / f"{number:04}.eml").write_bytes(received.content)


def _settings(
    name: str, address: str, prefix: str, source: dict[str, Any], settlement: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "address": address,
        "ticket_prefix": prefix,
        "source": source,
        "settlement": settlement,
        "schedule": {"interval_seconds": 10},
        "intake": {"start_from": "beginning"},
    }


def _fill(simulators: Simulators, demo: Demo) -> None:
    simulators.entra.add_app(_OWN_APP, _OWN_SECRET, roles=[], vault="user")
    simulators.entra.add_app(_GRAPH_APP, _GRAPH_SECRET)
    simulators.graph.mailboxes.add(_SUPPORT)
    simulators.vault.put("message-id-key", secrets.token_urlsafe(32))
    simulators.vault.put("support-graph", _GRAPH_SECRET)
    simulators.vault.put("billing-imap", _PASSWORD)
    for mailbox in demo.mailboxes:
        for sample in sorted((_SAMPLES / mailbox.kind.lower()).glob("*.eml")):
            mailbox.deliver(sample.read_bytes())
