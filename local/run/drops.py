"""A folder for each mailbox: an .eml file that appears there is delivered, and followed until it is a ticket."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from local.run.api import Api
from local.run.demo import DemoMailbox

_NEWEST = 200


@dataclass
class DropFolder:
    """`_sizes` are those of the files when they were last looked at: one that still grows is left alone."""

    folder: Path
    mailbox: DemoMailbox
    mailbox_id: str
    _sizes: dict[Path, int] = field(default_factory=dict)
    _delivered: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "delivered").mkdir(parents=True, exist_ok=True)

    def look(self) -> Iterator[str]:
        """Deliver what is whole, and say so."""
        mail = sorted(path for path in self.folder.iterdir() if path.suffix.lower() == ".eml")
        before, self._sizes = self._sizes, {path: path.stat().st_size for path in mail}
        for path, size in self._sizes.items():
            if size and before.get(path) == size:
                now = datetime.now(UTC).replace(microsecond=0)
                self._delivered[path.name] = self.mailbox.receive(path.read_bytes()), now
                path.rename(self.folder / "delivered" / f"{time.time_ns()}-{path.name}")
                yield f"{path.name} is in the inbox of {self.mailbox.settings['address']}; the next poll takes it in"

    def results(self, api: Api) -> Iterator[str]:
        """What the poll that just ended made of the delivered files."""
        for name, (content, at) in list(self._delivered.items()):
            found = self._find(api, content, at)
            if found:
                del self._delivered[name]
                yield f"{found} {name}"

    def _find(self, api: Api, content: bytes, at: datetime) -> str | None:
        listed = api.get("/api/tickets", mailbox=self.mailbox_id, status="all", limit=_NEWEST)["tickets"]
        for ticket in sorted(listed, key=lambda each: each["updated_at"], reverse=True):
            for comment in api.get(ticket["href"])["comments"]:
                message = comment["message"]
                if message and message["size"] == len(content) and api.get_bytes(message["raw_href"]) == content:
                    done = "was created from" if comment["seq"] == 1 else "has a comment from"
                    if datetime.fromisoformat(comment["at"]) < at:
                        done = "has had this before:"
                    return f'{ticket["tag"]} "{ticket["subject"]}" {done}'
        return None
