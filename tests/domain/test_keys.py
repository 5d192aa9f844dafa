from datetime import UTC, datetime

from shared.domain.keys import fingerprint, id_key, message_key
from shared.domain.message import Address, InboundMessage

ANN = Address("ann@example.org", "Ann")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_ids_that_servers_have_folded_or_changed_in_case_are_one():
    assert id_key("<Abc@Mail.example>") == id_key("<abc@\r\n mail.example>")


def test_an_id_is_never_taken_for_the_hash_of_a_content():
    assert message_key(InboundMessage(message_id="<a>"), b"a") != message_key(InboundMessage(), b"a")


def test_a_message_without_an_id_is_known_by_its_content():
    assert message_key(InboundMessage(), b"one") != message_key(InboundMessage(), b"two")


def test_the_same_sender_and_date_are_the_same_message_however_the_name_is_written():
    one = InboundMessage(sender=ANN, sent_at=NOON)
    same = InboundMessage(sender=Address("ANN@example.org", "A. N."), sent_at=NOON)

    assert fingerprint(one) == fingerprint(same)


def test_another_sender_or_another_date_is_another_message():
    one = InboundMessage(sender=ANN, sent_at=NOON)
    other_sender = InboundMessage(sender=Address("bob@example.org"), sent_at=NOON)
    other_date = InboundMessage(sender=ANN, sent_at=NOON.replace(hour=13))

    assert (
        len({fingerprint(one), fingerprint(other_sender), fingerprint(other_date), fingerprint(InboundMessage())}) == 4
    )
