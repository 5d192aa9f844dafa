"""Who lets people sign in: where, with which scopes, and how their token endpoints are asked (req A5-A7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared.adapters.entra_errors import refusal as entra_refusal
from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.tokens.token_endpoint import GOOGLE_SERVICE_ERRORS, accepted, json_object, post_form, refused
from shared.domain.clouds import Cloud
from shared.domain.sign_in import GoogleUserSignIn, MicrosoftUserSignIn, OAuth2SignIn, Purpose, UserSignIn
from shared.settings import Settings

MODIFY = "https://www.googleapis.com/auth/gmail.modify"
ALL_MAIL = "https://mail.google.com/"  # what IMAP, POP3 and SMTP want

_PERMISSIONS: Mapping[Purpose, tuple[str, ...]] = {
    "graph": ("Mail.ReadWrite", "Mail.ReadWrite.Shared", "Mail.Send", "Mail.Send.Shared"),
    "imap": ("IMAP.AccessAsUser.All",),
    "pop": ("POP.AccessAsUser.All",),
    "smtp": ("SMTP.Send",),
    "ews": ("EWS.AccessAsUser.All",),
}


class Ask(Protocol):
    def __call__(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """What the token endpoint answers. :raises AppError: whatever kept it from a success."""


@dataclass(frozen=True, slots=True)
class Provider:
    """`scope` is what a person is asked to allow, `wanted` the field that says what a token is for; none: all of it.
    `extras` are parameters of the authorization request that only this provider has.
    """

    authorization_url: str
    scope: str
    ask: Ask
    wanted: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)


def provider(sign_in: UserSignIn, purposes: Collection[Purpose], settings: Settings) -> Provider:
    match sign_in:
        case MicrosoftUserSignIn():
            return _microsoft(sign_in, purposes, settings)
        case GoogleUserSignIn():
            return _google(purposes, settings)
        case OAuth2SignIn():
            ask = partial(post_form, sign_in.token_url, settings=settings)
            return Provider(sign_in.authorization_url, sign_in.scopes, ask)


def resource(cloud: Cloud, purpose: Purpose) -> str:
    """What Entra ID calls what a token is for; its scope `/.default` is all that was granted for it."""
    return cloud.graph if purpose == "graph" else cloud.exchange


def _microsoft(sign_in: MicrosoftUserSignIn, purposes: Collection[Purpose], settings: Settings) -> Provider:
    cloud = settings.cloud(sign_in.cloud)
    endpoint = f"{cloud.login}/{sign_in.tenant}/oauth2/v2.0"
    allowed = [f"{resource(cloud, each)}/{name}" for each in purposes for name in _PERMISSIONS.get(each, ())]
    wanted = [f"{resource(cloud, each)}/.default" for each in purposes]
    return Provider(
        f"{endpoint}/authorize",
        " ".join([*allowed, "openid", "profile", "offline_access"]),
        partial(ask_entra, f"{endpoint}/token", settings),
        wanted={"scope": " ".join([*wanted, "offline_access"])},
        extras={"prompt": "select_account"},
    )


def _google(purposes: Collection[Purpose], settings: Settings) -> Provider:
    """A refresh token comes with each consent only if it is asked for like this."""
    scopes = dict.fromkeys(MODIFY if each == "gmail" else ALL_MAIL for each in purposes)
    return Provider(
        f"{settings.google_login_endpoint}/o/oauth2/v2/auth",
        " ".join([*scopes, "openid", "email"]),
        partial(ask_google, settings),
        extras={"access_type": "offline", "prompt": "consent"},
    )


def ask_entra(url: str, settings: Settings, form: Mapping[str, str]) -> dict[str, Any]:
    with Session(settings) as session, network_errors("Entra ID"):
        answer = session.post(url, data=form, allow_redirects=False)
    body, wait = json_object(answer.content), retry_after(answer.headers)
    if answer.status_code >= 400:
        raise entra_refusal(answer.status_code, body or {}, wait)
    return accepted(answer.status_code, body, wait)


def ask_google(settings: Settings, form: Mapping[str, str], *, is_service: bool = False) -> dict[str, Any]:
    with Session(settings) as session, network_errors("Google"):
        answer = session.post(settings.google_token_endpoint, data=form, allow_redirects=False)
    body = json_object(answer.content)
    if is_service and body and body.get("error") in GOOGLE_SERVICE_ERRORS:
        raise refused("Google refuses the service account", GOOGLE_SERVICE_ERRORS, body["error"])
    return accepted(answer.status_code, body, retry_after(answer.headers))
