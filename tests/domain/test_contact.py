"""Contacts are found by any spelling of their address, and filtered (req P1)."""

import pytest

from shared.domain.contact import Contact, ContactFilter, Role, contact_id, same_address


@pytest.mark.parametrize(
    "spelling",
    ["ANNA@Bücher.Example", "anna@xn--bcher-kva.example", "anna@XN--BCHER-KVA.example", "anna@bu\u0308cher.example"],
)
def test_spellings_of_one_address_are_one_contact(spelling: str):
    assert contact_id(spelling) == contact_id("anna@bücher.example")


@pytest.mark.parametrize(
    "broken", ["", "@", "a@xn--", "a@xn--\ud800", "a@xn--99999999", "a@xn--zz--ü", "a@..", "x" * 9999]
)
def test_any_text_has_an_id(broken: str):
    assert len(contact_id(broken)) == 64


def test_addresses_of_two_people_stay_two():
    assert same_address("anna@example.com") != same_address("ann@example.com")


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (ContactFilter(), True),
        (ContactFilter(role=Role.TECHNICIAN), True),
        (ContactFilter(role=Role.REQUESTER), False),
        (ContactFilter(group="NETWORK"), True),
        (ContactFilter(group="net"), False),
        (ContactFilter(company="acme ltd"), True),
        (ContactFilter(company="acme"), False),
        (ContactFilter(text="KIM"), True),
        (ContactFilter(text="@example"), True),
        (ContactFilter(text="kim", company="other"), False),
    ],
)
def test_a_filter_admits_what_all_of_it_names(wanted: ContactFilter, admitted: bool):
    kim = Contact(
        address="k@example.com", name="Kim", role=Role.TECHNICIAN, groups=("Network", "Desk"), company="ACME Ltd"
    )

    assert wanted.admits(kim) is admitted
