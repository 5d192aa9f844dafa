"""What the simulated providers have sent, and its way into other simulated mailboxes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parseaddr

_BCC = re.compile(rb"^Bcc:.*\r?\n(?:[ \t].*\r?\n)*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it left, without Bcc; `recipients` are all who get it."""

    recipients: tuple[str, ...]
    raw: bytes


class Post:
    """`carriers` put a message into the mailbox of an address; they raise KeyError where it is not theirs."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.carriers: Sequence[Callable[[str, bytes], object]] = ()

    def send(self, raw: bytes) -> None:
        head, blank, body = raw.partition(b"\r\n\r\n")
        sent = Sent(recipients(raw), _BCC.sub(b"", head + blank[:2]) + blank[2:] + body)
        self.sent.append(sent)
        for address in sent.recipients:
            for carry in self.carriers:
                try:
                    carry(address, sent.raw)
                except KeyError:
                    continue


def recipients(raw: bytes) -> tuple[str, ...]:
    """All whom the header names, each once."""
    header = _header(raw)
    fields = [str(value) for name in ("To", "Cc", "Bcc") for value in header.get_all(name, [])]
    return tuple(dict.fromkeys(address for _, address in getaddresses(fields) if "@" in address))


def author(raw: bytes) -> str:
    return parseaddr(str(_header(raw).get("From", "")))[1].lower()


def _header(raw: bytes) -> Message:
    return BytesHeaderParser().parsebytes(raw)
