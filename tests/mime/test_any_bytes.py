"""What the docstrings promise holds for any bytes: for noise, for mail-like noise, and for damaged mail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzzing import FRAGMENTS, case, mail_like, run
from bench.promises import assert_promises


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=300), mail_like))
def test_any_bytes_are_a_message(content):
    assert_promises(content)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_mail_is_a_message(corpus, data):
    content = corpus[data.draw(st.sampled_from(sorted(corpus)))]
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 200)))
        content = (
            content[:start] + data.draw(st.sampled_from([b"", *FRAGMENTS, content[start:end] * 2])) + content[end:]
        )

    assert_promises(content)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_the_beginning_of_any_mail_is_a_message(corpus, share):
    for content in corpus.values():
        assert_promises(content[: int(len(content) * share)])


def test_whole_mail_keeps_the_promises(corpus):
    for content in corpus.values():
        assert_promises(content)


def test_mutants_of_the_corpus_are_read_within_the_limit_of_time(corpus):
    mail = list(corpus.values())

    assert run([case(mail, seed) for seed in range(300)]) == {"fine": 300}
