"""Who lets people sign in: where, and what they are asked to allow (req A5-A7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.clouds import Cloud
from shared.domain.sign_in import GoogleUserSignIn, MicrosoftUserSignIn, OAuth2SignIn, Purpose, UserSignIn
from shared.settings import Settings

_PERSONAL = ("consumers", "9188040d-6c67-4c5b-b112-36a304b66dad")
"""The tenant of personal accounts, for which there are no permissions in the mailboxes of others."""

_PERMISSIONS: Mapping[Purpose, tuple[str, ...]] = {
    "graph": ("Mail.ReadWrite", "Mail.ReadWrite.Shared", "Mail.Send", "Mail.Send.Shared"),
    "imap": ("IMAP.AccessAsUser.All",),
    "pop": ("POP.AccessAsUser.All",),
    "smtp": ("SMTP.Send",),
    "ews": ("EWS.AccessAsUser.All",),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """`scope` is what a person is asked to allow, `extras` are parameters of the authorization request that only this
    provider has.
    """

    authorization_url: str
    scope: str
    extras: Mapping[str, str] = field(default_factory=dict)


def provider(sign_in: UserSignIn, purposes: Sequence[Purpose], settings: Settings) -> Provider:
    match sign_in:
        case MicrosoftUserSignIn():
            return _microsoft(sign_in, purposes, settings)
        case GoogleUserSignIn():  # a refresh token comes with each consent only if it is asked for like this
            scope = " ".join([*dict.fromkeys(map(google_scope, purposes)), "openid", "email"])
            extras = {"access_type": "offline", "prompt": "consent"}
            return Provider(f"{settings.google_login_endpoint}/o/oauth2/v2/auth", scope, extras)
        case OAuth2SignIn():
            return Provider(sign_in.authorization_url, sign_in.scopes)


def _microsoft(sign_in: MicrosoftUserSignIn, purposes: Sequence[Purpose], settings: Settings) -> Provider:
    cloud, is_personal = settings.cloud(sign_in.cloud), sign_in.tenant.casefold() in _PERSONAL
    allowed = [
        f"{resource(cloud, each, of_person=True)}/{name}"
        for each in purposes
        for name in _PERMISSIONS.get(each, ())
        if not (is_personal and name.endswith(".Shared"))
    ]
    scope = " ".join([*allowed, "openid", "profile", "offline_access"])
    url = f"{cloud.login}/{sign_in.tenant}/oauth2/v2.0/authorize"
    return Provider(url, scope, extras={"prompt": "select_account"})


def resource(cloud: Cloud, purpose: Purpose, *, of_person: bool) -> str:
    """What Entra ID calls what an app's or a person's token is for; its scope `/.default` is all that was granted."""
    if purpose == "graph":
        return cloud.graph
    return cloud.outlook if of_person and purpose != "ews" else cloud.exchange


def google_scope(purpose: Purpose) -> str:
    """IMAP, POP3 and SMTP want all mail."""
    return "https://www.googleapis.com/auth/gmail.modify" if purpose == "gmail" else "https://mail.google.com/"
