import random

import pytest

from shared.adapters.storage.raws import PACKED_LIMIT
from shared.application.ports.tickets import Commit
from shared.domain.errors import NotFound
from shared.domain.intake import MailboxState
from shared.domain.ticket import RawPointer

NOISE = random.Random(7).randbytes(PACKED_LIMIT * 2)  # noqa: S311 - bytes that do not compress


def test_a_message_that_compresses_well_travels_in_a_row(tickets, raws, mailbox_id):
    content = b"Subject: hello\r\n\r\n" + b"The same line again.\r\n" * 20_000

    pointer, row = raws.pack(mailbox_id, content)
    tickets.commit(mailbox_id, Commit(MailboxState(), None, raws=[row]))

    assert pointer.inline
    assert raws.get(mailbox_id, pointer) == content


def test_a_large_message_is_a_blob_before_anything_is_committed(raws, mailbox_id):
    pointer, row = raws.pack(mailbox_id, NOISE)

    assert (pointer.inline, row) == (False, None)
    assert raws.get(mailbox_id, pointer) == NOISE


def test_storing_the_same_message_again_changes_nothing(raws, mailbox_id):
    assert raws.pack(mailbox_id, NOISE) == raws.pack(mailbox_id, NOISE)


@pytest.mark.parametrize("inline", [True, False])
def test_a_message_past_its_retention_is_not_found(raws, mailbox_id, inline):
    with pytest.raises(NotFound):
        raws.get(mailbox_id, RawPointer("ab" * 32, 1, inline))
