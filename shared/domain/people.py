"""Whose mail is taken in, and which of those named in a message is who (req P2-P7)."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from shared.domain.contact import Contact, same_address, same_domain
from shared.domain.draft import Draft
from shared.domain.fields import EmailAddress, Model, told
from shared.domain.message import Address, InboundMessage

MAX_CC = 100
_TEXT_LOOKED_THROUGH = 200_000


def _folded(text: str) -> str:
    """Without what makes no difference to a reader: case, width, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


Domain = Annotated[
    str,
    StringConstraints(pattern=r"^(\*\.|@)?[^\s@*./]+(\.[^\s@*./]+)*$", max_length=253),
    told("a domain such as example.com, which stands for its subdomains too"),
    AfterValidator(lambda domain: same_domain(domain.removeprefix("*.").removeprefix("@"))),
]
Keyword = Annotated[str, AfterValidator(_folded), Field(min_length=2, max_length=100), told("2 to 100 characters")]


class SenderList(Model):
    """Messages by who sent them and by what they say. An entry has the same spelling for everybody once it is saved."""

    addresses: tuple[Annotated[EmailAddress, AfterValidator(same_address)], ...] = Field(default=(), max_length=200)
    domains: tuple[Domain, ...] = Field(default=(), max_length=200, description="with their subdomains")
    keywords: tuple[Keyword, ...] = Field(
        default=(), max_length=100, description="looked for in subject and body, in any case, also within words"
    )

    def match(self, message: InboundMessage) -> tuple[Literal["sender", "domain", "keyword"], str] | None:
        """What of a message is on the list, and the entry."""
        sender = same_address(message.sender.address) if message.sender else ""
        if sender in self.addresses:
            return "sender", sender
        domain = f".{sender.rpartition('@')[2]}"
        if entry := next((each for each in self.domains if domain.endswith(f".{each}")), None):
            return "domain", entry
        said = _folded(f"{message.subject}\n{message.text[:_TEXT_LOOKED_THROUGH]}") if self.keywords else ""
        keyword = next((each for each in self.keywords if each in said), None)
        return ("keyword", keyword) if keyword else None


class People(Model):
    """Whose messages are taken in, and who becomes requester and CC."""

    guests: bool = Field(default=True, description="whether senders without a contact are taken in")
    allow: SenderList = Field(
        default=SenderList(), description="where it has entries, only what one of them matches is taken in"
    )
    ignore: SenderList = Field(default=SenderList(), description="never taken in, whatever else allows it")
    cc_from: Literal["both", "to", "cc", "none"] = Field(
        default="both", description="the recipients that become CC of a new ticket; never an address of our own"
    )
    reply_to_is_requester: bool = Field(default=False, description="a Reply-To makes the requester, not the sender")
    forward_original_is_requester: bool = Field(
        default=False, description="where a technician forwards a message, its sender is the requester"
    )
    outside_recipient_is_requester: bool = Field(
        default=False,
        description="where a technician writes with the mailbox in Cc or Bcc, the first recipient who is no technician "
        "is the requester",
    )


@dataclass(frozen=True, slots=True)
class Insiders:
    """The addresses of mailboxes and senders, and those of technicians, each in the spelling of `same_address`."""

    own: frozenset[str] = frozenset()
    technicians: frozenset[str] = frozenset()

    @classmethod
    def of(cls, own: Iterable[str], technicians: Iterable[Contact]) -> "Insiders":
        return cls(frozenset(map(same_address, own)), frozenset(same_address(each.address) for each in technicians))

    def owns(self, address: Address) -> bool:
        """Also under a tag, as in `support+urgent@example.com`."""
        local, at, domain = same_address(address.address).rpartition("@")
        return f"{local}{at}{domain}" in self.own or f"{local.partition('+')[0]}{at}{domain}" in self.own

    def includes(self, address: Address) -> bool:
        return self.owns(address) or same_address(address.address) in self.technicians


def refused(people: People, message: InboundMessage, contact: Contact | None) -> str | None:
    """Why the message is ignored: `sender_ignored`, `domain_ignored`, `keyword_ignored`, `not_allowed` or
    `guest_refused`. `contact` is its sender's.
    """
    if matched := people.ignore.match(message):
        return f"{matched[0]}_ignored"
    if people.allow != SenderList() and not people.allow.match(message):
        return "not_allowed"
    return None if contact or people.guests else "guest_refused"


def requester(
    people: People,
    message: InboundMessage,
    contact: Contact | None,
    insiders: Insiders,
    original_sender: Callable[[], Address | None],
) -> Address:
    """Who asks for something. `contact` is the sender's; `original_sender` reads a forwarded message when it is called.

    What a mailbox's own address sends (web forms do) is of whom it names in Reply-To, and otherwise of nobody: the
    address is then empty.
    """
    sender = message.sender or Address("")
    for each in _candidates(people, message, contact, insiders, original_sender):
        if "@" in each.address and not insiders.owns(each):
            return each
    return Address("", sender.name) if insiders.owns(sender) else sender


def _candidates(
    people: People,
    message: InboundMessage,
    contact: Contact | None,
    insiders: Insiders,
    original_sender: Callable[[], Address | None],
) -> Iterator[Address]:
    by_technician = contact is not None and contact.is_technician
    if by_technician and people.forward_original_is_requester and (original := original_sender()):
        yield original
    if by_technician and people.outside_recipient_is_requester and not any(map(insiders.owns, message.to)):
        yield from (each for each in (*message.to, *message.cc) if not insiders.includes(each))
    if people.reply_to_is_requester or (message.sender and insiders.owns(message.sender)):
        yield from message.reply_to


def cc(people: People, message: InboundMessage, insiders: Insiders, requester: Address) -> tuple[Address, ...]:
    """The recipients that become CC, once each: neither requester, nor sender, nor an address of our own."""
    recipients = {"both": (*message.to, *message.cc), "to": message.to, "cc": message.cc, "none": ()}[people.cc_from]
    return _others(recipients, insiders, requester, message.sender)


def without_own(draft: Draft, requester: Address, insiders: Insiders) -> Draft:
    """Mapping and rules may have read addresses of our own in a message: these are neither requester nor CC."""
    asks = requester if insiders.owns(draft.requester) else draft.requester
    return replace(draft, requester=asks, cc=_others(draft.cc, insiders, asks))


def _others(people: Iterable[Address], insiders: Insiders, *known: Address | None) -> tuple[Address, ...]:
    left_out = {same_address(each.address) for each in known if each}
    found = {same_address(each.address): each for each in people if "@" in each.address and not insiders.owns(each)}
    return tuple(each for key, each in found.items() if key not in left_out)[:MAX_CC]
