"""Autodiscover: where the Exchange Web Services of an address are, as its servers tell (MS-OXWSADISC).

Only answers over TLS count: what plain HTTP or DNS say must not decide where a password goes.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

from exchangelib.properties import UserResponse
from exchangelib.services import GetUserSettings

from shared.adapters.sources.ews_client import EwsClient
from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import Redirected, ews_errors
from shared.domain.errors import AppError, CredentialsRejected, SecretMissing, SourceMisconfigured
from shared.domain.sources import EwsSource

PLACES = ("https://autodiscover.{domain}", "https://{domain}")
_PATH = "/autodiscover/autodiscover.svc"
_MOST_REDIRECTS = 5
_ADVICE = "Give the server's name or the address of its Exchange Web Services instead."

Connected = Callable[[str], EwsConnection]


def discover(address: str, settings: EwsSource, connected: Connected) -> str:
    """The URL of the service; an address may lead to another one.

    :raises SourceMisconfigured: nobody knows it.
    """
    waiting, asked = list(_places(address)), 0
    cause: AppError | None = None
    while waiting and asked < _MOST_REDIRECTS + len(PLACES):
        url, asked = waiting.pop(0), asked + 1
        try:
            found = _ask(url, address, settings, connected)
        except (CredentialsRejected, SecretMissing):
            raise
        except Redirected as redirected:
            waiting.insert(0, redirected.location)
        except AppError as error:
            cause = error
        else:
            if found.ews_url:
                return str(found.ews_url)
            if found.redirect_url:
                waiting.insert(0, found.redirect_url)
            if found.redirect_address:
                address = found.redirect_address
                waiting = list(_places(address))
    raise SourceMisconfigured("Autodiscover finds no Exchange server for the address.", advice=_ADVICE) from cause


def _places(address: str) -> Iterator[str]:
    return (place.format(domain=address.rpartition("@")[2]) + _PATH for place in PLACES)


def _ask(url: str, address: str, settings: EwsSource, connected: Connected) -> UserResponse:
    if not url.startswith("https://"):
        raise SourceMisconfigured("Autodiscover leads to a server without TLS.", advice=_ADVICE)
    with closing(connected(url)) as connection:
        client = EwsClient(connection, address, settings)
        answer = client.one(GetUserSettings, users=[address], settings=["external_ews_url"])
    with ews_errors():
        found = UserResponse.from_xml(answer, account=None)
        found.raise_errors()
    return found
