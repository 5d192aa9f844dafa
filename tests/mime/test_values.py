from datetime import UTC, datetime

import pytest

from shared.mime.dates import moment
from shared.mime.values import MAX_IDS, message_ids, typed


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@b>", ("<a@b>",)),
        (" (comment) <a@b> (x)", ("<a@b>",)),
        ("<a@b>\t<c@d>", ("<a@b>", "<c@d>")),
        ("<a@b><c@d>,<e@f>", ("<a@b>", "<c@d>", "<e@f>")),
        ("<long.part. of@one.id>", ("<long.part.of@one.id>",)),
        ("<a@b c@d>", ("<a@b>", "<c@d>")),
        ("a@b, c@d", ("<a@b>", "<c@d>")),
        ('Your message of "Mon, 09 Mar 2026." <a@b>', ("<a@b>",)),
        ('Message from Anna <anna@example.org> of "today" <a@b>', ("<anna@example.org>", "<a@b>")),
        ("<a@b> <cut.off", ("<a@b>",)),
        ("<no-at-sign>", ("<no-at-sign>",)),
        ("<Mixed.Case$@Host>", ("<Mixed.Case$@Host>",)),
        ("<> < >", ()),
        ("nothing here", ()),
        ("", ()),
        (f"<{'x' * 2_000}@y>", ()),
    ],
)
def test_ids_are_found_among_what_stands_around_them(value, ids):
    assert message_ids(value) == ids


def test_of_too_many_ids_the_newest_are_kept():
    ids = message_ids(" ".join(f"<{number}@x>" for number in range(500)))

    assert ids[-1] == "<499@x>"
    assert len(ids) == MAX_IDS


NOON = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 9 Mar 2026 12:00:00 +0000",
        "Mon, 09 Mar 2026 13:00:00 +0100 (CET)",
        "9 Mar 2026 07:00 EST",
        "Mon, 9 Mar 26 12:00:00 GMT",
        "Mon, 9 Mar 2026 14:00:00 GMT+0200",
        "Mon, 9 Mar 2026 14:00:00 +02:00",
        "Mon, 9 Mar 2026 12:00:00.000 GMT",
        "2026-03-09 13:00:00 CET",
        "Mon Mar  9 12:00:00 2026",
        "Monday, 09-Mar-26 12:00:00 UT",
        "Mon, 9 Mar 2026 12:00:00 -0000",
        "Mon, 9 Mar 2026 12:00:00",
        "2026-03-09T13:00:00+01:00",
        "2026-03-09 12:00:00Z",
        "Mon, 9 Mar 2026 13:00:00 CET",
        "Mon Mar 09 13:00:00 CET 2026",
        "Mon, 9 Mar 2026 1:00:00 PM +0100",
        "Monday, March 9, 2026 12:00 PM",
        "Mo, 9 März 2026 13:00:00 +0100",
        "lun., 9 mars 2026 13:00:00 +0100",
        "lunes, 9 de marzo de 2026 13:00:00 +0100",
        "seg., 9 de mar. de 2026 09:00:00 -0300",
        "Пн, 9 мар 2026 15:00:00 +0300",
        "09.03.2026 13:00 +0100",
        "2026年3月9日 12:00:00 +0000",
    ],
)
def test_a_date_is_read_in_all_its_spellings(value):
    assert moment(value.encode().decode("latin-1")) == NOON


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "Mon, 32 Mar 2026 12:00:00 +0000", "Mon, 9 Mar 2026 25:00:00 +0000", "1 Jan 1969 00:00:00 +0000",
     "1 Jan 2101 00:00:00 +0000", "Mon, 9 Mar 99999 12:00:00", "9 9 9 9 9", "\x00", "::",
     "0 Mar 2026 12:00:00 +0000"],
)  # fmt: skip
def test_an_impossible_date_is_none(value):
    assert moment(value) is None


def test_a_leap_second_is_a_time():
    assert moment("Wed, 31 Dec 2008 23:59:60 +0000") == datetime(2008, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("attachment; filename=a.pdf", "filename", "a.pdf"),
        ('attachment; FileName = "a b;c.pdf"', "filename", "a b;c.pdf"),
        ("attachment; filename=fax 1.pdf; size=3", "filename", "fax 1.pdf"),
        (r'attachment; filename="C:\tmp\a \"b\".txt"', "filename", r'C:\tmp\a "b".txt'),
        ('attachment; filename="never closed.pdf', "filename", "never closed.pdf"),
        ("text/plain charset=utf-8", "charset", "utf-8"),
        ("attachment; filename*=utf-8''%e2%82%ac%20rates.txt", "filename", "€ rates.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt", "filename", "£.txt"),
        ("attachment; filename*=\"utf-8''%c3%a9.txt\"", "filename", "é.txt"),
        ("attachment; filename*=%c3%a9.txt", "filename", "é.txt"),
        ("attachment; filename=fallback.txt; filename*=utf-8''%c3%a9.txt", "filename", "é.txt"),
        ("a; filename*1=two; filename*0=one; filename*2*=%20three", "filename", "onetwo three"),
        ("a; filename*0*=utf-8''%c3; filename*1*=%a9; filename*2=.txt", "filename", "é.txt"),
        ('a; filename*0="=?utf-8?B?w6k="; filename*1="?=.txt"', "filename", "é.txt"),
        ('a; filename="=?utf-8?Q?=C3=A9.txt?="', "filename", "é.txt"),
        ("a; filename==?utf-8?Q?=C3=A9.txt?=", "filename", "é.txt"),
        ("a; filename=one; filename=two", "filename", "one"),
        ("a; filename*10=x", "filename", ""),
        ("a", "filename", ""),
    ],
)
def test_a_parameter_is_read_as_it_was_meant(value, name, expected):
    assert typed(value).text(name) == expected


def test_an_eight_bit_name_is_read_in_the_charset_of_the_message():
    raw = "attachment; filename=报价.txt".encode("gb18030").decode("latin-1")

    assert typed(raw).text("filename", "gb2312") == "报价.txt"
