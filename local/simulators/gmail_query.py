"""The search language of Gmail, as far as a mail program needs it: all terms must hold, `-` turns one round."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from local.simulators.gmail_store import Message

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "m": timedelta(days=30), "y": timedelta(days=365)}
_STATES = {"unread": "UNREAD", "starred": "STARRED", "important": "IMPORTANT"}

Test = Callable[[Message], bool]


class QueryUnknown(ValueError):
    """The simulator does not know this term."""


def parsed(query: str, labels: Mapping[str, str], now: datetime) -> Test:
    """What messages must be to be found; `labels` are ids by lower-case name. :raises QueryUnknown:"""
    tests = [_term(term, labels, now) for term in query.split()]
    return lambda message: all(test(message) for test in tests)


def looks_in_bins(query: str) -> bool:
    """Whether spam and trash are looked at, which they are not by themselves."""
    return bool(re.search(r"(?<!\S)in:(anywhere|trash|spam)\b", query, re.IGNORECASE))


def _term(term: str, labels: Mapping[str, str], now: datetime) -> Test:
    if term.startswith("-"):
        test = _term(term[1:], labels, now)
        return lambda message: not test(message)
    operator, _, value = term.partition(":")
    match operator.lower():
        case "rfc822msgid":
            return lambda message: message.message_id.strip("<>") == value.strip("<>")
        case "in" | "is" | "label":
            return _state(value.lower(), labels)
        case "newer_than" | "after":
            since = _moment(value, now)
            return lambda message: message.arrived_at >= since
        case "older_than" | "before":
            until = _moment(value, now)
            return lambda message: message.arrived_at < until
    raise QueryUnknown(f"the simulator does not search for {term}")


def _state(name: str, labels: Mapping[str, str]) -> Test:
    if name == "read":
        return lambda message: "UNREAD" not in message.labels
    if name == "anywhere":
        return lambda _: True
    label = _STATES.get(name) or labels.get(name) or {"chats": "CHAT"}.get(name, name.upper())
    return lambda message: label in message.labels


def _moment(value: str, now: datetime) -> float:
    """Milliseconds since the epoch: from `7d` (ago), epoch seconds, or a date such as 2026/11/01."""
    ago = re.fullmatch(r"(\d+)([hdmy])", value)
    if ago:
        return (now - int(ago[1]) * _UNITS[ago[2]]).timestamp() * 1000
    if value.isdecimal():
        return int(value) * 1000
    try:
        return datetime.strptime(value.replace("-", "/"), "%Y/%m/%d").replace(tzinfo=UTC).timestamp() * 1000
    except ValueError as error:
        raise QueryUnknown(f"the simulator does not know the time {value}") from error
