"""Ways to prove who signs in to a mail server (SASL, RFC 4422); base64 and commands are the protocol's business."""

import hashlib
import hmac
import re
import socket
import ssl
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from shared.domain.errors import CredentialsRejected, SourceMisbehaved, SourceMisconfigured

Method = Literal["login", "plain", "cram_md5", "ntlm"]
"""Ways for passwords. `login` is the protocol's own command, and no mechanism."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MECHANISMS: dict[Method, str] = {"plain": "PLAIN", "cram_md5": "CRAM-MD5", "ntlm": "NTLM"}


@dataclass(frozen=True, slots=True)
class Mechanism:
    """`initial` is said first, unless it is None; `respond` makes the answer to each challenge after it."""

    name: str
    initial: bytes | None
    respond: Callable[[bytes], bytes]


def best_method(wanted: Method | Literal["auto"], offered: Collection[Method], *, is_encrypted: bool) -> Method:
    """What is wanted, or the best of what is offered: where nobody listens the password itself, because servers that
    keep only its hash offer CRAM-MD5 and then fail.

    :raises SourceMisconfigured: it is not offered.
    """
    hidden: tuple[Method, ...] = ("cram_md5", "ntlm")
    plain: tuple[Method, ...] = ("login", "plain")
    preferred = (plain + hidden if is_encrypted else hidden + plain) if wanted == "auto" else (wanted,)
    for method in preferred:
        if method in offered:
            return method
    advice = "Choose the method `auto` and a TLS mode that encrypts; if it does, the provider may want OAuth 2 instead."
    raise SourceMisconfigured("The server takes no password in this way on this connection.", advice=advice)


def by_password(method: Method, user: str, password: str, sock: socket.socket | None = None) -> Mechanism:
    """`sock` is the connection that is signed in: NTLM is bound to its TLS."""
    match method:
        case "cram_md5":
            return Mechanism("CRAM-MD5", None, lambda challenge: _cram_md5(user, password, challenge))
        case "ntlm":
            return ntlm(user, password, sock)
        case _:
            return Mechanism("PLAIN", f"\0{user}\0{password}".encode(), lambda _: b"")


def _cram_md5(user: str, password: str, challenge: bytes) -> bytes:
    """RFC 2195 section 2."""
    return f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}".encode()


def ntlm(user: str, password: str, sock: socket.socket | None) -> Mechanism:
    """MS-NLMP; the proof is of no use on another TLS connection (RFC 5929 section 4)."""
    import spnego
    from spnego.channel_bindings import GssChannelBindings
    from spnego.exceptions import SpnegoError

    options = spnego.NegotiateOptions.use_ntlm  # in Python, whatever else the machine has
    client = spnego.client(user, password, protocol="ntlm", options=options)
    bindings = None
    if isinstance(sock, ssl.SSLSocket):
        bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + _fingerprint(sock))

    def respond(challenge: bytes) -> bytes:
        try:
            return client.step(challenge, channel_bindings=bindings) or b""
        except (SpnegoError, struct.error, ValueError, LookupError) as exc:
            raise SourceMisbehaved("The server does not answer as NTLM has it.") from exc

    return Mechanism("NTLM", client.step() or b"", respond)


def _fingerprint(sock: ssl.SSLSocket) -> bytes:
    """The hash of the server's certificate as RFC 5929 section 4.1 binds it."""
    from cryptography import x509

    certificate = sock.getpeercert(binary_form=True) or b""
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    name = "sha256" if algorithm is None or algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate).digest()


def by_token(offered: Collection[str], user: str, token: str, host: str, port: int) -> Mechanism:
    """With an access token: RFC 7628, or the mechanism of Google and Microsoft that was there before it. A server that
    rejects the token says why in a challenge, and waits for an answer before it ends the matter.

    :raises SourceMisconfigured: the server does not take access tokens.
    """
    if "XOAUTH2" in offered:
        return Mechanism("XOAUTH2", f"user={user}\x01auth=Bearer {token}\x01\x01".encode(), lambda _: b"")
    if "OAUTHBEARER" in offered:
        name = user.replace("=", "=3D").replace(",", "=2C")
        said = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"
        return Mechanism("OAUTHBEARER", said.encode(), lambda _: b"\x01")
    advice = "Sign in with a password, or have OAuth 2 turned on at the server; without TLS it may not be offered."
    raise SourceMisconfigured("The server takes no access tokens on this connection.", advice=advice)


def refuse_control_characters(user: str, secret: str) -> None:
    """:raises CredentialsRejected: they would end a line or a field, and what follows would be a command."""
    if _CONTROL.search(user + secret):
        advice = "Store the secret anew, without a line break at its end."
        raise CredentialsRejected("The user name or the password holds a control character.", advice=advice)
