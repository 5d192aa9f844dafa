"""Access tokens from Entra ID for apps, through MSAL (req A3)."""

import threading
from dataclasses import dataclass
from typing import Any

from shared.adapters.sources.services import Purpose
from shared.application.ports import SecretStore
from shared.domain.errors import CredentialsRejected, SourceMisbehaved
from shared.domain.sign_in import ClientSecret, MicrosoftAppSignIn, TokenSignIn
from shared.settings import Settings

_EXCHANGE = "https://outlook.office365.com"


@dataclass(frozen=True, slots=True)
class _Registration:
    tenant: str
    client_id: str
    secret_name: str


def _registration(sign_in: TokenSignIn) -> _Registration:
    assert isinstance(sign_in, MicrosoftAppSignIn)
    assert isinstance(sign_in.credential, ClientSecret)
    return _Registration(sign_in.tenant, sign_in.client_id, sign_in.credential.secret)


class EntraTokens:
    """The `TokenIssuer`: one MSAL application per app registration and version of its secret."""

    def __init__(self, settings: Settings, secrets: SecretStore) -> None:
        self._settings = settings
        self._secrets = secrets
        self._apps: dict[_Registration, _App] = {}
        self._lock = threading.Lock()

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        """A refused secret is read afresh from the store, once: somebody may have changed it (req S3)."""
        registration = _registration(sign_in)
        scope = self._scope(purpose)
        app = self._app(registration)
        try:
            return app.token(scope)
        except CredentialsRejected:
            self._secrets.forget(registration.secret_name)
            newer = self._app(registration)
            if newer is app:
                raise
            return newer.token(scope)

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:  # noqa: ARG002 - all tokens go
        with self._lock:
            self._apps.pop(_registration(sign_in), None)

    def _scope(self, purpose: Purpose) -> str:
        resource = self._settings.graph_endpoint if purpose == "graph" else _EXCHANGE
        return f"{resource}/.default"

    def _app(self, registration: "_Registration") -> "_App":
        secret = self._secrets.get(registration.secret_name)
        with self._lock:
            app = self._apps.get(registration)
            if app is None or app.secret != secret:
                app = _App(self._settings, registration.tenant, registration.client_id, secret)
                self._apps[registration] = app
            return app


class _App:
    """One app registration; whoever asks while a token is being fetched waits for that one."""

    def __init__(self, settings: Settings, tenant: str, client_id: str, secret: str) -> None:
        self.secret = secret
        self._settings = settings
        self._authority = f"{settings.login_endpoint}/{tenant}"
        self._client_id = client_id
        self._application: Any = None
        self._lock = threading.Lock()

    def token(self, scope: str) -> str:
        with self._lock:
            self._application = self._application or self._new_application()
            answer: dict[str, Any] = self._application.acquire_token_for_client([scope])
        if "access_token" not in answer:
            raise SourceMisbehaved("Entra ID gave no token and no reason.")
        return str(answer["access_token"])

    def _new_application(self) -> Any:
        """It asks the authority for its configuration at once."""
        import msal  # type: ignore[import-untyped]  # it ships no types

        from shared.adapters.entra_http import EntraSession

        return msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=self.secret,
            authority=self._authority,
            instance_discovery=False,  # the authority is a setting: there is nothing to find out about it
            http_client=EntraSession(self._settings),
        )
