"""Access tokens from Entra ID for apps, through MSAL (req A3, A4)."""

import threading
from typing import Any

from shared.adapters.tokens.microsoft import resource
from shared.application.ports import Clock, SecretStore
from shared.domain.errors import CredentialsRejected, SourceMisbehaved
from shared.domain.sign_in import Certificate, ClientSecret, ManagedIdentity, MicrosoftAppSignIn, Purpose, TokenSignIn
from shared.settings import Settings


class AppTokens:
    """One MSAL application per app registration and version of its secret."""

    def __init__(self, settings: Settings, secrets: SecretStore, clock: Clock) -> None:  # noqa: ARG002 - MSAL has its own
        self._settings = settings
        self._secrets = secrets
        self._apps: dict[MicrosoftAppSignIn, _App] = {}
        self._lock = threading.Lock()

    def token(self, sign_in: TokenSignIn, purpose: Purpose) -> str:
        """A refused secret is read afresh from the store, once: somebody may have changed it (req S3)."""
        assert isinstance(sign_in, MicrosoftAppSignIn)
        scope = f"{resource(self._settings.cloud(sign_in.cloud), purpose)}/.default"
        app = self._app(sign_in)
        try:
            return app.token(scope)
        except CredentialsRejected:
            self._secrets.forget(_secret_name(sign_in))  # nothing, where there is no secret
            newer = self._app(sign_in)
            if newer is app:
                raise
            return newer.token(scope)

    def forget(self, sign_in: TokenSignIn, purpose: Purpose) -> None:  # noqa: ARG002 - all tokens go
        assert isinstance(sign_in, MicrosoftAppSignIn)
        with self._lock:
            self._apps.pop(sign_in, None)

    def _app(self, sign_in: MicrosoftAppSignIn) -> "_App":
        name = _secret_name(sign_in)
        secret = self._secrets.get(name) if name else ""
        with self._lock:
            app = self._apps.get(sign_in)
            if app is None or app.secret != secret:
                app = self._apps[sign_in] = _App(self._settings, sign_in, secret)
            return app


def _secret_name(sign_in: MicrosoftAppSignIn) -> str:
    """Empty where there is no secret."""
    match sign_in.credential:
        case ClientSecret(secret=name) | Certificate(certificate_secret=name):
            return name
        case ManagedIdentity():
            return ""


class _App:
    """One app registration; whoever asks while a token is being fetched waits for that one."""

    def __init__(self, settings: Settings, sign_in: MicrosoftAppSignIn, secret: str) -> None:
        self.secret = secret
        self._settings = settings
        self._sign_in = sign_in
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
            self._sign_in.client_id,
            client_credential=self._proof(),
            authority=f"{self._settings.cloud(self._sign_in.cloud).login}/{self._sign_in.tenant}",
            instance_discovery=False,  # the authority is a setting: there is nothing to find out about it
            http_client=EntraSession(self._settings),
        )

    def _proof(self) -> Any:
        """That it is this app, as MSAL takes it."""
        match self._sign_in.credential:
            case ClientSecret():
                return self.secret
            case Certificate():
                return _certificate(self.secret)
            case ManagedIdentity(identity_client_id=identity):
                from shared.adapters.identity import managed_identity_token

                audience = self._settings.cloud(self._sign_in.cloud).federated_audience
                return {"client_assertion": lambda: managed_identity_token(self._settings, identity, audience)}


def _certificate(pem: str) -> dict[str, str]:
    """MSAL signs with PS256 where it is given the certificate. :raises CredentialsRejected: this is no such pair."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        load_pem_private_key(pem.encode(), None)
        load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError) as exc:
        raise CredentialsRejected(
            "The secret does not hold a certificate with its private key.",
            advice="Store both in one secret in PEM form, the private key without a password.",
        ) from exc
    return {"private_key": pem, "public_certificate": pem}
