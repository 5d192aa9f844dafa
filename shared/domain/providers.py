"""Well-known providers: what to fill in for them, and the ways in that they have closed (req C7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.domain.health import Finding, Level
from shared.domain.ready_made import TABLES
from shared.domain.senders import SmtpTransport, Transport
from shared.domain.sign_in import PasswordSignIn
from shared.domain.sources import ExchangeServer, ImapSource, Pop3Source, Source


@dataclass(frozen=True, slots=True)
class Preset:
    """`source` is the beginning of a mailbox's source; `to_fill_in` are the JSON paths in it that people must add."""

    id: str
    name: str
    source: dict[str, Any]
    to_fill_in: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, table: dict[str, Any]) -> "Preset":
        warnings = (TABLES["warnings"][name] for name in table.get("warnings", ()))
        return cls(table["id"], table["name"], table["source"], tuple(table["to_fill_in"]), tuple(warnings))


PRESETS = tuple(map(Preset.of, TABLES["providers"]))

_MICROSOFT = (".office365.com", ".outlook.com", ".office365.us", ".partner.outlook.cn")
EWS_ONLINE: str = TABLES["warnings"]["ews_online"]
BASIC_AT_MICROSOFT: str = TABLES["warnings"]["basic_at_microsoft"]
SMTP_AT_MICROSOFT: str = TABLES["warnings"]["smtp_at_microsoft"]


def is_microsoft(host: str) -> bool:
    return f".{host.casefold()}".endswith(_MICROSOFT)


def retirement(way: Source | Transport) -> str:
    """What is wrong with this way in or out; empty where nothing is."""
    match way:
        case ExchangeServer(url=str(url)) if is_microsoft(urlsplit(url).hostname or ""):
            return EWS_ONLINE
        case ImapSource(sign_in=PasswordSignIn()) | Pop3Source(sign_in=PasswordSignIn()) if is_microsoft(way.host):
            return BASIC_AT_MICROSOFT
        case SmtpTransport(sign_in=PasswordSignIn()) if is_microsoft(way.host):
            return SMTP_AT_MICROSOFT
    return ""


def risks(way: Source | Transport) -> Iterator[Finding]:
    """What deserves a warning as long as it is configured so (req T2)."""
    if text := retirement(way):
        yield Finding(Level.WARNING, "retired", text)
    if not isinstance(way, ImapSource | Pop3Source | ExchangeServer | SmtpTransport):
        return
    if not way.tls.verify:
        text = "the server's certificate is not checked: anybody between can read the mail and the password"
        yield Finding(Level.WARNING, "insecure", text)
    if way.tls.mode in ("none", "starttls_if_available"):
        text = "the connection may be unencrypted: anybody between can read the mail and the password"
        yield Finding(Level.WARNING, "insecure", text)
