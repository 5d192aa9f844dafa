"""Simulated Key Vault: the secrets of one vault behind the 401 challenge, with soft delete."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from local.simulators.entra import HOME_TENANT, VAULT_AUDIENCE, Entra, TokenRefused
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response, Route

_READ, _WRITE = ("user", "officer"), ("officer",)


@dataclass
class Version:
    id: str
    value: str
    attributes: dict[str, Any]
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Secret:
    """`versions` from oldest to newest. A deleted secret keeps its name until it is purged or recovered."""

    name: str
    versions: list[Version] = field(default_factory=list)
    deleted: bool = False


class Vault:
    def __init__(self, state: State, entra: Entra, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._entra = entra
        self._clock = clock
        self._secrets = {
            name.lower(): Secret(name, [Version(**version) for version in stored["versions"]], stored["deleted"])
            for name, stored in state.load("vault.json", {}).items()
        }
        self.routes = (
            Route("vault.list", "GET", "/secrets", self._list),
            Route("vault.versions", "GET", "/secrets/{name}/versions", self._versions),
            Route("vault.get", "GET", "/secrets/{name}", self._get),
            Route("vault.get", "GET", "/secrets/{name}/{version}", self._get),
            Route("vault.set", "PUT", "/secrets/{name}", self._set),
            Route("vault.update", "PATCH", "/secrets/{name}/{version}", self._update),
            Route("vault.delete", "DELETE", "/secrets/{name}", self._delete),
            Route("vault.get_deleted", "GET", "/deletedsecrets/{name}", self._get_deleted),
            Route("vault.recover", "POST", "/deletedsecrets/{name}/recover", self._recover),
            Route("vault.purge", "DELETE", "/deletedsecrets/{name}", self._purge),
        )

    def put(self, name: str, value: str, **attributes: Any) -> None:
        """Add a version; `attributes` such as `enabled=False` or `exp=...` (epoch seconds)."""
        now = int(self._clock().timestamp())
        all_attributes: dict[str, Any] = {"enabled": True, "created": now, "updated": now, "recoverableDays": 90}
        all_attributes |= {"recoveryLevel": "Recoverable+Purgeable", **attributes}
        secret = self._secrets.setdefault(name.lower(), Secret(name))
        secret.versions.append(Version(secrets.token_hex(16), value, all_attributes))
        self._save()

    @contextmanager
    def admit(self, request: Request, _parameters: Mapping[str, str]) -> Iterator[None]:
        if "api-version" not in request.query:
            raise _refusal(400, "BadParameter", "api-version must be specified")
        try:
            claims = self._entra.claims(request, VAULT_AUDIENCE, HOME_TENANT)
        except TokenRefused as refused:
            raise _challenge(request, str(refused)) from refused
        app = self._entra.apps.get((claims["tid"], claims["appid"]))
        if app is None or app.vault not in (_READ if request.method == "GET" else _WRITE):
            raise _refusal(403, "Forbidden", "Caller is not authorized to perform action.", "ForbiddenByRbac")
        yield

    def _list(self, request: Request) -> Response:
        present = (secret for secret in self._secrets.values() if not secret.deleted)
        items = [_item(request, secret.name, secret.versions[-1], with_version=False) for secret in present]
        return _page(request, items)

    def _versions(self, request: Request, name: str) -> Response:
        secret = self._secret(name)
        return _page(request, [_item(request, secret.name, version) for version in secret.versions])

    def _get(self, request: Request, name: str, version: str = "") -> Response:
        secret = self._secret(name)
        found = next((one for one in reversed(secret.versions) if version in ("", one.id)), None)
        if found is None:
            raise _not_found(name)
        if not found.attributes["enabled"]:
            raise _refusal(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return Response(body={"value": found.value, **_item(request, secret.name, found)})

    def _set(self, request: Request, name: str) -> Response:
        given = request.json()
        if not isinstance(given.get("value"), str) or len(given["value"].encode()) > 25_600:
            raise _refusal(400, "BadParameter", "Property value has an invalid value")
        existing = self._secrets.get(name.lower())
        if existing and existing.deleted:
            said = f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused"
            raise _refusal(409, "Conflict", said, "ObjectIsDeletedButRecoverable")
        self.put(name, given["value"], **given.get("attributes", {}))
        version = self._secret(name).versions[-1]
        version.content_type, version.tags = given.get("contentType"), given.get("tags") or {}
        self._save()
        return Response(body={"value": version.value, **_item(request, name, version)})

    def _update(self, request: Request, name: str, version: str) -> Response:
        found = next((one for one in self._secret(name).versions if one.id == version), None)
        if found is None:
            raise _not_found(name)
        found.attributes |= request.json().get("attributes", {})
        self._save()
        return Response(body=_item(request, name, found))

    def _delete(self, request: Request, name: str) -> Response:
        secret = self._secret(name)
        secret.deleted = True
        self._save()
        return Response(body=_deleted(request, secret))

    def _get_deleted(self, request: Request, name: str) -> Response:
        return Response(body=_deleted(request, self._secret(name, deleted=True)))

    def _recover(self, request: Request, name: str) -> Response:
        secret = self._secret(name, deleted=True)
        secret.deleted = False
        self._save()
        return Response(body=_item(request, secret.name, secret.versions[-1]))

    def _purge(self, _request: Request, name: str) -> Response:
        self._secret(name, deleted=True)
        del self._secrets[name.lower()]
        self._save()
        return Response(204)

    def _secret(self, name: str, *, deleted: bool = False) -> Secret:
        secret = self._secrets.get(name.lower())
        if secret is None or secret.deleted is not deleted:
            raise _not_found(name)
        return secret

    def _save(self) -> None:
        stored = {
            one.name: {"versions": [asdict(v) for v in one.versions], "deleted": one.deleted} for one in self.all()
        }
        self._state.save("vault.json", stored)

    def all(self) -> list[Secret]:
        return list(self._secrets.values())


def _item(request: Request, name: str, version: Version, *, with_version: bool = True) -> dict[str, Any]:
    address = f"{request.origin}/secrets/{name}" + (f"/{version.id}" if with_version else "")
    item = {"id": address, "attributes": version.attributes, "tags": version.tags}
    return item | ({"contentType": version.content_type} if version.content_type else {})


def _deleted(request: Request, secret: Secret) -> dict[str, Any]:
    item = _item(request, secret.name, secret.versions[-1])
    return item | {"recoveryId": f"{request.origin}/deletedsecrets/{secret.name}", "deletedDate": 0}


def _page(request: Request, items: list[dict[str, Any]]) -> Response:
    size, start = int(request.query.get("maxresults", 25)), int(request.query.get("$skiptoken", 0))
    body: dict[str, Any] = {"value": items[start : start + size], "nextLink": None}
    if start + size < len(items):
        query = f"api-version={request.query['api-version']}&maxresults={size}&$skiptoken={start + size}"
        body["nextLink"] = f"{request.origin}{request.path}?{query}"
    return Response(body=body)


def _challenge(request: Request, reason: str) -> Refused:
    said = (
        "AKV10000: Request is missing a Bearer or PoP token." if reason == "missing" else f"AKV10022: {reason} token."
    )
    refused = _refusal(401, "Unauthorized", said)
    challenge = f'Bearer authorization="{request.origin}/{HOME_TENANT}", resource="{VAULT_AUDIENCE}"'
    refused.response.headers["WWW-Authenticate"] = challenge
    return refused


def _not_found(name: str) -> Refused:
    said = f"A secret with (name/id) {name} was not found in this key vault."
    return _refusal(404, "SecretNotFound", said)


def _refusal(status: int, code: str, message: str, inner: str | None = None) -> Refused:
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return Refused(Response(status, {"error": error}))
