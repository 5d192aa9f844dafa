"""Certificates are verified, and each refusal says what is wrong and what to do."""

import socket
import ssl
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.adapters.net import Deadline, Endpoint, Timeouts, connect
from shared.adapters.tls import certificate, start_tls
from shared.domain.errors import CertificateRejected, SettingsError, SourceMisconfigured, SourceUnavailable
from shared.domain.fields import Tls
from shared.settings import read_settings


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serving(request):
    """Runs a server that answers one connection: with TLS, or with the text it is given."""

    def serving(answer: ssl.SSLContext | bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with suppress(OSError), closing(listener), listener.accept()[0] as connection:
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                    while connection.recv(1000):
                        pass
                else:
                    with answer.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        request.addfinalizer(thread.join)
        return listener.getsockname()[1]

    return serving


@pytest.fixture
def handshake(request):
    """Connects and starts TLS as a mailbox would."""

    def handshake(port: int, extra_ca_file: object = "", timeouts: Timeouts | None = None, **tls):
        environment = {
            "DATA_STORAGE": "UseDevelopmentStorage=true",
            "KEY_VAULT_URI": "https://vault.example",
            "POLL_SCHEDULE": "0 * * * * *",
        }
        settings = read_settings(environment | {"EXTRA_CA_FILE": str(extra_ca_file)})
        sock = connect(Endpoint("localhost", port, ("127.0.0.1",)), Deadline(timeouts or Timeouts()))
        request.addfinalizer(sock.close)
        secured = start_tls(sock, "localhost", Tls(**tls), settings)
        request.addfinalizer(secured.close)
        return secured

    return handshake


def server_context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def signed(subject: str, key, issuer: str, issuer_key) -> x509.Certificate:
    """A certificate with nothing in it that is not asked for, as old tools made them."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    now = datetime.now(UTC)
    serial = x509.random_serial_number()
    builder = x509.CertificateBuilder(*names, key.public_key(), serial, now, now + timedelta(days=10))
    if subject == "localhost":
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def plain_server(folder, key, certificate: x509.Certificate) -> ssl.SSLContext:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(encoding, form, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(secret + certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.fixture
def self_signed(tmp_path) -> tuple[ssl.SSLContext, str]:
    """A server whose certificate nobody else has signed, and that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = signed("localhost", key, "localhost", key)
    return plain_server(tmp_path, key, certificate), certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_a_private_authority_of_the_mailbox_is_trusted(authority, serving, handshake):
    port = serving(server_context(authority.issue_cert("localhost", common_name="mail.example")))

    secured = handshake(port, ca_certificate=pem(authority))

    assert secured.version() in ("TLSv1.2", "TLSv1.3")
    facts = certificate(secured)
    assert facts.subject == "mail.example"
    assert facts.expires_at > datetime.now(UTC)


def test_an_authority_of_the_deployment_is_trusted(authority, serving, handshake, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    port = serving(server_context(authority.issue_cert("localhost")))

    assert handshake(port, extra_ca_file=tmp_path / "ca.pem").version()


def test_a_self_signed_certificate_is_trusted_when_it_is_given(self_signed, serving, handshake):
    context, text = self_signed

    assert handshake(serving(context), ca_certificate=text).version()


def test_an_authority_made_with_older_tools_is_trusted_when_it_is_given(serving, handshake, tmp_path):
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = signed("Old authority", authority_key, "Old authority", authority_key)
    server = plain_server(tmp_path, key, signed("localhost", key, "Old authority", authority_key))

    text = authority.public_bytes(serialization.Encoding.PEM).decode()

    assert handshake(serving(server), ca_certificate=text).version()


def rejection(port, handshake, **tls) -> str:
    with pytest.raises(CertificateRejected) as rejected:
        handshake(port, **tls)
    assert rejected.value.advice
    return rejected.value.reason


def test_a_self_signed_certificate_is_rejected(self_signed, serving, handshake):
    assert rejection(serving(self_signed[0]), handshake) == "self_signed"


def test_an_unknown_authority_is_rejected(authority, serving, handshake):
    port = serving(server_context(authority.issue_cert("localhost")))

    assert rejection(port, handshake) == "unknown_authority"


def test_a_certificate_for_another_name_is_rejected(authority, serving, handshake):
    port = serving(server_context(authority.issue_cert("other.example")))

    assert rejection(port, handshake, ca_certificate=pem(authority)) == "other_name"


def test_an_expired_certificate_is_rejected(authority, serving, handshake):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    port = serving(server_context(authority.issue_cert("localhost", not_after=yesterday)))

    assert rejection(port, handshake, ca_certificate=pem(authority)) == "expired"


def test_a_certificate_that_is_not_valid_yet_is_rejected(authority, serving, handshake):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    port = serving(server_context(authority.issue_cert("localhost", not_before=tomorrow)))

    assert rejection(port, handshake, ca_certificate=pem(authority)) == "not_yet_valid"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_protocol_before_tls_1_2_is_rejected(authority, serving, handshake):
    context = server_context(authority.issue_cert("localhost"))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    assert rejection(serving(context), handshake, ca_certificate=pem(authority)) == "too_old"


def test_nothing_is_verified_where_the_mailbox_says_so(authority, serving, handshake):
    port = serving(server_context(authority.issue_cert("other.example")))

    assert certificate(handshake(port, verify=False)) is None


@pytest.mark.parametrize("greeting", [b"* OK ready\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail ESMTP\r\n"])
def test_a_port_without_tls_is_a_mistake_in_the_configuration(serving, handshake, greeting):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        handshake(serving(greeting))

    assert "starttls" in misconfigured.value.advice


def test_a_server_that_never_ends_the_handshake_runs_out_of_time(serving, handshake):
    with pytest.raises(SourceUnavailable):
        handshake(serving(b""), timeouts=Timeouts(connect=0.5))


def test_a_ca_certificate_that_cannot_be_read_is_a_mistake_in_the_configuration(serving, handshake):
    with pytest.raises(SourceMisconfigured) as misconfigured:
        handshake(serving(b""), ca_certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    assert "PEM" in misconfigured.value.advice


def test_a_missing_file_of_authorities_is_a_mistake_in_the_deployment(serving, handshake, tmp_path):
    with pytest.raises(SettingsError):
        handshake(serving(b""), extra_ca_file=tmp_path / "missing.pem")
