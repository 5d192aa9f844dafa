"""Access tokens from Entra ID for apps, through MSAL (req A3)."""

import threading
from typing import Any

from shared.application.ports import SecretStore
from shared.domain.errors import CredentialsRejected, SourceMisbehaved
from shared.settings import Settings


class EntraTokens:
    """The `TokenIssuer`: one MSAL application per app registration and version of its secret."""

    def __init__(self, settings: Settings, secrets: SecretStore) -> None:
        self._settings = settings
        self._secrets = secrets
        self._apps: dict[tuple[str, str, str], _App] = {}
        self._lock = threading.Lock()

    def app_token(self, tenant: str, client_id: str, secret_name: str, scope: str) -> str:
        """A refused secret is read afresh from the store, once: somebody may have changed it (req S3)."""
        app = self._app(tenant, client_id, secret_name)
        try:
            return app.token(scope)
        except CredentialsRejected:
            self._secrets.forget(secret_name)
            newer = self._app(tenant, client_id, secret_name)
            if newer is app:
                raise
            return newer.token(scope)

    def forget(self, tenant: str, client_id: str, secret_name: str, scope: str) -> None:  # noqa: ARG002 - all tokens go
        with self._lock:
            self._apps.pop((tenant, client_id, secret_name), None)

    def _app(self, tenant: str, client_id: str, secret_name: str) -> "_App":
        secret, key = self._secrets.get(secret_name), (tenant, client_id, secret_name)
        with self._lock:
            app = self._apps.get(key)
            if app is None or app.secret != secret:
                app = self._apps[key] = _App(self._settings, tenant, client_id, secret)
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
