"""Who lets people sign in: where, with which scopes, and how their token endpoints are asked (req A5-A7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared.adapters.https import Session, network_errors, retry_after
from shared.adapters.refusals import meanings
from shared.adapters.tokens.token_endpoint import accepted, json_object, post_form, refused
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
        """What the provider answers to this token request. :raises AppError: whatever kept it from a success."""


@dataclass(frozen=True, slots=True)
class Provider:
    """`scope` is what a person is asked to allow, `extras` are parameters of the authorization request that only this
    provider has.
    """

    authorization_url: str
    scope: str
    ask: Ask
    extras: Mapping[str, str] = field(default_factory=dict)


def provider(sign_in: UserSignIn, purposes: Sequence[Purpose], settings: Settings) -> Provider:
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


def _microsoft(sign_in: MicrosoftUserSignIn, purposes: Sequence[Purpose], settings: Settings) -> Provider:
    cloud = settings.cloud(sign_in.cloud)
    allowed = [f"{resource(cloud, each)}/{name}" for each in purposes for name in _PERMISSIONS.get(each, ())]
    return Provider(
        f"{cloud.login}/{sign_in.tenant}/oauth2/v2.0/authorize",
        " ".join([*allowed, "openid", "profile", "offline_access"]),
        partial(_ask_entra, settings, sign_in, f"{resource(cloud, purposes[0])}/.default"),
        extras={"prompt": "select_account"},
    )


def _google(purposes: Sequence[Purpose], settings: Settings) -> Provider:
    """A refresh token comes with each consent only if it is asked for like this."""
    scopes = dict.fromkeys(MODIFY if each == "gmail" else ALL_MAIL for each in purposes)
    return Provider(
        f"{settings.google_login_endpoint}/o/oauth2/v2/auth",
        " ".join([*scopes, "openid", "email"]),
        partial(ask_google, settings),
        extras={"access_type": "offline", "prompt": "consent"},
    )


def _ask_entra(settings: Settings, sign_in: MicrosoftUserSignIn, scope: str, form: Mapping[str, str]) -> dict[str, Any]:
    from shared.adapters.tokens.entra import user_token

    return user_token(settings, sign_in, scope, form)


def ask_google(settings: Settings, form: Mapping[str, str], *, is_service: bool = False) -> dict[str, Any]:
    with Session(settings) as session, network_errors("Google"):
        answer = session.post(settings.google_token_endpoint, data=form, allow_redirects=False)
    body = json_object(answer.content)
    if is_service and body and body.get("error") in meanings("google_service"):
        raise refused("Google refuses the service account", "google_service", body["error"])
    return accepted(answer.status_code, body, retry_after(answer.headers))
