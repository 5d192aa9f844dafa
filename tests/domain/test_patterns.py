"""A pattern that somebody writes costs a bounded amount of time, or is refused when it is saved."""

import time
from itertools import count

import pytest

from shared.domain.errors import Unfit
from shared.domain.patterns import MAX_GROWN, MAX_READ, MAX_REPLACED, Effort, groups, replaced, search
from tests.domain.mail import refused


def mapping(pattern):
    return {"target": "category", "pattern": pattern, "template": "x"}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "is no pattern that RE2 takes: missing )"),
        ("[a-", "is no pattern that RE2 takes: missing ]"),
        ("a{1,1001}", "is no pattern that RE2 takes: invalid repetition size"),
        ("(?=a)", "is no pattern that RE2 takes: invalid perl operator"),
        (r"(a)\1", "is no pattern that RE2 takes: invalid escape sequence"),
        ("[^a]{1,900}", "is too large: use fewer or smaller counted repetitions"),
        ("(.)" * 21, "has more than 20 groups"),
        ("", "must have at least 1 character"),
        ("a" * 1001, "must have at most 1000 characters"),
        (7, "must be text"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_with_its_place_and_reason(pattern, reason):
    problems = refused(mapping=[mapping("fine"), mapping(pattern)])

    assert problems.keys() == {"$.mapping[1].pattern"}
    assert reason in problems["$.mapping[1].pattern"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|aa)+$",
        r"(.*)(.*)(.*)(.*)x",
        r"([a-z]+)*\d",
        "(?:a{0,30}){0,30}x|b",
        "(?:a?){500}a{400}x|b",
        "(?:[ab]*a[ab]{100}){8}x|c",
        "a.*x|a",
    ],
)
def test_a_pattern_that_hangs_others_takes_a_moment(pattern):
    text = "a" * 10_000_000 + "!"
    before = time.process_time()

    search(pattern, text)
    replaced(pattern, text, lambda _: "", Effort())

    assert not refused(mapping=[mapping(pattern)])
    assert time.process_time() - before < 2  # the CPU that one message may cost (req X1)


def test_only_the_beginning_of_a_long_text_is_read():
    assert search("needle", "." * (MAX_READ - 6) + "needle")
    assert not search("needle", "." * MAX_READ + "needle")


def test_a_text_that_is_not_read_to_its_end_does_not_end_where_reading_does():
    assert search(r"a\z", "a" * MAX_READ)
    assert not search(r"a(\z|$)", "a" * (MAX_READ + 1))


def test_no_more_than_so_many_matches_are_replaced():
    text, count = replaced("a", "a" * (MAX_REPLACED + 7), lambda _: "", Effort())

    assert (text, count) == ("a" * 7, MAX_REPLACED)


def test_replacements_that_make_much_of_a_text_are_given_up():
    with pytest.raises(Unfit, match=f"makes more than {MAX_GROWN} characters"):
        replaced("a", "a" * MAX_REPLACED, lambda _: "b" * (MAX_GROWN // 10), Effort())


def test_a_text_is_left_as_it_was_where_its_matches_take_too_long():
    """Each of them is looked for in all of the rest."""
    with pytest.raises(Unfit, match="took all the time"):
        replaced("a(.*x)?", "a" * 100, lambda _: "", Effort(count(step=0.1).__next__))


def test_what_is_beyond_the_beginning_stays():
    text, _ = replaced("[ab]", "a" + "." * MAX_READ + "b", lambda _: "", Effort())

    assert text == "." * MAX_READ + "b"


def test_groups_are_known_by_number_and_by_name():
    match = search(r"order (?P<number>\d+)( now)?", "My ORDER 17, please")

    assert match == {"match": "17", "match.0": "ORDER 17", "match.1": "17", "match.2": "", "match.number": "17"}
    assert groups(r"order (?P<number>\d+)( now)?") == match.keys()


def test_a_pattern_without_groups_finds_all_that_it_matches():
    assert search("ü+", "GRÜÜN") == {"match": "ÜÜ", "match.0": "ÜÜ"}


def test_a_stored_pattern_that_is_none_fails_where_it_is_used():
    with pytest.raises(Unfit, match="RE2"):
        search("(", "text")
