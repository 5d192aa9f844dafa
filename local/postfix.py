"""Postfix, a real mail server, as a private child process on loopback; only root can start it.

It takes mail for its domains from anybody, and passes nothing on: whoever has signed in may use their own address only.
What it takes it puts where Dovecot finds it.
"""

import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from local.dovecot import HOST, Dovecot, free_ports

_COMMAND = shutil.which("master", path="/usr/lib/postfix/sbin:/usr/libexec/postfix")
CAN_RUN = _COMMAND is not None and os.getuid() == 0
DOMAINS = ("desk.example", "customer.example")
MOST_BYTES = 1_000_000
_PATIENCE_SECONDS = 30
_QUEUES = ("maildrop", "incoming", "active", "deferred")
_FOLDERS = (*_QUEUES, "bounce", "corrupt", "defer", "flush", "hold", "private", "saved", "trace", "public", "pid")

_CONFIGURATION = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mail.desk.example
mydestination =
local_recipient_maps =
alias_maps =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
default_transport = error:nothing is passed on from here
in_flow_delay = 0
message_size_limit = {most_bytes}
mailbox_size_limit = 0
smtpd_peername_lookup = no
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/server.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sender_login_maps = regexp:{folder}/owners
smtpd_sender_restrictions = reject_authenticated_sender_login_mismatch
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/refused
header_checks = regexp:{folder}/content
virtual_mailbox_domains = {domains}
virtual_transport = maildir
maildir_destination_recipient_limit = 1
"""

_SERVICES = """
127.0.0.1:{starttls} inet n - n - - smtpd
127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000 1 tlsmgr
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
maildir unix - n n - - pipe flags=DRhu user={owner} argv={folder}/deliver ${{recipient}}
postlog unix-dgram n - n - 1 postlogd
"""

# An address is its own owner; some recipients and subjects are refused.
_TABLES = {
    "owners": "/^(.+)$/ $1\n",
    "refused": "/^unknown@/ 550 5.1.1 No such user\n/^later@/ 450 4.2.1 Not now\n",
    "content": "/^Subject:.*forbidden/ REJECT 5.7.1 Not with these words\n",
}

_DELIVER = """#!/bin/sh
set -e
case $1 in bounces@*) echo "5.1.1 The mailbox was closed"; exit 67 ;; esac
maildir={mail}/$1/Maildir
name=$(date +%s%N).$$.localhost
mkdir -p "$maildir/tmp" "$maildir/new" "$maildir/cur"
cat > "$maildir/tmp/$name"
mv "$maildir/tmp/$name" "$maildir/new/$name"
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """Where it listens. `unknown@` and `later@` any of its domains are refused; mail to `bounces@` comes back."""

    starttls_port: int
    tls_port: int
    ca_file: Path
    _queue: Path

    def wait_until_delivered(self) -> None:
        """:raises TimeoutError: something stays in the queue."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(path.is_file() for name in _QUEUES for path in (self._queue / name).rglob("*")):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.02)


@contextmanager
def run_postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """Run Postfix for the duration of the block. Accounts and passwords are Dovecot's, and so are the mailboxes.

    :raises RuntimeError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True) as path:
        folder = Path(path)
        folder.chmod(0o755)
        starttls, tls = free_ports((0, 0))
        server = Postfix(starttls, tls, folder / "ca.pem", folder / "queue")
        _configure(server, folder, dovecot)
        with subprocess.Popen([_COMMAND or "master", "-c", path]) as process:
            try:
                _wait_for_greeting(server, process, folder / "log")
                yield server
            finally:
                process.terminate()


def _configure(server: Postfix, folder: Path, dovecot: Dovecot) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(server.ca_file))
    identity = authority.issue_cert(HOST, "127.0.0.1")
    identity.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    postfix = pwd.getpwnam("postfix").pw_uid
    for name in ("data", *(f"queue/{each}" for each in _FOLDERS)):
        (folder / name).mkdir(parents=True, mode=0o755 if name.endswith(("public", "pid")) else 0o700)
        os.chown(folder / name, 0 if name.endswith("pid") else postfix, -1)
    for name, table in _TABLES.items():
        (folder / name).write_text(table)
    settings = _CONFIGURATION.format(
        folder=folder, most_bytes=MOST_BYTES, auth_socket=dovecot.auth_socket, domains=", ".join(DOMAINS)
    )
    services = _SERVICES.format(
        folder=folder, starttls=server.starttls_port, tls=server.tls_port, owner=dovecot.mail.owner()
    )
    (folder / "main.cf").write_text(settings)
    (folder / "master.cf").write_text(services)
    (folder / "deliver").write_text(_DELIVER.format(mail=dovecot.mail))
    (folder / "deliver").chmod(0o755)


def _wait_for_greeting(server: Postfix, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with smtplib.SMTP("127.0.0.1", server.starttls_port, timeout=5):
                return
        except (OSError, smtplib.SMTPException):
            time.sleep(0.02)
    raise RuntimeError(f"Postfix did not start: {log.read_text() if log.exists() else 'no log'}")
