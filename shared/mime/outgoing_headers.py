"""Header fields as they are written: one field each, whatever is in them, in lines of 76 characters where they can be.

Every text goes through `one_line` first, so that no name, subject or id can begin another field.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from shared.domain.errors import AddressUnusable
from shared.domain.message import Address
from shared.mime.headers import one_line

LINE = 76
MAX_TEXT = 2_000
"""Characters of a subject or a name that are written."""
MAX_REFERENCES = 20

_FOLD = "\r\n "
_PLAIN_WORDS = re.compile(r"(?!.*=\?)[!-~]{1,70}(?: [!-~]{1,70})*", re.ASCII)
_TAG = re.compile(r"(?:Re: )?\[[A-Z][A-Z0-9]{1,9}-\d{1,10}\] (?=\S)", re.ASCII)
"""What stays readable where the rest of a subject is encoded."""
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]{1,60}(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_LOCAL = re.compile(r"[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+(?:\.[^\x00-\x20\x7f-\xa0()<>\[\]:;@\\,.\"]+)*")
_QUOTED_LOCAL = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"')
_DOMAIN = re.compile(
    r"(?!.*\.\.)[a-z0-9](?:[a-z0-9_.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,60}\]|\[ipv6:[0-9a-f:.]{2,60}\]"
)
_ID = re.compile(r"<[!-;=?-~]{1,900}>")


def field(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def text(value: str, room: int = LINE) -> str:
    """Unstructured text, folded; `room` is what the first line has left."""
    value = _valid(value)
    if _PLAIN_WORDS.fullmatch(value):
        return _folded(value, room)
    start = _TAG.match(value)
    kept = start[0] if start else ""
    return kept + _FOLD.join(_encoded_words(value[len(kept) :], room - len(kept)))


def addresses(people: Iterable[Address]) -> str:
    return f",{_FOLD}".join(map(_mailbox, people))


def ids(message_ids: Iterable[str]) -> str:
    """Those that can be written; of many, the root and the newest (RFC 5322 section 3.6.4)."""
    kept = [each for each in dict.fromkeys(message_ids) if _ID.fullmatch(each)]
    return _FOLD.join(kept if len(kept) <= MAX_REFERENCES else [kept[0], *kept[1 - MAX_REFERENCES :]])


def parameter(name: str, value: str) -> str:
    """One parameter with what stands in front of it; in parts and percent-encoded where it must be (RFC 2231)."""
    value = _valid(value)
    if re.fullmatch(r"[ -~]{0,60}", value) and "=?" not in value:
        return f';{_FOLD}{name}="{_escaped(value)}"'
    encoded = "utf-8''" + quote(value, safe="")
    parts = re.findall(r"(?:%..|[^%]){1,18}", encoded)  # 18 percent-encoded bytes are 54 characters
    if len(parts) == 1:
        return f";{_FOLD}{name}*={encoded}"
    return "".join(f";{_FOLD}{name}*{number}*={part}" for number, part in enumerate(parts))


def written_address(address: str) -> str:
    """An address as it goes over the wire, its domain in ASCII (RFC 5891); raises AddressUnusable."""
    import idna  # only needed when somebody is written to

    local, _, domain = address.strip().rpartition("@")
    if not domain.isascii() and len(domain) <= 253:
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError as exc:
            raise AddressUnusable("The domain of the address is none.") from exc
    is_local = (_LOCAL.fullmatch(local) or _QUOTED_LOCAL.fullmatch(local)) and one_line(local) == local
    if not (is_local and len(local.encode()) <= 200 and _DOMAIN.fullmatch(domain.lower())):
        raise AddressUnusable("The address is not one that mail can be sent to.")
    return f"{local}@{domain}"


def _mailbox(person: Address) -> str:
    address, name = written_address(person.address), _valid(person.name)
    if not name:
        return address
    if not (name.isascii() and len(name) <= LINE - 16 and "=?" not in name):
        name = _FOLD.join(_encoded_words(name, LINE - len("Reply-To: ")))
    elif not _ATOMS.fullmatch(name):
        name = f'"{_escaped(name)}"'
    last_line = len(name.rpartition("\n")[2])
    return f"{name}{' ' if last_line + len(address) <= LINE - 14 else _FOLD}<{address}>"


def _valid(value: str) -> str:
    """On one line, without lone surrogates."""
    return one_line(value.encode(errors="replace").decode())[:MAX_TEXT]


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value)


def _folded(value: str, room: int) -> str:
    lines = [""]
    for word in value.split(" "):
        if not lines[-1] or len(lines[-1]) + 1 + len(word) <= (room if len(lines) == 1 else LINE - 1):
            lines[-1] += f" {word}" if lines[-1] else word
        else:
            lines.append(word)
    return _FOLD.join(lines)


def _encoded_words(value: str, room: int) -> Iterator[str]:
    """RFC 2047 section 2: words of 75 characters at most, none of which ends within a character."""
    while value:
        kept = value.encode()[: (min(room, LINE - 1) - len("=?utf-8?B??=")) // 4 * 3].decode(errors="ignore")
        yield f"=?utf-8?B?{b64encode(kept.encode()).decode()}?="
        value, room = value[len(kept) :], LINE - 1
