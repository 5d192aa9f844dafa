"""The app's own identity, with which it opens storage and Key Vault."""

import os
from functools import cached_property
from typing import Any

from shared.domain.errors import SourceMisconfigured
from shared.settings import Settings


class AppIdentity:
    """A credential for Azure clients that imports and asks nothing before its first token.

    In Azure it is the managed identity (the one of `AZURE_CLIENT_ID`, where that is set). Elsewhere an app registration
    from `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, or whoever is signed in with the Azure CLI.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_token(self, *scopes: str, **options: Any) -> Any:
        return self._credential.get_token(*scopes, **options)

    @cached_property
    def _credential(self) -> Any:
        from azure.identity import DefaultAzureCredential

        from shared.adapters.https import azure_transport

        return DefaultAzureCredential(
            authority=self._settings.login_endpoint,
            disable_instance_discovery=True,  # the authority is a setting: there is nothing to find out about it
            transport=azure_transport(self._settings),
        )


def managed_identity_token(settings: Settings, client_id: str | None, audience: str) -> str:
    """A token of a managed identity of this app, for who trusts it: without a client id, of the app's own one.

    :raises SourceMisconfigured: there is no such identity here.
    """
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import ManagedIdentityCredential

    from shared.adapters.https import azure_transport

    client_id = client_id or os.environ.get("AZURE_CLIENT_ID")
    identity = ManagedIdentityCredential(client_id=client_id, transport=azure_transport(settings))
    try:
        return str(identity.get_token(f"{audience}/.default").token)
    except ClientAuthenticationError as exc:
        raise SourceMisconfigured(
            "The app gets no token for its managed identity.",
            advice="This works in Azure only: assign the identity to the Functions app, or choose another credential.",
        ) from exc
