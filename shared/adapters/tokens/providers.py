"""Who lets people sign in: where, with which scopes, and how their token endpoints are asked (req A5-A7)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from shared.adapters.tokens.microsoft import permissions, resource
from shared.adapters.tokens.token_endpoint import accepted, json_object, post_form
from shared.domain.sign_in import GoogleUserSignIn, MicrosoftUserSignIn, OAuth2SignIn, Purpose, UserSignIn
from shared.settings import Settings

_GOOGLE_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
_GOOGLE_ALL = "https://mail.google.com/"  # what IMAP, POP3 and SMTP want


class Ask(Protocol):
    def __call__(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """What the token endpoint answers. :raises AppError: whatever kept it from a success."""


@dataclass(frozen=True, slots=True)
class Provider:
    """`scope` is what a person is asked to allow, `refresh_scope` what a token is wanted for; empty: all of it.
    `extras` are parameters of the authorization request that only this provider has.
    """

    authorization_url: str
    scope: str
    ask: Ask
    refresh_scope: str = ""
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


def _microsoft(sign_in: MicrosoftUserSignIn, purposes: Collection[Purpose], settings: Settings) -> Provider:
    cloud = settings.cloud(sign_in.cloud)
    endpoint = f"{cloud.login}/{sign_in.tenant}/oauth2/v2.0"
    wanted = " ".join(f"{resource(cloud, each)}/.default" for each in purposes)
    return Provider(
        f"{endpoint}/authorize",
        permissions(cloud, purposes),
        partial(_ask_entra, f"{endpoint}/token", settings),
        refresh_scope=f"{wanted} offline_access",
        extras={"prompt": "select_account"},
    )


def _google(purposes: Collection[Purpose], settings: Settings) -> Provider:
    """A refresh token comes with each consent only if it is asked for like this."""
    scopes = dict.fromkeys(_GOOGLE_MODIFY if each == "gmail" else _GOOGLE_ALL for each in purposes)
    return Provider(
        f"{settings.google_login_endpoint}/o/oauth2/v2/auth",
        " ".join([*scopes, "openid", "email"]),
        partial(_ask_google, settings),
        extras={"access_type": "offline", "prompt": "consent"},
    )


def _ask_entra(url: str, settings: Settings, form: Mapping[str, str]) -> dict[str, Any]:
    from shared.adapters.entra_http import EntraSession

    with EntraSession(settings) as session:
        answer = session.post(url, data=form, allow_redirects=False)
    return accepted(answer.status_code, json_object(answer.content), None)


def _ask_google(settings: Settings, form: Mapping[str, str]) -> dict[str, Any]:
    from shared.adapters.https import Session, network_errors, retry_after

    with Session(settings) as session, network_errors("Google"):
        answer = session.post(settings.google_token_endpoint, data=form, allow_redirects=False)
    return accepted(answer.status_code, json_object(answer.content), retry_after(answer.headers))
