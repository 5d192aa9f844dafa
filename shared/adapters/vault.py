"""Secrets from Azure Key Vault (req S1, S3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from shared.application.ports.platform import Clock
from shared.domain.errors import Conflict, SecretMissing, SecretsReadOnly, SecretUnusable, StoreUnavailable
from shared.settings import Settings

_MAX_AGE = timedelta(minutes=5)
_PUBLIC_SUFFIXES = (".vault.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn")
_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Known:
    read_at: datetime
    value: str
    expires_at: datetime | None


class KeyVaultSecrets:
    """The `SecretStore` on one vault; the newest enabled version of a secret counts."""

    def __init__(self, settings: Settings, credential: Any, clock: Clock) -> None:
        self._settings = settings
        self._credential = credential
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def get(self, name: str) -> str:
        known = self._known.get(name)
        if known is None or self._clock() - known.read_at >= _MAX_AGE:
            known = self._known[name] = self._read(name)
        return known.value

    def expires_at(self, name: str) -> datetime | None:
        known = self._known.get(name)
        return known.expires_at if known else None

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        if not self._settings.allow_secret_writes:
            raise SecretsReadOnly
        with _vault_errors(name):
            self._client.set_secret(name, value, expires_on=expires_at)
        self._known[name] = _Known(self._clock(), value, expires_at)

    def _read(self, name: str) -> _Known:
        with _vault_errors(name):
            secret = self._client.get_secret(name)
        if not secret.value:
            raise SecretUnusable(f"The secret `{name}` is empty.", advice="Set its value in Key Vault.")
        return _Known(self._clock(), secret.value, secret.properties.expires_on)

    @cached_property
    def _client(self) -> Any:
        from azure.keyvault.secrets import SecretClient

        from shared.adapters.https import azure_transport

        is_public = (urlsplit(self._settings.key_vault_uri).hostname or "").endswith(_PUBLIC_SUFFIXES)
        return SecretClient(
            self._settings.key_vault_uri,
            self._credential,
            verify_challenge_resource=is_public,  # elsewhere the challenge names a resource of another domain
            retry_total=_TRIES - 1,
            transport=azure_transport(self._settings),
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
            raise SecretUnusable(f"The secret `{name}` is disabled.", advice=advice) from exc
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
