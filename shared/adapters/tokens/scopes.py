"""What tokens are for, in the words of those who give them."""

from collections.abc import Iterable, Mapping

from shared.domain.clouds import Cloud
from shared.domain.sign_in import MicrosoftUserSignIn, Purpose
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


def resource(cloud: Cloud, purpose: Purpose, *, of_person: bool) -> str:
    """What Entra ID calls what an app's or a person's token is for; its scope `/.default` is all that was granted."""
    if purpose == "graph":
        return cloud.graph
    return cloud.outlook if of_person and purpose != "ews" else cloud.exchange


def permissions(sign_in: MicrosoftUserSignIn, purposes: Iterable[Purpose], settings: Settings) -> list[str]:
    """What a person is asked to allow."""
    cloud, is_personal = settings.cloud(sign_in.cloud), sign_in.tenant.casefold() in _PERSONAL
    return [
        f"{resource(cloud, each, of_person=True)}/{name}"
        for each in purposes
        for name in _PERMISSIONS.get(each, ())
        if not (is_personal and name.endswith(".Shared"))
    ]


def google_scope(purpose: Purpose) -> str:
    """IMAP, POP3 and SMTP want all mail."""
    return "https://www.googleapis.com/auth/gmail.modify" if purpose == "gmail" else "https://mail.google.com/"
