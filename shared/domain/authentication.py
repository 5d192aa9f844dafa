"""What the receiving server found out about a sender (RFC 8601)."""

import re
from collections.abc import Container

from shared.domain.message import InboundMessage
from shared.domain.replies import EXCHANGE_ONLINE

_ASIDE = re.compile(r'"(?:[^"\\]|\\.)*"|\([^()]*\)')
"""Quoted strings and comments, in which a sender may put what looks like a result."""
_DMARC = re.compile(r"(?:^|;)\s*dmarc\s*=\s*(\w+)", re.IGNORECASE)


def fails_dmarc(message: InboundMessage, trusted: Container[str]) -> bool:
    """Whether a trusted host says that the sender's domain disowns the message. Each host writes above what it got, so
    only the first field of a trusted host counts: those below may be forged (RFC 8601 section 5).
    """
    for name, value in message.headers:
        if name != "authentication-results":
            continue
        plain = _ASIDE.sub(" ", value)
        first = plain.partition(";")[0].split() or [""]
        if (EXCHANGE_ONLINE if "=" in first[0] else first[0].lower()) in trusted:
            found = _DMARC.search(plain)
            return found is not None and found[1].lower() == "fail"
    return False
