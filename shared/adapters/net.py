"""Connections to servers that people name: guarded against our own network, bounded in time."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from shared.adapters.proxy import ProxyAccess, open_tunnel
from shared.domain.errors import AppError, SourceMisconfigured, SourceUnavailable, TargetRefused
from shared.settings import Settings

_REFUSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this machine by another name
        "169.254.0.0/16",  # link-local, and with it the platform's metadata and identity endpoints
        "168.63.129.16/32",  # Azure's own services inside each virtual network
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "fe80::/10",
        "fd00:ec2::254/128",  # metadata at another cloud
        "ff00::/8",
    )
)
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `idle` is the longest silence; `connect` and `command` bound a whole step, however it drips."""

    connect: float = 15
    idle: float = 30
    command: float = 60


class Deadline:
    """When the current step must be over; every read and write of its sockets keeps to it."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._idle = timeouts.idle
        self.restart(timeouts.connect)

    def restart(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def wait(self) -> float:
        """The seconds that the next read or write may take. :raises TimeoutError: there are none left."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._idle)


class BoundedSocket(socket.socket):
    deadline: Deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.deadline.wait())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.deadline.wait())
        super().sendall(*args, **kwargs)


class Unanswered(SourceUnavailable):
    """The request is out, and may have been served: there is no answer that tells."""


@contextmanager
def network_errors(broken: type[SourceUnavailable] = SourceUnavailable) -> Iterator[None]:
    """The seam for what sockets raise; `broken` is what that means here."""
    try:
        yield
    except TimeoutError as exc:
        raise broken("The server did not answer in time.") from exc
    except OSError as exc:
        raise broken("The connection to the server broke.") from exc


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server as its name was resolved, once: what was checked is what is connected to (DNS rebinding). With a proxy
    the addresses are the proxy's.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    proxy: ProxyAccess | None = None


def resolve(host: str, port: int, settings: Settings, proxy: ProxyAccess | None = None) -> Endpoint:
    """A proxy resolves the name by itself; where the host is an address, it is checked here all the same.

    :raises TargetRefused: the host is one that must not be reached from here.
    :raises SourceMisconfigured: there is no such host.
    """
    if proxy is None:
        return Endpoint(host, port, _addresses(host, port, settings))
    _addresses(host, port, settings, socket.AI_NUMERICHOST)
    return Endpoint(host, port, _addresses(proxy.settings.host, proxy.settings.port, settings), proxy)


def _addresses(host: str, port: int, settings: Settings, flags: int = 0) -> tuple[str, ...]:
    """With AI_NUMERICHOST none for a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as exc:
        raise SourceMisconfigured("The host is not a valid name.", advice="Check the host for typing errors.") from exc
    except socket.gaierror as exc:
        if flags:
            return ()
        if exc.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            advice = "Check the host for typing errors, and that its name is known where the app runs."
            raise SourceMisconfigured("There is no host of this name.", advice=advice) from exc
        raise SourceUnavailable("The name service does not answer.") from exc
    addresses = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
    if any(_is_refused(address, settings) for address in addresses):
        raise TargetRefused(
            "The host leads to an address that must not be used: this machine or the platform's own services.",
            advice="Give the name or address of the server itself.",
        )
    return addresses


def _is_refused(address: str, settings: Settings) -> bool:
    ip = _embedded(ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return not settings.allow_loopback_targets
    return any(ip in network for network in _REFUSED)


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, IPv4Address):
        return ip
    translated = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    return ip.ipv4_mapped or ip.sixtofour or translated or ip


def connect(endpoint: Endpoint, deadline: Deadline) -> BoundedSocket:
    """Connect to the first address that answers; each has its share of the time. A proxy then connects further.

    :raises SourceUnavailable: none does.
    :raises AppError: the proxy does not.
    """
    port = endpoint.proxy.settings.port if endpoint.proxy else endpoint.port
    failure: OSError = TimeoutError()
    for tried, address in enumerate(endpoint.addresses):
        sock = BoundedSocket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.deadline = deadline
        try:
            sock.settimeout(deadline.wait() / (len(endpoint.addresses) - tried))
            sock.connect((address, port))
        except OSError as exc:
            sock.close()
            failure = exc
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _through(endpoint, sock)
    where = f"The proxy {endpoint.proxy}" if endpoint.proxy else f"Port {port}"
    how = "refuses connections" if isinstance(failure, ConnectionRefusedError) else "does not answer"
    advice = "Check the port, that the server runs, and that a firewall lets this app through."
    raise SourceUnavailable(f"{where} {how}.", advice=advice) from failure


def _through(endpoint: Endpoint, sock: BoundedSocket) -> BoundedSocket:
    if endpoint.proxy:
        try:
            open_tunnel(sock, endpoint.host, endpoint.port, endpoint.proxy)
        except AppError:
            sock.close()
            raise
    return sock
