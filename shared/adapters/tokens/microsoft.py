"""What Entra ID calls the things that tokens are for (facts: `{resource}/.default` is all that was granted)."""

from collections.abc import Collection, Mapping

from shared.domain.clouds import Cloud
from shared.domain.sign_in import Purpose

_PERMISSIONS: Mapping[Purpose, tuple[str, ...]] = {
    "graph": ("Mail.ReadWrite", "Mail.ReadWrite.Shared", "Mail.Send", "Mail.Send.Shared"),
    "imap": ("IMAP.AccessAsUser.All",),
    "pop": ("POP.AccessAsUser.All",),
    "smtp": ("SMTP.Send",),
    "ews": ("EWS.AccessAsUser.All",),
}


def resource(cloud: Cloud, purpose: Purpose) -> str:
    return cloud.graph if purpose == "graph" else cloud.exchange


def permissions(cloud: Cloud, purposes: Collection[Purpose]) -> str:
    """What a person is asked to allow, as the scope of an authorization request."""
    wanted = [f"{resource(cloud, each)}/{name}" for each in purposes for name in _PERMISSIONS.get(each, ())]
    return " ".join([*wanted, "openid", "profile", "offline_access"])
