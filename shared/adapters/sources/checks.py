"""A connection test: stages in their order, each with its time, up to the first that fails (req O3)."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.adapters.net import Endpoint
from shared.adapters.tls import certificate
from shared.application.ports import CheckStage
from shared.domain.errors import AppError, FolderMissing, SourceMisconfigured
from shared.domain.settlement import Move

_SOON_DAYS = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """What a stage that passed has to tell. `warning`: it works, and somebody should look at it all the same."""

    detail: str
    advice: str = ""
    warning: bool = False


def run_stages(stages: Iterable[tuple[str, Callable[[], Finding]]]) -> Iterator[CheckStage]:
    for name, stage in stages:
        started = time.monotonic()
        try:
            finding = stage()
        except AppError as error:
            yield CheckStage(name, False, _since(started), str(error), error.code, error.advice)
            return
        yield CheckStage(name, True, _since(started), finding.detail, None, finding.advice, finding.warning)


def name_finding(endpoint: Endpoint, advice: str = "") -> Finding:
    """`advice` is what speaks against this way in."""
    where = ("The proxy is at " if endpoint.proxy else "") + ", ".join(endpoint.addresses)
    return Finding(where, advice, warning=bool(advice))


def port_finding(endpoint: Endpoint) -> Finding:
    return Finding(f"Port {endpoint.port} answers{f' through the proxy {endpoint.proxy}' if endpoint.proxy else ''}.")


def certificate_finding(sock: ssl.SSLSocket, now: datetime) -> Finding:
    """What a TLS connection that stands tells about the server."""
    facts = certificate(sock)
    if facts is None:
        advice = "Turn verification on, and give the certificate of your authority if it is a private one."
        return Finding(f"{sock.version()}; the certificate is not verified.", advice, warning=True)
    days = (facts.expires_at - now).days
    detail = f"{sock.version()}; certificate of {facts.subject} by {facts.issuer}, valid for {days} more days."
    return Finding(detail, "Have the server's certificate renewed." * (days < _SOON_DAYS), warning=days < _SOON_DAYS)


def move_target(id_of: Callable[[str], str], sources: Sequence[str], settlement: Move) -> str:
    """Where messages will go, in words; `id_of` finds a folder by its path.

    :raises FolderMissing: it is not there and may not be created.
    :raises SourceMisconfigured: it is the folder that is read.
    """
    try:
        target = id_of(settlement.folder)
    except FolderMissing:
        if not settlement.create:
            raise
        return f"Messages are moved to `{settlement.folder}`, which will be created."
    if target in map(id_of, sources):
        advice = "Choose another folder to move to."
        raise SourceMisconfigured("Messages cannot be moved to the folder they are read from.", advice=advice)
    return f"Messages are moved to `{settlement.folder}`."


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
