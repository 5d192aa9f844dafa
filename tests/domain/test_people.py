"""Whose mail is taken in, who is the requester and who becomes CC (req P2-P7)."""

from typing import Any

import pytest

from shared.application.validation import validated
from shared.domain.contact import Contact, Role
from shared.domain.message import Address, InboundMessage
from shared.domain.people import MAX_CC, Insiders, People, cc, refused, requester


def technician(address: Address) -> Contact:
    return Contact(address=address.address, name=address.name, role=Role.TECHNICIAN)


SUPPORT = Address("Support@example.com", "Support")
SALES = Address("sales@example.com")
TECH = Address("tech@example.com", "Tech")
COLLEAGUE = Address("colleague@example.com")
CUSTOMER = Address("customer@client.example", "Customer")
OTHER = Address("other@client.example")
TECHNICIAN = technician(TECH)
INSIDERS = Insiders.of([SUPPORT.address, SALES.address], [TECHNICIAN, technician(COLLEAGUE), technician(SALES)])


def people(**settings: Any) -> People:
    found, problems = validated(People, settings)
    assert found, problems
    return found


def mail(sender: Address | None = CUSTOMER, **more: Any) -> InboundMessage:
    return InboundMessage(sender=sender, **{"to": (SUPPORT,), **more})


def asked_by(settings: People, message: InboundMessage, original: Address | None = None) -> Address:
    contact = TECHNICIAN if message.sender == TECH else None
    return requester(settings, message, contact, INSIDERS, lambda: original)


def test_everybody_is_taken_in_unless_told_otherwise():
    assert refused(People(), mail(), None) is None
    assert refused(People(), mail(sender=None), None) is None


def test_guests_are_refused_where_only_contacts_may_write():
    settings = people(guests=False)

    assert refused(settings, mail(), None) == "guest_refused"
    assert refused(settings, mail(), Contact(address=CUSTOMER.address)) is None


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"addresses": ["CUSTOMER@Client.example"]}, "sender_ignored"),
        ({"addresses": ["customer@other.example"]}, None),
        ({"domains": ["example"]}, "domain_ignored"),
        ({"domains": ["@CLIENT.example"]}, "domain_ignored"),
        ({"domains": ["*.client.example"]}, "domain_ignored"),
        ({"domains": ["ient.example"]}, None),
        ({"domains": ["mail.client.example"]}, None),
        ({"keywords": ["Special  OFFER"]}, "keyword_ignored"),
        ({"keywords": ["LOTTERY"]}, "keyword_ignored"),
        ({"keywords": ["invoice"]}, None),
    ],
)
def test_what_is_on_the_ignore_list_is_refused_with_its_reason(entries: dict[str, Any], reason: str | None):
    message = mail(subject="A special\u00a0offer", text="Our\nlottery")

    assert refused(people(ignore=entries), message, Contact(address=CUSTOMER.address)) == reason


