import pytest

from shared.domain.message import Address
from shared.mime.addresses import MAX_ADDRESSES, MAX_NAME, addresses

ANNA = Address("anna@example.org", "Anna Petrov")
BOB = Address("bob@example.org", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bob@example.org", (BOB,)),
        ("<bob@example.org>", (BOB,)),
        ("Anna Petrov <anna@example.org>", (ANNA,)),
        ('"Anna Petrov" <anna@example.org>', (ANNA,)),
        ("'Anna Petrov' <anna@example.org>", (ANNA,)),
        ("anna@example.org (Anna Petrov)", (ANNA,)),
        ("Anna Petrov [anna@example.org]", (ANNA,)),
        ("Anna Petrov [mailto:anna@example.org]", (ANNA,)),
        ("News: Anna <anna@example.org>", (Address("anna@example.org", "News: Anna"),)),
        ("=?utf-8?Q?Anna_Petrov?= <anna@example.org>", (ANNA,)),
        ('"=?utf-8?Q?Anna?= =?utf-8?Q?_Petrov?=" <anna@example.org>', (ANNA,)),
        ("=?utf-8?Q?Petrov,_Anna?= <anna@example.org>", (Address("anna@example.org", "Petrov, Anna"),)),
        ("Petrov, Anna <anna@example.org>", (Address("anna@example.org", "Petrov, Anna"),)),
        ("Anna Petrov <anna@example.org>, bob@example.org", (ANNA, BOB)),
        ("Anna Petrov <anna@example.org>; bob@example.org;", (ANNA, BOB)),
        ("Anna Petrov <anna@example.org, <bob@example.org>", (ANNA, BOB)),
        ("Team: Anna Petrov <anna@example.org>, bob@example.org;", (ANNA, BOB)),
        ("undisclosed-recipients:;", ()),
        ("Anna Petrov anna@example.org", (ANNA,)),
        ("Anna Petrov<anna@example.org>", (ANNA,)),
        ("Anna Petrov <mailto:anna@example.org>", (ANNA,)),
        ("Anna Petrov < anna@example.org >", (ANNA,)),
        ("Anna Petrov <<anna@example.org>>", (ANNA,)),
        ("Anna Petrov <@a.example,@b.example:anna@example.org>", (ANNA,)),
        ("Anna (HR) Petrov <anna@example.org>", (ANNA,)),
        ("bob @ example.org", (BOB,)),
        ("bob@example.org <bob@example.org>", (BOB,)),
        ("'bob@example.org' <bob@example.org>", (BOB,)),
        ('"Anna Petrov <anna@example.org>', (ANNA,)),
        ("Anna (Petrov <anna@example.org>", (ANNA,)),
        ("=?utf-8?B?QW5uYSBQZXRyb3YgPGFubmFAZXhhbXBsZS5vcmc+?=", (ANNA,)),
        ('"john doe"@example.org', (Address('"john doe"@example.org'),)),
        ('<"john doe"@example.org>', (Address('"john doe"@example.org'),)),
        ("root", (Address("", "root"),)),
        ("<root>", (Address("root"),)),
        ("anna@[192.0.2.1], bob@[IPv6:2001:db8::1]", (Address("anna@[192.0.2.1]"), Address("bob@[IPv6:2001:db8::1]"))),
        ("<>", ()),
        (", ;; ,", ()),
        ("", ()),
    ],
)
def test_addresses_are_read_as_they_were_meant(value, expected):
    assert addresses([value]) == expected


def test_international_addresses_are_kept_as_written():
    raw = "Анна <анна@пример.example>".encode().decode("latin-1")

    assert addresses([raw]) == (Address("анна@пример.example", "Анна"),)


def test_several_fields_count_as_one():
    assert addresses(["Anna Petrov <anna@example.org>", "bob@example.org"]) == (ANNA, BOB)


def test_the_number_of_addresses_and_their_lengths_are_bounded():
    found = addresses([f"{'n' * 5_000} <a@example.org>," * 2, "b@example.org," * 5_000, f"<{'x' * 400}@example.org>"])

    assert len(found) == MAX_ADDRESSES
    assert len(found[0].name) == MAX_NAME
    assert addresses([f"<{'x' * 400}@example.org>"]) == ()
