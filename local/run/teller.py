"""What the person at the terminal is told."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.run.api import Api
from local.run.demo import Demo
from local.run.drops import DropFolder
from local.run.host_process import Entry
from local.smtp_server import Received
from shared.domain.ticket import Outcome
from shared.mime import parse
from shared.telemetry import Event

_INVOCATION = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} ")


def say(text: str) -> None:
    print("".join(each if each.isprintable() or each == "\n" else " " for each in text), flush=True)


def introduce(api: Api, folder: Path, demo: Demo) -> None:
    parts = {
        "API": f"{api.url}/api",
        **{each.name: f"{each.settings['address']}, on {each.served_by}" for each in demo.mailboxes},
        "Sender": f"an SMTP server that sends nothing on, and keeps all in {demo.sent}",
        "Microsoft": f"simulated Entra ID, Graph and Key Vault at {demo.environment['GRAPH_ENDPOINT']}",
        "Storage": f"Azurite, in {folder / 'azurite'}",
        "Log": f"{folder / 'host.log'}",
    }
    say("\nMailroom is running, all of it on this machine.\n")
    for name, text in parts.items():
        say(f"  {name:<11}{text}")
    say("")


@dataclass
class Teller:
    """Turns the log of the functions host into a few readable lines."""

    api: Api
    drops: Mapping[str, DropFolder]
    log: Path
    sent: Sequence[Received]
    _told_of: int = 0
    _polled: set[str] = field(default_factory=set)
    _failing: set[str] = field(default_factory=set)
    _errors: set[str] = field(default_factory=set)

    def look(self) -> None:
        for drop in self.drops.values():
            for line in drop.look():
                self._say(line)
        self._look_at_sent()

    def _look_at_sent(self) -> None:
        """The first of what was sent since the last look; of many how many more."""
        new = self.sent[self._told_of :]
        if not new:
            return
        self._told_of += len(new)
        subject = parse(new[0].content).subject
        more = f", and {len(new) - 1} more" if len(new) > 1 else ""
        self._say(f'Sent "{subject}" to {", ".join(new[0].recipients)}{more}')

    def tell(self, entry: Entry) -> None:
        event = entry.event
        drop = self.drops.get(event.get("mailbox", ""))
        match event.get("event"):
            case Event.POLL_FINISHED if drop:
                self._finished(drop, event)
            case Event.POLL_FAILED if drop and "failures" in event:
                self._failed(drop)
            case Event.MESSAGE_QUARANTINED if drop:
                self._say(f"{drop.mailbox.label}: a message could not be handled and is kept in quarantine")
            case Event.SETTINGS_INVALID:
                self._say(f"the app settings are wrong: {'; '.join(event['problems'])}")
            case told if entry.level in ("ERROR", "CRITICAL"):
                self._wrong(str(told or entry.text))

    def _finished(self, drop: DropFolder, event: Mapping[str, Any]) -> None:
        label, listed = drop.mailbox.label, event["listed"]
        if drop.mailbox_id in self._failing:
            self._failing.remove(drop.mailbox_id)
            self._say(f"{label} can be polled again")
        if listed:
            outcomes = ", ".join(f"{event[each]} {each}" for each in Outcome if each in event)
            self._say(f"{label}: {listed} message{'s' * (listed > 1)}: {outcomes}")
            for line in drop.results(self.api):
                self._say(f"  {line}")
        elif drop.mailbox_id not in self._polled:
            self._say(f"{label}: no new mail")
        self._was_polled(drop)

    def _failed(self, drop: DropFolder) -> None:
        """Once, until it can be polled again."""
        if drop.mailbox_id not in self._failing:
            self._failing.add(drop.mailbox_id)
            error = self.api.get(f"/api/mailboxes/{drop.mailbox_id}")["health"]["last_error"]
            said = [error["text"], error["advice"] or ""] if error else []
            self._say(f"{drop.mailbox.label} cannot be polled now. {' '.join(said)}")
        self._was_polled(drop)

    def _wrong(self, text: str) -> None:
        """Each error once, by its first line and whichever invocation met it."""
        error = _INVOCATION.sub("", text.partition(" | ")[0])
        if error not in self._errors:
            self._errors.add(error)
            self._say(f"Something is wrong ({self.log} tells more): {error}")

    def _was_polled(self, drop: DropFolder) -> None:
        """Once all mailboxes were, there is something to look at."""
        if drop.mailbox_id not in self._polled:
            self._polled.add(drop.mailbox_id)
            if len(self._polled) == len(self.drops):
                self._suggest()

    def _suggest(self) -> None:
        prefix = next(iter(self.drops.values())).mailbox.settings["ticket_prefix"]
        say("\nLook at it (paste a line into another terminal):\n")
        for path in ("/api/health", "/api/tickets?limit=5", f"/api/tickets/{prefix}-1"):
            say(
                f"  curl -s -H 'x-functions-key: {self.api.key}' '{self.api.url}{path}'"
                " | python3 -m json.tool --no-ensure-ascii"
            )
        say("\nSend it mail: put an .eml file of your own into one of these folders.\n")
        for drop in self.drops.values():
            say(f"  {drop.folder}")
        say("\nCtrl-C ends it. `make run` goes on with the same data, `make clean-run` begins anew.\n")

    def _say(self, text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')}  {text}")
