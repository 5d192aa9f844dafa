"""Secrets from Azure Key Vault (req S1, S3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from shared.application.ports import Clock
from shared.domain.errors import Conflict, SecretMissing, SecretsReadOnly, StoreUnavailable
from shared.settings import Settings

_MAX_AGE = timedelta(minutes=5)
_PUBLIC_SUFFIXES = (".vault.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn")
_TRIES = 3


class KeyVaultSecrets:
    """The `SecretStore` on one vault; the newest enabled version of a secret counts."""

    def __init__(self, settings: Settings, credential: Any, clock: Clock) -> None:
        self._settings = settings
        self._credential = credential
        self._clock = clock
        self._known: dict[str, tuple[datetime, str]] = {}

    def get(self, name: str) -> str:
        now = self._clock()
        read_at, value = self._known.get(name, (now - _MAX_AGE, ""))
        if now - read_at >= _MAX_AGE:
            value = self._read(name)
            self._known[name] = now, value
        return value

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        if not self._settings.allow_secret_writes:
            raise SecretsReadOnly
        with _vault_errors(name):
            self._client.set_secret(name, value, expires_on=expires_at)
        self._known[name] = self._clock(), value

    def _read(self, name: str) -> str:
        with _vault_errors(name):
            value: str | None = self._client.get_secret(name).value
        if not value:
            raise SecretMissing(f"The secret `{name}` is empty.", advice="Set its value in Key Vault.")
        return value

    @cached_property
    def _client(self) -> Any:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.keyvault.secrets import SecretClient

        from shared.adapters.https import Session

        is_public = (urlsplit(self._settings.key_vault_uri).hostname or "").endswith(_PUBLIC_SUFFIXES)
        return SecretClient(
            self._settings.key_vault_uri,
            self._credential,
            verify_challenge_resource=is_public,  # elsewhere the challenge names a resource of another domain
            retry_total=_TRIES - 1,
            transport=RequestsTransport(session=Session(self._settings), session_owner=False),
        )


@contextmanager
def _vault_errors(name: str) -> Iterator[None]:
    """The seam for what Key Vault's client raises; its texts may hold token errors, so none is passed on."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ResourceExistsError,
        ResourceNotFoundError,
    )

    try:
        yield
    except ResourceNotFoundError as exc:
        advice = "Add it to Key Vault, or correct its name in the mailbox."
        raise SecretMissing(f"There is no secret `{name}` in Key Vault.", advice=advice) from exc
    except ResourceExistsError as exc:
        advice = "Recover or purge it in Key Vault, or take another name."
        raise Conflict(f"A deleted secret `{name}` keeps the name.", advice=advice) from exc
    except ClientAuthenticationError as exc:
        advice = "Check that the app has an identity (AZURE_CLIENT_ID names a user-assigned one)."
        raise StoreUnavailable("Key Vault does not know the app's identity.", advice=advice) from exc
    except HttpResponseError as exc:
        if _inner_code(exc) == "SecretDisabled":
            advice = "Enable it in Key Vault, or add a new version."
            raise SecretMissing(f"The secret `{name}` is disabled.", advice=advice) from exc
        if exc.status_code == 403:
            role = "Key Vault Secrets User (to write, Key Vault Secrets Officer)"
            advice = f"Give the app's identity the role {role}, and check the vault's firewall."
            raise StoreUnavailable("Key Vault refuses the app's identity.", advice=advice) from exc
        raise StoreUnavailable(f"Key Vault answered {exc.status_code}.") from exc
    except AzureError as exc:
        raise StoreUnavailable("Key Vault cannot be reached.") from exc


def _inner_code(error: Any) -> str:
    inner = getattr(error.error, "innererror", None) or {}
    return str(inner.get("code", ""))
