"""Ways in that providers have closed, or close on a known date, so that nobody sets them up in vain (as of 2026-11)."""

from urllib.parse import urlsplit

from shared.domain.ready_made import TABLES
from shared.domain.senders import SmtpTransport, Transport
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ExchangeServer, ImapSource, Pop3Source, Source

_MICROSOFT = (".office365.com", ".outlook.com", ".office365.us", ".partner.outlook.cn")
EWS_ONLINE: str = TABLES["warnings"]["ews_online"]
BASIC_AT_MICROSOFT: str = TABLES["warnings"]["basic_at_microsoft"]
SMTP_AT_MICROSOFT: str = TABLES["warnings"]["smtp_at_microsoft"]


def is_microsoft(host: str) -> bool:
    return f".{host.casefold()}".endswith(_MICROSOFT)


def retirement(source: Source) -> str:
    """What is wrong with this way in; empty where nothing is."""
    match source:
        case ExchangeServer(url=str(url)) if is_microsoft(urlsplit(url).hostname or ""):
            return EWS_ONLINE
        case ImapSource(sign_in=PasswordSignIn()) | Pop3Source(sign_in=PasswordSignIn()) if is_microsoft(source.host):
            return BASIC_AT_MICROSOFT
    return ""


def sender_retirement(transport: Transport) -> str:
    """The same of a way out."""
    match transport:
        case ExchangeServer(url=str(url)) if is_microsoft(urlsplit(url).hostname or ""):
            return EWS_ONLINE
        case SmtpTransport(sign_in=PasswordSignIn()) if is_microsoft(transport.host):
            return SMTP_AT_MICROSOFT
    return ""
