"""What becomes of mail that speaks of a ticket, of mail that nobody wrote, and of forged mail (req R3-R6)."""

import re
from collections.abc import Container
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.domain.fields import Model
from shared.domain.message import InboundMessage

EXCHANGE_ONLINE = "exchange-online"
"""Stands for the host that Exchange Online does not write into its Authentication-Results."""

AuthenticationHost = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=253, to_lower=True)]


class Replies(Model):
    """Answers to tickets."""

    strangers: Literal["linked_ticket", "by_reference", "comment"] = Field(
        default="linked_ticket",
        description="what becomes of an answer by somebody who has no part in the ticket: a ticket of its own that is "
        "linked; a comment if it refers to one of the ticket's messages, which a tag does not prove; or a comment",
    )
    closed: Literal["add", "reopen", "new_ticket"] = Field(
        default="reopen",
        description="what an answer does to a closed ticket: it is added and no more; it opens the ticket again within "
        "the grace and makes a linked ticket after it; it always makes a linked ticket",
    )
    grace_days: int = Field(default=14, ge=0, le=3650)
    unassigned_technician: Literal["collaboration", "reply"] = Field(
        default="collaboration",
        description="what a technician's mail is on a ticket of somebody else: an internal note, or a public answer",
    )
    automatic: Literal["ignore", "ticket"] = Field(
        default="ignore", description="what becomes of automatic replies that belong to no ticket"
    )
    trusted_authentication: tuple[AuthenticationHost, ...] = Field(
        default=(),
        max_length=10,
        description="hosts whose Authentication-Results are believed (RFC 8601): a sender who fails DMARC there has no "
        f"part in any ticket; `{EXCHANGE_ONLINE}` is Exchange Online",
    )

    @property
    def grace(self) -> timedelta:
        return timedelta(days=self.grace_days)


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
