"""Push: a provider watches a folder for us and notifies us of new mail, until the watch expires (req C14)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.recognition import is_signed, signature
from shared.domain.schedule import doubled

LIFETIME = timedelta(hours=70)
"""Shorter than every limit that Graph has had for mail (4,230 and 10,080 minutes)."""

RENEWED_WITH = timedelta(hours=46)
"""Renewed with so much of it left, so once a day: what the provider has dropped without a word is found out by that."""

_LONGEST_WAIT = timedelta(hours=6)
_STATE = re.compile(r"([a-z0-9][a-z0-9-]{0,62})\.([0-9a-f]{40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Watch:
    """One folder, and the provider's id of its watch."""

    folder: str
    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Watches:
    """Those of one mailbox. `of` tells the settings that they were made for; they are looked after at `due_at`. After
    `failures` in a row, `error` and `advice` are those of the last.
    """

    mailbox_id: str
    of: str
    due_at: datetime
    watches: tuple[Watch, ...] = ()
    failures: int = 0
    error_code: str | None = None
    error: str = ""
    advice: str = ""


def next_due(watches: Iterable[Watch], now: datetime, failures: int) -> datetime:
    """After a failure the wait doubles each time; polls go on meanwhile."""
    if failures:
        return now + doubled(timedelta(minutes=5), failures - 1, _LONGEST_WAIT)
    return min((each.expires_at for each in watches), default=now + LIFETIME) - RENEWED_WITH


def client_state(key: bytes, mailbox_id: str) -> str:
    """What notifications about a mailbox bear: nobody else can make it. Graph takes at most 128 characters."""
    return f"{mailbox_id}.{signature(key, 'push', mailbox_id, 40)}"


def notified_mailbox(keys: Iterable[bytes], state: object) -> str | None:
    """The mailbox that a notification is about; None where it is not one of ours."""
    found = _STATE.fullmatch(state) if isinstance(state, str) else None
    return found[1] if found and is_signed(keys, "push", found[1], found[2]) else None
