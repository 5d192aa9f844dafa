"""`import`: older mail, counted first, then taken in behind new mail while a bar tells how far it is (req D6)."""

import sys
from argparse import Namespace
from time import sleep
from typing import Any

from shared.cli.client import Api, Failed, Misused
from shared.cli.terminal import Progress, confirmed, printable

_SECONDS = 2
_ENDED = ("done", "failed", "cancelled")


def import_(api: Api, given: Namespace) -> int:
    path = f"mailboxes/{api.mailbox(given.mailbox)}/imports"
    within = {"since": _moment(given.since), "until": _moment(given.until), "folders": given.folder}
    asked = {name: value for name, value in within.items() if value is not None}
    made = api.post(path, json={**asked, "silent": not given.tell})
    path = f"{path}/{made['id']}"
    counted = _followed(api, path, "planned", Progress("count"))
    at_most = "" if counted["found_is_exact"] else "at most "
    print(f"{at_most}{counted['found']} messages{', silently' if counted['silent'] else ''}")
    if not (given.yes or confirmed("Import?")):
        api.post(f"{path}/cancel")
        raise Misused("nothing is imported: use --yes where nobody is there to confirm")
    api.post(f"{path}/start")
    try:
        ended = _followed(api, path, "done", Progress("import"))
    except KeyboardInterrupt:
        print(f"it goes on without you: {path}", file=sys.stderr)
        raise
    print(", ".join(f"{name}: {count}" for name, count in ended["outcomes"].items()) or "nothing was taken in")
    return 0


def _moment(text: str | None) -> str | None:
    """A day begins at midnight UTC."""
    return f"{text}T00:00:00Z" if text and len(text) == len("2026-01-31") else text


def _followed(api: Api, path: str, goal: str, progress: Progress) -> dict[str, Any]:
    """The import once it is there. :raises Failed: it ends otherwise."""
    with progress:
        while True:
            found: dict[str, Any] = api.get(path)
            progress.show(found["listed"], found["found"])
            if found["state"] == goal:
                return found
            if found["state"] in _ENDED:
                raise Failed(printable(f"the import {found['state']}: {found['error'] or ''}".rstrip(": ")))
            sleep(_SECONDS)
