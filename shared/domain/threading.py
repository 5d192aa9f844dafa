"""Which ticket a message speaks of: by the ids it refers to, then by the tag in its subject (req R1, R2)."""

import re
from dataclasses import dataclass

from shared.domain.message import InboundMessage

MAX_REFERENCES = 20
"""Looking further back than this finds nothing that the newer ids do not."""

_TAG = re.compile(r"\[([A-Z][A-Z0-9]{1,9})-([1-9][0-9]{0,9})\]")


@dataclass(frozen=True, slots=True)
class Tag:
    prefix: str
    number: int


def referred_ids(message: InboundMessage) -> tuple[str, ...]:
    """The Message-IDs this message answers, newest first, without repeats.

    A delivery report answers the message that it is about. In-Reply-To names the parent and stands before the older
    References (RFC 5322 section 3.6.4).
    """
    reported = message.report.original_id if message.report else None
    newest_first = (*([reported] if reported else []), *message.in_reply_to, *reversed(message.references))
    return tuple(dict.fromkeys(newest_first))[:MAX_REFERENCES]


def subject_tags(message: InboundMessage) -> tuple[Tag, ...]:
    """Every ticket tag such as `[SUP-1042]` in the subject, in the order of their appearance; then those of the message
    that a delivery report is about.
    """
    subjects = (message.subject, message.report.original_subject if message.report else "")
    return tuple(Tag(prefix, int(number)) for subject in subjects for prefix, number in _TAG.findall(subject))
