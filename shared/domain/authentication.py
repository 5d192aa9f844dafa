"""What the receiving server found out about a sender (RFC 8601)."""

import re
from collections.abc import Container

from shared.domain.message import InboundMessage
from shared.domain.replies import EXCHANGE_ONLINE

_ASIDE = re.compile(r'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)')
"""Quoted strings and comments, in which a sender may put what looks like a result."""
_MAX_NESTED = 10
_DMARC = re.compile(r"(?:^|;)\s*dmarc\s*(?:/\s*\d+\s*)?=\s*(\w+)", re.IGNORECASE)


def fails_dmarc(message: InboundMessage, trusted: Container[str]) -> bool:
    """Whether a trusted host says that the sender's domain disowns the message. Each host writes above what it got, so
    only the first result of a trusted host counts: those below may be forged (RFC 8601 section 5). Some write a field
    for each method.
    """
    for name, value in message.headers:
        if name != "authentication-results":
            continue
        plain = _plain(value)
        first = plain.partition(";")[0].split() or [""]
        is_trusted = (EXCHANGE_ONLINE if "=" in first[0] else first[0].lower()) in trusted
        if is_trusted and (found := _DMARC.search(plain)):
            return found[1].lower() == "fail"
    return False


def _plain(value: str) -> str:
    for _ in range(_MAX_NESTED):
        value, count = _ASIDE.subn(" ", value)
        if not count:
            break
    return value
