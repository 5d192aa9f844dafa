"""The table of what each source can do, made of the tests that ran: `.local/figures/sources.json`."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

FIGURES = Path(".local/figures/sources.json")
CRASHES = FIGURES.with_name("crash-matrix.json")

_SOURCE = re.compile(r"tests/sources/test_([a-z0-9]+?)(?:_\w+)?\.py::(?:\w+::)?(test_\w+)")
_PROXIED = re.compile(r"tests/sources/test_proxies\.py::(test_\w+)\[([a-z0-9]+)")
_CAPABILITIES = {
    "list": "test_messages_are_listed_oldest_first",
    "resume": "test_another_process_resumes_from_the_cursor",
    "resync": "lists_everything_again|is_listed_again|starts_over",
    "fetch": "test_messages_are_fetched_as_they_were_delivered",
    "size limit before download": "test_a_message_over_the_limit_is_cut",
    "unread only": "test_unread_only",
    "start from": "test_the_past_is_left_out_unless",
    "keep": "test_keep_leaves_messages",
    "mark as read": "test_messages_are_marked_as_read",
    "move": "test_messages_are_moved_to_a_folder",
    "delete": "test_messages_are_deleted",
    "folders": "test_folders_are_listed_by_their_paths",
    "several folders": "several_folders",
    "unknown folder named": "test_an_unknown_folder_is_an_error",
    "wrong secret": "test_a_wrong_secret_is_rejected",
    "certificate checked": "test_a_certificate_that_is_not_trusted_is_rejected",
    "server down": "test_a_server_that_is_down",
    "test connection": "test_a_connection_test_passes_every_stage",
    "sign in with a password": "test_where_login_is_disabled|test_passwords_are_shown|test_a_password_is_given",
    "sign in with a token": "token|test_an_app_acts",
    "STARTTLS": "starttls|test_what_was_said_before_tls",
    "proxy": "proxy",
}


def write_figures(passed: Iterable[str], failed: Iterable[str]) -> None:
    """`passed` and `failed` are the ids of tests; a cell counts those that ran, and none means that it has none."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for outcome, nodes in (("passed", passed), ("failed", failed)):
        for source, name in _found(nodes):
            for capability, pattern in _CAPABILITIES.items():
                if re.search(pattern, name):
                    cell = table.setdefault(source, {}).setdefault(capability, {"passed": 0, "failed": 0})
                    cell[outcome] += 1
    if table:
        crashes = json.loads(CRASHES.read_text()) if CRASHES.exists() else {}
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps({"capabilities": table, "crash_matrix": crashes}, indent=2))


def _found(nodes: Iterable[str]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if match := _PROXIED.match(node):
            yield match[2], f"{match[1]}_proxy"
        elif match := _SOURCE.match(node):
            yield match[1], match[2]


def report(terminal: pytest.TerminalReporter) -> None:
    ids = {outcome: [each.nodeid for each in terminal.stats.get(outcome, ())] for outcome in ("passed", "failed")}
    write_figures(ids["passed"], ids["failed"])
