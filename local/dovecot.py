"""Dovecot, an IMAP and POP3 server, as a private child process on loopback; starts as root and as anybody else."""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

COMMAND = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
HOST = "localhost"
PASSWORD = "open-sesame"
_PATIENCE_SECONDS = 30

# `chroot =` and the users let it run without root; the rest takes away what slows down or limits tests.
_CONFIGURATION = r"""
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
disable_plaintext_auth = no
auth_mechanisms = plain cram-md5{oauth_mechanisms}
auth_failure_delay = 0
default_internal_user = {internal_user}
default_login_user = {login_user}
default_internal_group = {internal_group}
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 100
mail_location = maildir:~/Maildir
{oauth_passdb}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \Sent
    auto = create
  }}
  mailbox Trash {{
    special_use = \Trash
    auto = create
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
"""

_OAUTH_PASSDB = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""

# An access token is good for the user that the token service names for it.
_OAUTH_SETTINGS = """
introspection_mode = post
introspection_url = {url}
tls_ca_cert_file = {folder}/introspection-ca.pem
username_attribute = email
active_attribute = active
active_value = true
"""


@dataclass(frozen=True, slots=True)
class Introspection:
    """Who tells Dovecot whose an access token is (RFC 7662); `url` holds the client's name and secret."""

    url: str
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Dovecot:
    """Where it listens. Every user name is let in with `PASSWORD`, and then has an empty mailbox of its own.

    Another server delivers into `mail`, as the owner of that folder, and asks at `auth_socket` who may send.
    """

    imap_port: int
    imaps_port: int
    pop3_port: int
    pop3s_port: int
    ca_file: Path
    mail: Path
    auth_socket: Path


@contextmanager
def run_dovecot(
    mail: Path | None = None, ports: Sequence[int] = (0, 0, 0, 0), introspection: Introspection | None = None
) -> Iterator[Dovecot]:
    """Run Dovecot for the duration of the block, keeping mail in that folder, or nowhere without one. With
    `introspection` it takes XOAUTH2 and OAUTHBEARER too.

    `ports` are those of IMAP, IMAPS, POP3 and POP3S; 0 is any free one. :raises RuntimeError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)
        imap, imaps, pop3, pop3s = free_ports(ports)
        server = Dovecot(imap, imaps, pop3, pop3s, folder / "ca.pem", mail or folder / "mail", folder / "auth")
        _configure(server, folder, introspection)
        command = [COMMAND or "dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for_greeting(server, process, folder / "log")
                yield server
            finally:
                process.terminate()


def _configure(server: Dovecot, folder: Path, introspection: Introspection | None) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(server.ca_file))
    identity = authority.issue_cert(HOST, "127.0.0.1")
    identity.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    me, is_root = pwd.getpwuid(os.getuid()), os.getuid() == 0
    owner = pwd.getpwnam("nobody") if is_root else me
    server.mail.mkdir(parents=True, exist_ok=True)
    os.chown(server.mail, owner.pw_uid, owner.pw_gid)
    if introspection:
        (folder / "introspection-ca.pem").write_bytes(introspection.ca_file.read_bytes())
        (folder / "oauth2.conf").write_text(_OAUTH_SETTINGS.format(url=introspection.url, folder=folder))
    text = _CONFIGURATION.format(
        oauth_mechanisms=" xoauth2 oauthbearer" if introspection else "",
        oauth_passdb=_OAUTH_PASSDB.format(folder=folder) if introspection else "",
        folder=folder,
        mail=server.mail.absolute(),
        password=PASSWORD,
        uid=owner.pw_uid,
        gid=owner.pw_gid,
        internal_user="dovecot" if is_root else me.pw_name,
        internal_group="dovecot" if is_root else grp.getgrgid(me.pw_gid).gr_name,
        login_user="dovenull" if is_root else me.pw_name,
        imap=server.imap_port,
        imaps=server.imaps_port,
        pop3=server.pop3_port,
        pop3s=server.pop3s_port,
    )
    (folder / "dovecot.conf").write_text(text)


def free_ports(ports: Sequence[int]) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", port))) for port in ports]
        return [listener.getsockname()[1] for listener in sockets]


def _wait_for_greeting(server: Dovecot, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", server.imap_port), timeout=1) as connection:
                if connection.recv(4) == b"* OK":
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"Dovecot did not start: {log.read_text() if log.exists() else 'no log'}")
