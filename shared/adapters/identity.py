"""The app's own identity, with which it opens storage and Key Vault."""

from functools import cached_property
from typing import Any

from shared.settings import Settings


def app_identity(settings: Settings) -> "AppIdentity":
    """In Azure the managed identity (the one of `AZURE_CLIENT_ID`, where that is set). Elsewhere an app registration
    from `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, or whoever is signed in with the Azure CLI.
    """
    return AppIdentity(settings)


class AppIdentity:
    """A credential for Azure clients that imports and asks nothing before its first token."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_token(self, *scopes: str, **options: Any) -> Any:
        return self._credential.get_token(*scopes, **options)

    @cached_property
    def _credential(self) -> Any:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.identity import DefaultAzureCredential

        from shared.adapters.https import Session

        return DefaultAzureCredential(
            authority=self._settings.login_endpoint,
            disable_instance_discovery=True,  # the authority is a setting: there is nothing to find out about it
            transport=RequestsTransport(session=Session(self._settings), session_owner=False),
        )
