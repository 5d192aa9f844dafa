"""People: who writes to us, and who works here (req P1)."""

import hashlib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from shared.domain.fields import EmailAddress, Model, told
from shared.domain.message import Address


class Role(StrEnum):
    REQUESTER = "requester"
    TECHNICIAN = "technician"


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200),
    told("one line of 200 characters at most"),
]
Group = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f,;|]+$", max_length=100),
    told("the name of a group: 100 characters at most, none of them a comma, semicolon or bar"),
]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$"),
    told("a language such as de or pt-BR"),
]


class Contact(Model):
    """A person. Empty texts mean that it is not known."""

    address: EmailAddress
    name: Line = ""
    role: Role = Role.REQUESTER
    groups: Annotated[tuple[Group, ...], AfterValidator(lambda names: tuple(sorted(set(names))))] = Field(
        default=(), max_length=50
    )
    company: Line = ""
    language: Language = ""
    bounced_at: AwareDatetime | None = Field(default=None, description="when mail to the address came back for good")
    bounce: Line = Field(default="", description="why it came back")
    unsubscribed_at: AwareDatetime | None = Field(default=None, description="when the person asked for no more mail")

    @property
    def is_technician(self) -> bool:
        return self.role is Role.TECHNICIAN

    @property
    def mailbox(self) -> Address:
        """Where they are written to."""
        return Address(self.address, self.name)


@dataclass(frozen=True, slots=True)
class ContactFilter:
    """Which contacts a list is about; None admits all. `text` is looked for in address, name and company."""

    role: Role | None = None
    group: str | None = None
    company: str | None = None
    text: str | None = None

    def admits(self, contact: Contact) -> bool:
        shown = f"{contact.address}\n{contact.name}\n{contact.company}".casefold()
        return (
            self.role in (None, contact.role)
            and (self.group is None or self.group.casefold() in map(str.casefold, contact.groups))
            and (self.company is None or self.company.casefold() == contact.company.casefold())
            and (self.text is None or self.text.casefold() in shown)
        )


def same_domain(domain: str) -> str:
    """What two spellings of a domain have in common: case, and whether its labels are in Punycode (RFC 5891)."""
    return ".".join(_unicode(label) for label in unicodedata.normalize("NFKC", domain).casefold().split("."))


def same_address(address: str) -> str:
    """What two spellings of an address have in common."""
    local, at, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFKC', local).casefold()}{at}{same_domain(domain)}"


def contact_id(address: str) -> str:
    """Names the contact in storage; the same for every spelling of the address."""
    return hashlib.sha256(same_address(address).encode(errors="surrogatepass")).hexdigest()


def _unicode(label: str) -> str:
    try:
        return label.removeprefix("xn--").encode().decode("punycode").casefold() if label.startswith("xn--") else label
    except UnicodeError:
        return label
