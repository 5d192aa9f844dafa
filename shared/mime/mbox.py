"""The messages of an mbox file (RFC 4155), with the quoting of `From ` undone as mboxrd has it."""

import re
from collections.abc import Iterator

_SEPARATOR = re.compile(rb"(?:\A|(?<=\n)\r?\n)From [^\n]*\n")
_QUOTED = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def messages(content: bytes) -> Iterator[bytes]:
    """Nothing where it is no mbox."""
    if not content.startswith(b"From "):
        return
    starts = [(found.start(), found.end()) for found in _SEPARATOR.finditer(content)]
    ends = [*(start for start, _ in starts[1:]), len(content)]
    for (_, start), end in zip(starts, ends, strict=True):
        yield _QUOTED.sub(b"", content[start:end])
