"""TLS 1.2 or later over a connection that stands; verified unless the mailbox says otherwise (req T1-T3)."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import certifi

from shared.adapters.net import BoundedSocket
from shared.domain.errors import CertificateRejected, SettingsError, SourceMisconfigured, SourceUnavailable
from shared.domain.fields import Tls
from shared.settings import Settings

_REJECTED = {
    "expired": ("has expired", "Have the server's certificate renewed."),
    "not_yet_valid": ("is not valid yet", "Check the server's certificate and its clock."),
    "other_name": ("is for another name", "Give the host by the name that is in the server's certificate."),
    "self_signed": ("is self-signed", "Give the certificate itself as the mailbox's CA certificate if you trust it."),
    "unknown_authority": (
        "was issued by an authority that is not known here",
        "Give the certificate of your private authority, or have the server send its intermediate certificates.",
    ),
    "invalid": ("is not valid", "Have the server's certificate replaced."),
}
_VERIFY_CODES = {
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "unknown_authority",
    20: "unknown_authority",
    21: "unknown_authority",
    62: "other_name",
    64: "other_name",
}  # X509_V_ERR_* of OpenSSL
_TOO_OLD = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")


class BoundedTlsSocket(BoundedSocket, ssl.SSLSocket):
    pass


def start_tls(sock: BoundedSocket, host: str, tls: Tls, settings: Settings) -> BoundedTlsSocket:
    """Secure a connection; the given socket is not used any more, whatever comes of it.

    :raises CertificateRejected: its certificate, or its TLS is older than 1.2.
    :raises SourceMisconfigured: the port speaks no TLS.
    """
    context = tls_context(settings.extra_ca_file, tls.ca_certificate, BoundedTlsSocket, verify=tls.verify)
    try:
        sock.settimeout(sock.deadline.wait())
        secured = context.wrap_socket(sock, server_hostname=host)
    except OSError as exc:
        sock.close()
        raise tls_failure(exc) from exc
    assert isinstance(secured, BoundedTlsSocket)
    secured.deadline = sock.deadline
    return secured


@lru_cache(maxsize=16)
def tls_context(
    extra_ca_file: str | None,
    ca_certificate: str | None = None,
    made: type[ssl.SSLSocket] = ssl.SSLSocket,
    *,
    verify: bool = True,
) -> ssl.SSLContext:
    """Cached, because reading the public authorities takes longer than a handshake."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    context.sslsocket_class = made
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a given certificate is trusted without its issuer
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on from Python 3.13, refuses older private authorities
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca_certificate:
            context.load_verify_locations(cadata=ca_certificate)
    except (ssl.SSLError, ValueError) as exc:
        advice = "Give it as PEM text, beginning with -----BEGIN CERTIFICATE-----."
        raise SourceMisconfigured("The mailbox's CA certificate cannot be read.", advice=advice) from exc
    try:
        if extra_ca_file:
            context.load_verify_locations(cafile=extra_ca_file)
    except OSError as exc:
        raise SettingsError(["EXTRA_CA_FILE cannot be read"]) from exc
    return context


def tls_failure(exc: OSError) -> CertificateRejected | SourceMisconfigured | SourceUnavailable:
    if isinstance(exc, ssl.SSLCertVerificationError):
        reason = _VERIFY_CODES.get(exc.verify_code, "invalid")
        what, advice = _REJECTED[reason]
        return CertificateRejected(f"The server's certificate {what}.", advice=advice, reason=reason)
    reason = exc.reason if isinstance(exc, ssl.SSLError) and exc.reason else ""
    if reason in _TOO_OLD:
        advice = "Have TLS 1.2 or later turned on at the server."
        return CertificateRejected("The server's TLS is too old to be safe.", advice=advice, reason="too_old")
    if reason in _NO_TLS:
        advice = "Check the port and the TLS mode: other ports begin without TLS and need `starttls`."
        return SourceMisconfigured("The server does not speak TLS on this port.", advice=advice)
    return SourceUnavailable("The server did not complete the TLS handshake.")


@dataclass(frozen=True, slots=True)
class Certificate:
    subject: str
    issuer: str
    expires_at: datetime


def certificate(sock: ssl.SSLSocket) -> Certificate | None:
    """The server's certificate; None where it was not verified."""
    fields: dict[str, Any] = sock.getpeercert() or {}
    if not fields:
        return None
    names = [value for _, value in fields.get("subjectAltName", ())]
    expires_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(fields["notAfter"]), UTC)
    return Certificate(_common_name(fields["subject"]) or ", ".join(names), _common_name(fields["issuer"]), expires_at)


def _common_name(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """The common name of a distinguished name; without one, its organisation."""
    parts = {key: value for part in name for key, value in part}
    return parts.get("commonName") or parts.get("organizationName", "")
