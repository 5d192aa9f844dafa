"""Addresses as RFC 5322 section 3.4 has them, and as they are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.domain.message import Address
from shared.mime.headers import characters, decode_words, one_line

MAX_ADDRESSES = 500
MAX_ADDRESS = 320
MAX_NAME = 200

_TOKEN = re.compile(
    r"(?P<word>=\?[^?\s]{1,64}\?[bBqQ]\?[^?]{0,2000}\?=)"
    r'|(?P<quoted_local>"(?:[^"\\]|\\.)*+"@[^\s",;:<>()]++)'
    r'|"(?P<quoted>(?:[^"\\]|\\.)*+)"'
    r"|<(?P<angle>(?:[^<>\"]++|\"[^\"<>]*+\")*+)>|<(?P<open_angle>[^<>,;\s]*+)"
    r"|\((?P<comment>(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+)\)"
    r"|(?P<separator>[,;:])"
    r'|(?P<atom>(?:\[[^\[\]\s]*+\]|[^\s",;:<>()\[\]])++)'
    r"|.",
    re.DOTALL,
)
_SPEC = r"[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){0,9}+"
_PLAIN = re.compile(rf"""\s*+(?:(?:"([^"\\=]*+)"|([^"<>()\\,;:@=\[\]]*+))\s*+<({_SPEC})>|({_SPEC}))\s*+""", re.ASCII)
"""How nearly every single address is written."""
_COMMENT = re.compile(r"\([^()]*+\)")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def addresses(values: list[str], sibling: str = "") -> tuple[Address, ...]:
    """Every mailbox in these fields, those in groups too. Without an address there is at least a name."""
    found = (address for value in values for address in _mailboxes(characters(value, sibling), sibling))
    return tuple(address for address, _ in zip(found, range(MAX_ADDRESSES), strict=False))


@dataclass(slots=True)
class _Draft:
    """What was read of one mailbox so far."""

    words: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    angle: str = ""

    def address(self) -> str:
        """The address; where it has no angle brackets, it is taken out of the words."""
        if self.angle:
            return _spec(self.angle)
        at = next((index for index, word in enumerate(self.words) if "@" in word and "=?" not in word), None)
        if at is None:
            return _spec(next((comment for comment in self.comments if "@" in comment and " " not in comment), ""))
        first = at - 1 if self.words[at].startswith("@") and at else at
        last = at + 2 if self.words[at].endswith("@") else at + 1
        spec = "".join(self.words[first:last])
        del self.words[first:last]
        return _spec(spec)

    def name(self, sibling: str) -> str:
        return one_line(decode_words(" ".join(self.words or self.comments), sibling)).strip("'\" ")[:MAX_NAME]


def _mailboxes(value: str, sibling: str) -> Iterator[Address]:
    if value.isascii() and (plain := _PLAIN.fullmatch(value)):
        quoted, bare, angle, alone = plain.groups()
        yield _named(angle or alone, one_line(quoted or bare or "").strip("'\" ")[:MAX_NAME])
        return
    surname = ""  # of an unquoted `Doe, John <john@example.com>`
    for draft in _drafts(value):
        address, name = draft.address(), draft.name(sibling)
        if not address and "@" in name and "=?" in value:  # the address is within an encoded word
            yield from _mailboxes(name.replace("=?", ""), sibling)
        elif not address:
            surname = f"{surname}{name}, "[: MAX_NAME // 2] if name else surname
        else:
            name = (surname + name).removesuffix(", ")
            yield _named(address, name)
            surname = ""
    if surname:
        yield Address("", surname.removesuffix(", "))


def _named(address: str, name: str) -> Address:
    return Address(address, "" if name.strip("<>").casefold() == address.casefold() else name)


def _drafts(value: str) -> Iterator[_Draft]:
    draft = _Draft()
    for kind, text in _tokens(value):
        match kind, text:
            case "separator", ":" if draft.words and ";" not in value and draft.words != ["mailto"]:
                draft.words[-1] += ":"
            case "separator", ":":
                if not draft.angle:  # the name of a group, or `mailto:`
                    draft.words.clear()
            case "separator", _:
                yield draft
                draft = _Draft()
            case "angle" | "open_angle", _:
                draft.angle = draft.angle or text.strip()
            case "comment", _:
                draft.comments.append(text)
            case _:
                draft.words.append(text)
    yield draft


def _tokens(value: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(value):
        token = _TOKEN.match(value, position)
        kind = token.lastgroup if token else None
        if token and kind:
            text = token[kind]
            yield kind, _QUOTED_PAIR.sub(r"\1", text) if kind == "quoted" else text
        elif value[position] in '"(':  # never closed, so neither are those behind it
            value = value[:position] + value[position:].replace(value[position], " ")
        position = token.end() if token else position + 1


def _spec(text: str) -> str:
    """An address without comments, white space, a source route (RFC 5322 section 4.4) and `mailto:`."""
    spec = one_line(decode_words(_COMMENT.sub("", text)))
    spec = spec if '"' in spec else "".join(spec.split())
    spec = spec.strip("[]") if spec.startswith("[") else spec
    spec = spec.removeprefix("mailto:").removeprefix("MAILTO:")
    if spec.startswith("@"):
        spec = spec.rpartition(":")[2]
    if spec.startswith('"') and spec.endswith('"'):  # around all of it
        spec = spec.strip('"')
    return spec.strip("'").removesuffix(".") if len(spec) <= MAX_ADDRESS else ""
