"""Tunnels through HTTP and SOCKS5 proxies (req C11; RFC 9110 section 9.3.6, RFC 1928, RFC 1929)."""

import base64
import socket
from dataclasses import dataclass
from io import RawIOBase
from ipaddress import ip_address
from typing import cast

from shared.application.ports.platform import SecretStore
from shared.domain.errors import CredentialsRejected, SourceMisbehaved, SourceMisconfigured, SourceUnavailable
from shared.domain.fields import Proxy

_MOST_HEADERS = 100
_LONGEST_LINE = 8192
_NOT_ALLOWED = "Have the proxy let this app through to the host and port of the mail server."


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """A proxy, and where its password is."""

    settings: Proxy
    secrets: SecretStore

    def __str__(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def user_and_password(self) -> tuple[bytes, bytes] | None:
        if self.settings.username is None:
            return None
        name = self.settings.password_secret
        return self.settings.username.encode(), (self.secrets.get(name) if name else "").encode()

    def rejected(self) -> CredentialsRejected:
        if self.settings.password_secret:
            self.secrets.forget(self.settings.password_secret)
        advice = "Check the proxy's user name and the secret that holds its password."
        return CredentialsRejected("The proxy does not let this app in.", advice=advice)


def proxy_access(proxy: Proxy | None, secrets: SecretStore) -> ProxyAccess | None:
    return ProxyAccess(proxy, secrets) if proxy else None


def open_tunnel(sock: socket.socket, host: str, port: int, access: ProxyAccess) -> None:
    """Have the proxy at the other end connect to the host, whose name it resolves.

    :raises CredentialsRejected, SourceMisconfigured, SourceUnavailable, SourceMisbehaved: it does not.
    """
    negotiate = _connect_http if access.settings.kind == "http" else _connect_socks5
    try:
        with cast("RawIOBase", sock.makefile("rb", buffering=0)) as answers:  # what the server says next is not ours
            negotiate(sock, answers, (host, port), access)
    except OSError as exc:
        advice = "Check the kind, the host and the port of the proxy, and that it runs."
        raise SourceUnavailable("The proxy did not answer in time, or broke the connection.", advice=advice) from exc


def _connect_http(sock: socket.socket, answers: RawIOBase, target: tuple[str, int], access: ProxyAccess) -> None:
    name, port = target[0].encode("idna").decode(), target[1]
    authority = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if credentials := access.user_and_password():
        request += f"Proxy-Authorization: Basic {base64.b64encode(b':'.join(credentials)).decode()}\r\n"
    sock.sendall(f"{request}\r\n".encode())
    version, _, rest = answers.readline(_LONGEST_LINE).partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise _misbehaved()
    if status == b"407":
        raise access.rejected()
    if status in (b"403", b"405"):
        raise SourceMisconfigured("The proxy does not allow connections to the server.", advice=_NOT_ALLOWED)
    if not status.startswith(b"2"):
        raise _unreached()
    for _ in range(_MOST_HEADERS):
        if not answers.readline(_LONGEST_LINE).strip():
            return
    raise _misbehaved()


def _connect_socks5(sock: socket.socket, answers: RawIOBase, target: tuple[str, int], access: ProxyAccess) -> None:
    credentials = access.user_and_password()
    sock.sendall(b"\x05\x02\x00\x02" if credentials else b"\x05\x01\x00")
    version, method = _read(answers, 2)
    if version != 5:
        raise _misbehaved()
    if method == 2 and credentials:
        user, password = credentials
        sock.sendall(b"\x01" + _counted(user) + _counted(password))
        if _read(answers, 2)[1] != 0:
            raise access.rejected()
    elif method != 0:
        raise access.rejected()
    sock.sendall(b"\x05\x01\x00" + _socks_address(target[0]) + target[1].to_bytes(2, "big"))
    _, reply, _, kind = _read(answers, 4)
    if reply == 2:
        raise SourceMisconfigured("The proxy does not allow connections to the server.", advice=_NOT_ALLOWED)
    if reply != 0:
        raise _unreached()
    bound = {1: 4, 4: 16}.get(kind) or _read(answers, 1)[0]
    _read(answers, bound + 2)


def _socks_address(host: str) -> bytes:
    try:
        packed = ip_address(host).packed
    except ValueError:
        return b"\x03" + _counted(host.encode("idna"))
    return (b"\x01" if len(packed) == 4 else b"\x04") + packed


def _counted(text: bytes) -> bytes:
    if len(text) > 255:
        raise SourceMisconfigured("SOCKS5 takes no name and no password of more than 255 bytes.")
    return bytes([len(text)]) + text


def _read(answers: RawIOBase, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = answers.read(size - len(found))
        if not more:
            raise ConnectionResetError
        found += more
    return found


def _misbehaved() -> SourceMisbehaved:
    advice = "Check the kind, the host and the port of the proxy."
    return SourceMisbehaved("The proxy does not answer as one of its kind does.", advice=advice)


def _unreached() -> SourceUnavailable:
    advice = "Check the host and the port of the mail server, and that the proxy can reach it."
    return SourceUnavailable("The proxy does not reach the server.", advice=advice)
