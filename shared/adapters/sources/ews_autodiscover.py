"""Autodiscover: where the Exchange Web Services of an address are, as its servers tell (MS-OXWSADISC).

Only answers over TLS count: what plain HTTP or DNS say must not decide where a password goes.
"""

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from shared.adapters.credentials import credentials
from shared.adapters.net import Timeouts
from shared.adapters.services import SourceServices
from shared.adapters.sources.ews_connection import EwsConnection, Redirected, envelope
from shared.domain.errors import AppError, CredentialsRejected, SecretMissing, SourceMisconfigured
from shared.domain.sources import ExchangeServer

PLACES = ("https://autodiscover.{domain}", "https://{domain}")
_PATH = "/autodiscover/autodiscover.svc"
_MOST_REDIRECTS = 5
_ADVICE = "Give the server's name or the address of its Exchange Web Services instead."
_ACTION = "http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings"
_NAMES = (
    'xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover" xmlns:w="http://www.w3.org/2005/08/addressing"'
)

Connected = Callable[[str], EwsConnection]


def reach(settings: ExchangeServer, address: str, services: SourceServices, timeouts: Timeouts) -> EwsConnection:
    """The configured server or, where there is none, that of the address."""
    who = credentials(address, settings.sign_in, None, "ews", services)

    def connected(url: str) -> EwsConnection:
        return EwsConnection(url, settings.tls, who, timeouts)

    return connected(settings.url or discover(settings.mailbox or address, connected))


def discover(address: str, connected: Connected) -> str:
    """The URL of the service; an address may lead to another one.

    :raises SourceMisconfigured: nobody knows it.
    """
    waiting, asked = list(_places(address)), 0
    cause: AppError | None = None
    while waiting and asked < _MOST_REDIRECTS + len(PLACES):
        url, asked = waiting.pop(0), asked + 1
        try:
            found = _ask(url, address, connected)
        except (CredentialsRejected, SecretMissing):
            raise
        except Redirected as redirected:
            waiting.insert(0, redirected.location)
        except AppError as error:
            cause = error
        else:
            target, code = found.findtext("RedirectTarget", ""), found.findtext("ErrorCode")
            for setting in found.iterfind("UserSettings/UserSetting"):
                if setting.findtext("Name") == "ExternalEwsUrl" and (service := setting.findtext("Value")):
                    return service
            if code == "RedirectUrl":
                waiting.insert(0, target)
            elif code == "RedirectAddress":
                address = target
                waiting = list(_places(address))
    raise SourceMisconfigured("Autodiscover finds no Exchange server for the address.", advice=_ADVICE) from cause


def _places(address: str) -> Iterator[str]:
    return (place.format(domain=address.rpartition("@")[2]) + _PATH for place in PLACES)


def _ask(url: str, address: str, connected: Connected) -> Element:
    """What the server tells of the address; nothing where it does not know it."""
    if not url.startswith("https://"):
        raise SourceMisconfigured("Autodiscover leads to a server without TLS.", advice=_ADVICE)
    header = f"<a:RequestedServerVersion>Exchange2010</a:RequestedServerVersion><w:Action>{_ACTION}</w:Action>"
    wanted = (
        f"<a:Users><a:User><a:Mailbox>{escape(address)}</a:Mailbox></a:User></a:Users>"
        "<a:RequestedSettings><a:Setting>ExternalEwsUrl</a:Setting></a:RequestedSettings>"
    )
    body = f"<a:GetUserSettingsRequestMessage><a:Request>{wanted}</a:Request></a:GetUserSettingsRequestMessage>"
    connection = connected(url)
    try:
        answer, _ = connection.post(envelope(f"{header}<w:To>{escape(url)}</w:To>", body, _NAMES), {})
    finally:
        connection.drop()
    found = answer.find("Body/*/Response/UserResponses/UserResponse")
    return Element("UserResponse") if found is None else found
