"""How well and how fast mail is read: the corpus of the tests, beside the standard library's parser in the same run."""

import email
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from shared import mime
from shared.domain.message import Address, InboundMessage

FIGURES = Path(".local/figures/parsing.json")
CORPUS = Path("tests/corpus")
_ROUNDS = 7
_TIMES = 10


def main() -> None:
    pairs = [(path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8"))) for path in _paths()]
    ours, theirs = _milliseconds([content for content, _ in pairs])
    figures = {
        "messages": len(pairs),
        "accuracy": accuracy(pairs),
        "milliseconds_per_message": round(sum(ours) / len(ours), 3),
        "milliseconds_per_message_compat32": round(sum(theirs) / len(theirs), 3),
        "ratio": round(sum(ours) / sum(theirs), 2),
        "median_ratio": round(median(one / other for one, other in zip(ours, theirs, strict=True)), 2),
        "budget": "ratio <= 4",
    }
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


def _paths() -> list[Path]:
    return sorted(CORPUS.glob("*.eml"))


def accuracy(pairs: list[tuple[bytes, dict[str, Any]]]) -> dict[str, float]:
    """The share of messages in which each field is read as expected, of those that expect something of it."""
    asked, right = Counter[str](), Counter[str]()
    for content, expected in pairs:
        wrong = differences(content, expected)
        asked.update(list(expected))
        right.update(key for key in expected if key not in wrong)
    return {key: round(right[key] / asked[key], 4) for key in sorted(asked)}


def differences(content: bytes, expected: dict[str, Any]) -> dict[str, Any]:
    """What is read otherwise than expected: `{key: (expected, read)}`."""
    message = mime.parse(content)
    actual: dict[str, Any] = {**plain(message), "html": mime.safe_html(content)}
    found: dict[str, Any] = {}
    for key, value in expected.items():
        if key == "attachments":
            names = [sorted(each) for each in value] + [[]] * len(actual[key])
            read: Any = [{name: each[name] for name in only} for each, only in zip(actual[key], names, strict=False)]
        elif key == "headers":
            read = {name: message.header(name) for name in value}
        elif key.endswith("_has"):
            read = [part for part in value if part in (actual[key.removesuffix("_has")] or "")]
        else:
            read = actual[key]
        if read != value:
            found[key] = value, read if not key.endswith("_has") else actual[key.removesuffix("_has")]
    return found


def plain(message: InboundMessage) -> dict[str, Any]:
    """The message as JSON would have it; addresses as `[address, name]`."""
    return {
        "message_id": message.message_id,
        "in_reply_to": list(message.in_reply_to),
        "references": list(message.references),
        "subject": message.subject,
        "sent_at": message.sent_at and message.sent_at.isoformat(),
        "sender": message.sender and _pair(message.sender),
        "reply_to": [_pair(address) for address in message.reply_to],
        "to": [_pair(address) for address in message.to],
        "cc": [_pair(address) for address in message.cc],
        "text": message.text,
        "has_html": message.has_html,
        "kind": message.kind.value,
        "attachments": [
            {key: getattr(attachment, key) for key in ("name", "content_type", "size", "content_id", "inline")}
            for attachment in message.attachments
        ],
        "defects": list(message.defects),
        "protection": message.protection,
    }


def _pair(address: Address) -> list[str]:
    return [address.address, address.name]


def _milliseconds(corpus: list[bytes]) -> tuple[list[float], list[float]]:
    """For each message the best of several rounds, in turns with the standard library."""
    ours, theirs = [[float("inf")] * len(corpus) for _ in range(2)]
    for _ in range(_ROUNDS):
        for index, content in enumerate(corpus):
            theirs[index] = min(theirs[index], _time(email.message_from_bytes, content))
            ours[index] = min(ours[index], _time(mime.parse, content))
    return ours, theirs


def _time(read: Callable[[bytes], object], content: bytes) -> float:
    started = time.process_time()
    for _ in range(_TIMES):
        read(content)
    return (time.process_time() - started) / _TIMES * 1_000


if __name__ == "__main__":
    main()
