import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import dovecot as dovecot_server
from local import postfix as postfix_server
from local.azurite import COMMAND, Azurite, run_azurite
from local.simulators import Simulators
from tests import capabilities, privacy
from tests.servers import require

pytest.register_assert_rewrite("tests.sources.contract", "tests.senders.contract")


ON_ONE_PYTHON = (
    *("api", "browser", "docs", "host", "infra", "local", "package", "push", "reliability", "replies", "sending"),
    *("simulators", "soak", "webhooks", "sources/test_ews", "sources/test_gmail", "sources/test_graph"),
)
"""Areas, and beginnings of files, that depend little on the Python that runs them, or start one of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(ON_ONE_PYTHON):
            item.add_marker(pytest.mark.exhaustive)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    capabilities.report(terminalreporter)


@pytest.fixture(autouse=True)
def nothing_private_is_logged() -> Iterator[None]:
    """Whatever a test is about: Mailroom logs events, and nothing of the mail in them."""
    listener = privacy.Listener()
    logging.getLogger("mailroom").addHandler(listener)
    yield
    logging.getLogger("mailroom").removeHandler(listener)
    assert listener.wrong == []


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A storage account of this test process alone; tests keep apart by the names of what they create."""
    require(COMMAND.exists(), "Azurite (npm ci --prefix local)")
    with run_azurite() as storage:
        yield storage
        assert [*privacy.secrets_in_storage(storage)] == []


@pytest.fixture(scope="session")
def dovecot() -> Iterator[dovecot_server.Dovecot]:
    """An IMAP and POP3 server of this test process alone; each user name that a test makes up has an empty mailbox."""
    require(dovecot_server.COMMAND is not None, "Dovecot (tools/install-servers)")
    with dovecot_server.run_dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: dovecot_server.Dovecot) -> Iterator[postfix_server.Postfix]:
    """An SMTP server of this test process alone, which delivers into that Dovecot."""
    require(postfix_server.CAN_RUN, "Postfix (tools/install-servers; only root can start it)")
    with postfix_server.run_postfix(dovecot) as server:
        yield server


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Simulators]:
    """Entra ID, Graph and Key Vault of this test alone; nothing in them yet but the home tenant."""
    with Simulators(tmp_path / "simulators-ca.pem") as running:
        yield running
