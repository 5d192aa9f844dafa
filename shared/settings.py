"""The app settings: environment -> one frozen `Settings`, or one error that names every problem."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from shared.domain.clouds import CLOUDS, Cloud, CloudName
from shared.domain.errors import SettingsError

# Every app setting that Mailroom reads, with what it is for; `docs/deploying.md` and the Bicep are tested against it.
NAMES = {
    "DATA_STORAGE": "connection string of the data account; local only, in Azure the three below take its place",
    "DATA_STORAGE__tableServiceUri": "table endpoint of the data account",
    "DATA_STORAGE__blobServiceUri": "blob endpoint of the data account",
    "DATA_STORAGE__queueServiceUri": "queue endpoint of the data account; also read by the queue triggers",
    "KEY_VAULT_URI": "the vault that holds the secrets of mailboxes and senders",
    "POLL_SCHEDULE": "NCRONTAB in UTC: when due mailboxes are looked for; read by the timer trigger",
    "RETENTION_SCHEDULE": "NCRONTAB in UTC: when what is past its retention is removed; read by the timer trigger",
    "LOGIN_ENDPOINT": "Entra ID, https://login.microsoftonline.com unless set",
    "GRAPH_ENDPOINT": "Microsoft Graph, https://graph.microsoft.com unless set",
    "PUBLIC_URL": "where browsers reach this app, to come back from signing in with Microsoft, Google and others",
    "ALLOW_SECRET_WRITES": "true where the app may write secrets: by API, sign-in and renewal, and its signing key",
    "GOOGLE_TOKEN_ENDPOINT": "Google's sign-in, https://oauth2.googleapis.com/token unless set; local only",
    "GMAIL_ENDPOINT": "Gmail API, https://gmail.googleapis.com unless set; local only",
    "GOOGLE_LOGIN_ENDPOINT": "where people sign in with Google, https://accounts.google.com unless set; local only",
    "EXTRA_CA_FILE": "PEM file of certificate authorities to trust beside the public ones",
    "ALLOW_LOOPBACK_TARGETS": "true where mail servers may be on this machine; local only",
}

_ADDRESSES: Mapping[str, str | None] = {
    "KEY_VAULT_URI": "",
    "LOGIN_ENDPOINT": CLOUDS["global"].login,
    "GRAPH_ENDPOINT": CLOUDS["global"].graph,
    "PUBLIC_URL": None,
    "GOOGLE_LOGIN_ENDPOINT": "https://accounts.google.com",
    "GOOGLE_TOKEN_ENDPOINT": "https://oauth2.googleapis.com/token",
    "GMAIL_ENDPOINT": "https://gmail.googleapis.com",
}
"""With their defaults: empty where there must be a value, None where there may be none."""
_FLAGS = ("ALLOW_SECRET_WRITES", "ALLOW_LOOPBACK_TARGETS")

_AZURITE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)  # the storage emulator's published development account; it opens nothing else


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the data account is: either a connection string, or three endpoints opened by the app's identity."""

    connection_string: str | None
    table_endpoint: str
    blob_endpoint: str
    queue_endpoint: str


@dataclass(frozen=True, slots=True)
class Settings:
    storage: StorageSettings
    key_vault_uri: str
    login_endpoint: str
    graph_endpoint: str
    google_login_endpoint: str
    public_url: str
    allow_secret_writes: bool
    google_token_endpoint: str
    gmail_endpoint: str
    extra_ca_file: str | None
    allow_loopback_targets: bool

    def cloud(self, name: CloudName) -> Cloud:
        """The two endpoints stand in for those of the global cloud."""
        found = CLOUDS[name]
        return replace(found, login=self.login_endpoint, graph=self.graph_endpoint) if name == "global" else found


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and check all settings. :raises SettingsError: with every problem at once."""
    problems = [
        f"{name} is a Key Vault reference that did not resolve; grant the app's identity access to the secret"
        for name in NAMES
        if environment.get(name, "").startswith("@Microsoft.KeyVault(")
    ]
    if len(environment.get("POLL_SCHEDULE", "").split()) != 6:
        problems.append("POLL_SCHEDULE must be an NCRONTAB expression of six fields, such as `0 * * * * *`")
    storage = _storage(environment, problems)
    addresses = {name.lower(): _url(environment, name, problems, default) for name, default in _ADDRESSES.items()}
    flags = {name.lower(): _flag(environment, name, problems) for name in _FLAGS}
    found: dict[str, Any] = {**addresses, **flags, "extra_ca_file": environment.get("EXTRA_CA_FILE") or None}
    settings = Settings(storage, **found)
    if problems:
        raise SettingsError(problems)
    return settings


def _storage(environment: Mapping[str, str], problems: list[str]) -> StorageSettings:
    connection_string = environment.get("DATA_STORAGE")
    if connection_string == "UseDevelopmentStorage=true":
        connection_string = _AZURITE
    if connection_string:
        return StorageSettings(connection_string, "", "", "")
    return StorageSettings(
        None,
        table_endpoint=_url(environment, "DATA_STORAGE__tableServiceUri", problems),
        blob_endpoint=_url(environment, "DATA_STORAGE__blobServiceUri", problems),
        queue_endpoint=_url(environment, "DATA_STORAGE__queueServiceUri", problems),
    )


def _url(environment: Mapping[str, str], name: str, problems: list[str], default: str | None = "") -> str:
    value = environment.get(name) or default
    if value is None:
        return ""
    if not value:
        problems.append(f"{name} is missing: {NAMES[name]}")
    elif urlsplit(value).scheme != "https" or not urlsplit(value).hostname:
        problems.append(f"{name} must be an https:// address")
    return value.rstrip("/")


def _flag(environment: Mapping[str, str], name: str, problems: list[str]) -> bool:
    value = environment.get(name, "false").lower()
    if value not in ("true", "false"):
        problems.append(f"{name} must be true or false")
    return value == "true"
