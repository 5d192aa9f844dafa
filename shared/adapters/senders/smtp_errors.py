"""What SMTP servers refuse, by their codes (RFC 5321 section 4.2, RFC 3463, RFC 4954 section 6), and what to do."""

import re
from dataclasses import dataclass
from typing import Literal

from shared.adapters.refusals import meanings
from shared.domain.errors import AppError, SourceMisbehaved, SourceUnavailable, Throttled

Step = Literal["connect", "start TLS", "sign in", "name the sender", "name a recipient", "hand over the message"]

ADVICE_ON_PROTOCOL = "Check that host and port are those of an SMTP server."


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: bytes

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def status(self) -> str:
        """That of RFC 3463; made from the code where the server gives none."""
        given = re.match(rb"([245]\.\d{1,3}\.\d{1,3})\b", self.text)
        return given[1].decode() if given else f"{self.code // 100}.0.0"

    @property
    def is_about_the_sender(self) -> bool:
        """Whether a recipient was refused for a reason that is none of theirs. Postfix says of each recipient that it
        does not take the sender.
        """
        return self.code in (421, 530) or self.status == "5.7.57" or (self.code, self.status) == (553, "5.7.1")


def refusal(step: Step, reply: Reply) -> AppError:
    """Who must act on a refusal. The server's own words stay out of it: they may name people."""
    where = f" ({reply.code} {reply.status})"
    if reply.code < 400:
        return SourceMisbehaved(f"The server gives a strange answer{where}.", advice=ADVICE_ON_PROTOCOL)
    meaning = meanings("smtp_status").get(reply.status) or meanings("smtp_code").get(str(reply.code))
    if meaning is None and reply.code < 500:
        kind = Throttled if reply.status.startswith(("4.3.2", "4.5.3", "4.7.")) else SourceUnavailable
        return kind(f"The server cannot {step} now{where}.")
    meaning = meaning or meanings("smtp_step")[step]
    return meaning.error(meaning.text.removesuffix(".") + where + ".")