@pytest.mark.parametrize("written", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"])
@pytest.mark.parametrize("sent_from", ["a@shop.bücher.example", "a@shop.xn--bcher-kva.example"])
def test_a_domain_matches_in_either_spelling(written: str, sent_from: str):
    assert refused(people(ignore={"domains": [written]}), mail(Address(sent_from)), None) == "domain_ignored"


@pytest.mark.parametrize(
    "entries",
    [{"addresses": ["customer@client.example"]}, {"domains": ["client.example"]}, {"keywords": ["ticket"]}],
)
def test_an_allow_list_takes_in_what_any_of_its_entries_matches(entries: dict[str, Any]):
    settings = people(allow=entries)

    assert refused(settings, mail(subject="Ticket, please"), None) is None
    assert refused(settings, mail(Address("x@elsewhere.example")), None) == "not_allowed"


def test_the_ignore_list_counts_more_than_the_allow_list():
    settings = people(allow={"domains": ["client.example"]}, ignore={"addresses": [CUSTOMER.address]})

    assert refused(settings, mail(), None) == "sender_ignored"
    assert refused(settings, mail(OTHER), None) is None


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"ignore": {"addresses": ["Kim <kim@example.com>"]}}, "$.ignore.addresses[0]"),
        ({"ignore": {"domains": ["ok.example", "kim@example.com"]}}, "$.ignore.domains[1]"),
        ({"ignore": {"domains": ["a..b"]}}, "$.ignore.domains[0]"),
        ({"allow": {"keywords": [" x "]}}, "$.allow.keywords[0]"),
        ({"allow": {"keyword": ["offer"]}}, "$.allow.keyword"),
        ({"cc_from": "bcc"}, "$.cc_from"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(settings: dict[str, Any], path: str):
    _, problems = validated(People, settings)

    assert [problem.path for problem in problems] == [path]


def test_what_was_saved_can_be_saved_again():
    settings = people(
        ignore={"addresses": ["A@Bücher.example"], "domains": ["*.XN--BCHER-KVA.example"], "keywords": ["X y"]}
    )

    assert People.model_validate_json(settings.model_dump_json()) == settings
    assert settings.ignore.domains == ("bücher.example",)


def test_the_requester_is_the_sender():
    assert asked_by(People(), mail(reply_to=(OTHER,), cc=(OTHER,)), OTHER) == CUSTOMER
    assert asked_by(People(), mail(TECH, reply_to=(OTHER,), to=(OTHER,), cc=(SUPPORT,)), OTHER) == TECH


def test_nobody_asks_where_nobody_is_named():
    assert asked_by(People(), mail(None)) == Address("")


def test_reply_to_makes_the_requester_where_that_is_wanted():
    settings = people(reply_to_is_requester=True)

    assert asked_by(settings, mail(reply_to=(OTHER,))) == OTHER
    assert asked_by(settings, mail()) == CUSTOMER


def test_reply_to_is_passed_over_where_it_names_ourselves_or_no_address():
    settings = people(reply_to_is_requester=True)

    assert asked_by(settings, mail(reply_to=(SUPPORT, Address("", "Nobody"), OTHER))) == OTHER
    assert asked_by(settings, mail(reply_to=(SUPPORT,))) == CUSTOMER


def test_what_a_form_sends_as_ourselves_is_asked_by_whom_it_names():
    assert asked_by(People(), mail(SUPPORT, reply_to=(CUSTOMER,))) == CUSTOMER


def test_we_are_never_the_requester_ourselves():
    assert asked_by(People(), mail(SUPPORT)) == Address("", "Support")
    assert asked_by(People(), mail(Address("support+web@EXAMPLE.com"))) == Address("")


def test_the_original_sender_of_a_technicians_forward_is_the_requester_where_that_is_wanted():
    settings = people(forward_original_is_requester=True)

    assert asked_by(settings, mail(TECH), CUSTOMER) == CUSTOMER
    assert asked_by(settings, mail(TECH), None) == TECH
    assert asked_by(settings, mail(TECH), SUPPORT) == TECH


def test_what_somebody_else_forwards_is_their_own_request():
    def unread() -> Address:
        pytest.fail("the forward of a requester was read")

    settings = people(forward_original_is_requester=True)

    assert requester(settings, mail(), Contact(address=CUSTOMER.address), INSIDERS, unread) == CUSTOMER
    assert requester(People(), mail(TECH), TECHNICIAN, INSIDERS, unread) == TECH


@pytest.mark.parametrize("copied", [{"cc": (SUPPORT, OTHER)}, {"cc": (OTHER,)}], ids=["in Cc", "in Bcc"])
def test_whom_a_technician_writes_to_is_the_requester_where_that_is_wanted(copied: dict[str, Any]):
    settings = people(outside_recipient_is_requester=True)

    assert asked_by(settings, mail(TECH, to=(COLLEAGUE, CUSTOMER), **copied)) == CUSTOMER
    assert asked_by(settings, mail(TECH, to=(COLLEAGUE,), **copied)) == OTHER
    assert asked_by(settings, mail(CUSTOMER, to=(OTHER,), **copied)) == CUSTOMER


def test_a_technician_who_writes_to_the_mailbox_asks_himself():
    settings = people(outside_recipient_is_requester=True)

    assert asked_by(settings, mail(TECH, to=(SUPPORT, CUSTOMER))) == TECH
    assert asked_by(settings, mail(TECH, to=(COLLEAGUE,), cc=(SUPPORT,))) == TECH


@pytest.mark.parametrize(
    ("cc_from", "expected"),
    [("both", (OTHER, TECH)), ("to", (OTHER,)), ("cc", (TECH,)), ("none", ())],
)
def test_cc_are_the_recipients_that_the_mailbox_takes(cc_from: str, expected: tuple[Address, ...]):
    message = mail(to=(SUPPORT, OTHER), cc=(Address("sales+q3@example.com"), TECH))

    assert cc(people(cc_from=cc_from), message, INSIDERS, CUSTOMER) == expected


def test_nobody_is_cc_twice_nor_beside_being_sender_or_requester():
    message = mail(TECH, to=(CUSTOMER, OTHER), cc=(Address("OTHER@client.example"), TECH, Address("", "List:;")))

    assert [each.key for each in cc(People(), message, INSIDERS, CUSTOMER)] == [OTHER.key]


def test_a_flood_of_recipients_is_cut():
    message = mail(to=tuple(Address(f"{number}@client.example") for number in range(500)))

    assert len(cc(People(), message, INSIDERS, CUSTOMER)) == MAX_CC
