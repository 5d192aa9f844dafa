"""Everything that Mailroom talks to, running at once: for benchmarks and for tests of the whole."""

import imaplib
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.azurite import Azurite, run_azurite
from local.dovecot import PASSWORD, Dovecot, run_dovecot
from local.simulators import HOME_TENANT, Simulators
from local.simulators.google import MODIFY
from shared.domain.fields import Tls
from shared.domain.mailbox import Intake, Mailbox
from shared.domain.sign_in import ClientSecret, GoogleUserSignIn, MicrosoftAppSignIn, PasswordSignIn
from shared.domain.sources import EwsSource, GmailSource, GraphSource, ImapSource, Pop3Source

CLIENT_ID = "11111111-1111-4111-8111-111111111111"
APP_ID = "22222222-2222-4222-8222-222222222222"
_SECRETS = {
    "graph-secret": "graph-secret-value",
    "imap-password": PASSWORD,
    "google-secret": "google-secret-value",
    "message-id-key": "a key that nobody can guess, but for tests",
}


@dataclass(frozen=True, slots=True)
class World:
    """Azurite, Dovecot and the simulated services, with the app registered and its secrets stored."""

    azurite: Azurite
    dovecot: Dovecot
    simulators: Simulators
    environment: dict[str, str]

    def imap_mailbox(self, contents: Iterable[bytes], **settings: Any) -> Mailbox:
        user = f"user-{uuid.uuid4().hex[:12]}"
        connection = imaplib.IMAP4("127.0.0.1", self.dovecot.imap_port)
        connection.login(user, PASSWORD)
        for content in contents:
            connection.append("INBOX", "", "", content)
        connection.logout()
        source = ImapSource(
            host="localhost",
            port=self.dovecot.imaps_port,
            sign_in=PasswordSignIn(account=user, password_secret="imap-password"),
            tls=Tls(ca_certificate=self.dovecot.ca_file.read_text()),
        )
        return _mailbox(user, source=source, **settings)

    def pop3_mailbox(self, contents: Iterable[bytes], **settings: Any) -> Mailbox:
        mailbox = self.imap_mailbox(contents, **settings)
        assert isinstance(mailbox.source, ImapSource)
        of_imap = mailbox.source
        source = Pop3Source(host="localhost", port=self.dovecot.pop3s_port, sign_in=of_imap.sign_in, tls=of_imap.tls)
        return mailbox.model_copy(update={"source": source})

    def graph_mailbox(self, contents: Iterable[bytes], **settings: Any) -> Mailbox:
        user = self._exchange_user(contents)
        source = GraphSource(
            sign_in=MicrosoftAppSignIn(
                tenant=HOME_TENANT, client_id=CLIENT_ID, credential=ClientSecret(secret="graph-secret")
            )
        )
        return _mailbox(user, source=source, **settings)

    def ews_mailbox(self, contents: Iterable[bytes], **settings: Any) -> Mailbox:
        user = self._exchange_user(contents)
        self.simulators.ews.access.add(f"{user}@example.com", PASSWORD)
        sign_in = PasswordSignIn(account=f"{user}@example.com", password_secret="imap-password", method="plain")
        source = EwsSource(server=f"{self.simulators.url}/EWS/Exchange.asmx", sign_in=sign_in)
        return _mailbox(user, source=source, **settings)

    def gmail_mailbox(self, contents: Iterable[bytes], **settings: Any) -> Mailbox:
        user = f"user-{uuid.uuid4().hex[:12]}"
        self.simulators.gmail.mailboxes.add(f"{user}@example.com")
        for content in contents:
            self.simulators.gmail.deliver(f"{user}@example.com", content)
        token = self.simulators.google.consent(f"{user}@example.com", CLIENT_ID, MODIFY)
        self.simulators.vault.put(f"{user}-token", token)
        sign_in = GoogleUserSignIn(
            client_id=CLIENT_ID, client_secret="google-secret", refresh_token_secret=f"{user}-token"
        )
        return _mailbox(user, source=GmailSource(sign_in=sign_in), **settings)

    def _exchange_user(self, contents: Iterable[bytes]) -> str:
        user = f"user-{uuid.uuid4().hex[:12]}"
        self.simulators.graph.mailboxes.add(f"{user}@example.com")
        for content in contents:
            self.simulators.graph.deliver(f"{user}@example.com", content)
        return user

    @property
    def kinds(self) -> dict[str, str]:
        """What the requests to each `host:port` are counted as."""
        storage = (self.azurite.table_endpoint, self.azurite.blob_endpoint, self.azurite.queue_endpoint)
        return {endpoint.split("/")[2]: "storage" for endpoint in storage} | {
            self.simulators.url.removeprefix("https://"): "simulators"
        }


@contextmanager
def run_world() -> Iterator[World]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailroom-")))
        azurite = stack.enter_context(run_azurite())
        dovecot = stack.enter_context(run_dovecot())
        simulators = stack.enter_context(Simulators(folder / "ca.pem"))
        simulators.entra.add_tenant(HOME_TENANT)
        simulators.entra.add_app(CLIENT_ID, "graph-secret-value", roles=["Mail.ReadWrite"])
        simulators.entra.add_app(APP_ID, "app-identity-secret", roles=[], vault="user")
        for name, value in _SECRETS.items():
            simulators.vault.put(name, value)
        simulators.google.clients.add(CLIENT_ID, _SECRETS["google-secret"])
        yield World(azurite, dovecot, simulators, _environment(azurite, simulators))


def _environment(azurite: Azurite, simulators: Simulators) -> dict[str, str]:
    """The app settings, and the identity that the app has in Azure."""
    return {
        "DATA_STORAGE": azurite.connection_string,
        "POLL_SCHEDULE": "0 * * * * *",
        "RETENTION_SCHEDULE": "0 30 2 * * *",
        "KEY_VAULT_URI": simulators.url,
        "LOGIN_ENDPOINT": simulators.url,
        "GRAPH_ENDPOINT": simulators.url,
        "GOOGLE_TOKEN_ENDPOINT": f"{simulators.url}/token",
        "GMAIL_ENDPOINT": simulators.url,
        "EXTRA_CA_FILE": str(simulators.ca_file),
        "ALLOW_LOOPBACK_TARGETS": "true",
        "AZURE_TENANT_ID": HOME_TENANT,
        "AZURE_CLIENT_ID": APP_ID,
        "AZURE_CLIENT_SECRET": "app-identity-secret",
        "AZURE_AUTHORITY_HOST": simulators.url,
    }


def _mailbox(user: str, **settings: Any) -> Mailbox:
    return Mailbox(
        id=user,
        created_at=datetime.now(UTC),
        name=user,
        address=f"{user}@example.com",
        ticket_prefix="SUP",
        intake=Intake(start_from="beginning"),
        **settings,
    )
