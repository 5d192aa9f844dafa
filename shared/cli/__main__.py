"""The API of Mailroom at the command line. It is found by MAILROOM_URL and MAILROOM_KEY, or where `make run` left it.

Exit codes: 0 done; 1 refused, or it came out badly; 2 the command makes no sense; 3 the API is out of reach or not
working; 4 `config plan --check` found changes.
"""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.cli import commands, configuration, imports
from shared.cli.client import Api, Failed, connect
from shared.cli.terminal import printable


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(connect(environment), given))
    except Failed as error:
        for line in str(error).splitlines():
            print(printable(line), file=sys.stderr)
        return error.exit_code
    except OSError as error:  # of files that the command names
        print(printable(f"{error.filename}: {error.strerror}" if error.filename else error), file=sys.stderr)
        return Failed.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m shared.cli", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print answers as JSON, for programs")
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(below, "mailboxes", commands.mailboxes, "list the mailboxes and how they are doing")
    _on_mailbox(below, "test", commands.test, "test the connection of a mailbox, stage by stage")
    _on_mailbox(below, "poll", commands.poll, "have a mailbox polled now")
    explain = _on_mailbox(below, "explain", commands.explain, "what would become of messages, and why")
    explain.add_argument("file", help="a message as .eml, or many as mbox; - is standard input")
    tickets = _command(below, "tickets", commands.tickets, "list tickets, newest first")
    tickets.add_argument("--mailbox", help="of one mailbox only")
    tickets.add_argument("--status", choices=("open", "all"), default="open")
    tickets.add_argument("--limit", type=int, default=50)
    erase = _command(below, "erase", commands.erase, "erase what is stored about a person, once it is confirmed")
    erase.add_argument("address")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    _quarantine(_group(below, "quarantine", "messages that could not be handled"))
    _import(_on_mailbox(below, "import", imports.import_, "import older mail, once it is counted and confirmed"))
    _configuration(_group(below, "config", "all configuration as one document"))
    return parser


def _quarantine(below: Any) -> None:
    _on_mailbox(below, "list", commands.quarantine, "list them")
    retry = _on_mailbox(below, "retry", commands.retry, "take one in, or all of them, as if they had just come")
    export = _on_mailbox(below, "export", commands.export, "write one to a folder as .eml, or all of them")
    for each in (retry, export):
        each.add_argument("entry", nargs="?", help="its id; all of them unless given")
    export.add_argument("--to", required=True, metavar="FOLDER")


def _import(parser: ArgumentParser) -> None:
    parser.add_argument("--since", required=True, metavar="TIME", help="2026-01-31, or a time with offset")
    parser.add_argument("--until", metavar="TIME", help="mail before then")
    parser.add_argument("--folder", action="append", help="instead of the mailbox's folders; may be repeated")
    parser.add_argument("--tell", action="store_true", help="tell people of the tickets that it makes")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _configuration(below: Any) -> None:
    export = _command(below, "export", configuration.export, "write it to a file")
    export.add_argument("file", nargs="?", default="-", help=".json, .yaml or .yml; standard output unless given")
    export.add_argument("--contacts", action="store_true", help="with all contacts")
    plan = _command(below, "plan", configuration.plan, "tell what a file would change")
    apply = _command(below, "apply", configuration.apply, "change what a file says, once it is confirmed")
    for each in (plan, apply):
        each.add_argument("file", help=".json, .yaml or .yml; - is standard input, as JSON")
    plan.add_argument("--check", action="store_true", help="exit with 4 where something would change")
    apply.add_argument("--yes", action="store_true", help="do not ask")


def _group(below: Any, name: str, about: str) -> Any:
    return below.add_parser(name, help=about).add_subparsers(required=True, metavar="COMMAND")


def _command(below: Any, name: str, run: Callable[[Api, Any], int], about: str) -> ArgumentParser:
    parser: ArgumentParser = below.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run)
    return parser


def _on_mailbox(below: Any, name: str, run: Callable[[Api, Any], int], about: str) -> ArgumentParser:
    parser = _command(below, name, run, about)
    parser.add_argument("mailbox", help="its id, prefix or name")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
