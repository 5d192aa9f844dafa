"""POP3 keeps the contract of sources but for what the protocol does not have."""

from datetime import UTC, datetime

import pytest

from local.dovecot import HOST
from shared.domain.settlement import Delete, Keep, MarkRead
from tests.sources.contract import SourceContract, mail, read_all, refs
from tests.sources.dovecot_mailbox import SECRET, DovecotMailbox, imap_mailbox


class Pop3Mailbox(DovecotMailbox):
    """The same mailbox, read by POP3; the hands that change it are IMAP's."""

    stages = ("name", "port", "tls", "sign_in", "mailbox", "settlement", "waiting")

    def mailbox(self, source=None, **changes):
        sign_in = {"kind": "password", "account": self.user, "password_secret": SECRET}
        here = {"kind": "pop3", "host": HOST, "sign_in": sign_in, "port": self.server.pop3s_port}
        return imap_mailbox(here | (source or {}), **changes)


class TestPop3(SourceContract):
    """`None` takes a test of the contract away."""

    @pytest.fixture
    def provider(self, dovecot):
        mailbox = Pop3Mailbox(dovecot)
        yield mailbox
        mailbox.close()

    # There are no folders.
    test_one_folder_is_read_and_no_other = None
    test_several_folders_are_read_however_they_are_written = None
    test_pages_over_several_folders_give_everything_exactly_once_to_one_process_after_another = None
    test_what_arrives_in_one_of_several_folders_is_listed_after_the_cursor = None
    test_a_folder_that_is_added_is_read_from_its_start_and_the_others_from_their_cursors = None
    test_messages_of_several_folders_are_settled_in_theirs = None
    test_messages_are_moved_to_a_folder = None
    test_the_folder_to_move_to_is_created_where_that_is_allowed = None
    test_a_folder_that_may_not_be_created_is_missing_and_those_that_exist_are_named = None
    test_folders_are_listed_by_their_paths = None
    test_a_folder_in_a_folder_is_read_by_its_path = None
    test_an_unknown_folder_is_an_error_that_names_those_that_exist = None
    test_a_connection_test_ends_with_an_unknown_folder_and_names_those_that_exist = None
    test_a_connection_test_ends_with_a_target_that_may_not_be_created = None

    # Nothing can be marked; some servers mark what is fetched, of their own accord.
    test_listing_and_fetching_mark_nothing_as_read = None
    test_unread_only_leaves_out_what_somebody_has_read = None
    test_messages_are_marked_as_read = None
    test_a_message_that_is_gone_counts_as_settled = None
    test_many_messages_are_settled_at_once = None

    # There are no dates.
    test_the_past_is_left_out_unless_it_is_asked_for = None
    test_the_past_can_be_taken_in_from_a_given_moment = None
    test_the_past_stays_left_out_on_the_pages_that_follow = None
    test_a_connection_test_counts_what_would_be_taken_in = None

    # What is different instead

    def test_messages_are_fetched_as_they_were_delivered(self, provider, opened):
        content = mail("Bytes", "8-bit \xe9, a dot:\r\n.\r\n..\r\nFrom the start\r\n" + "long " * 1000 + "\r\n\r\n")
        provider.deliver(content)
        source = opened()

        [message] = source.fetch(source.changes(None, 10).messages)

        assert message.content == content
        assert message.full_size == len(content)
        assert message.received_at is None
        assert not message.is_cut

    def test_the_past_is_what_is_there_at_the_first_listing(self, provider, opened):
        provider.deliver(mail("Past"), arrived_at=datetime.now(UTC))
        source = opened(intake={"start_from": "now"})

        first = source.changes(None, 10)
        provider.deliver(mail("New"))

        assert first.messages == ()
        assert read_all(source, first.cursor) == ["New"]

    @pytest.mark.parametrize("settlement", [Keep(), MarkRead(), Delete()])
    def test_settling_again_changes_nothing_more(self, provider, opened, settlement):
        for number in range(3):
            provider.deliver(mail(f"Number {number}"))
        source = opened()
        page = source.changes(None, 10)
        source.settle(refs(page)[:2], settlement)
        after_the_first = provider.stored()

        again = source.settle(refs(page)[:2], settlement)

        assert [settled.error for settled in again] == [None, None]
        assert provider.stored() == after_the_first

    def test_a_message_that_is_gone_counts_as_deleted(self, provider, opened):
        provider.deliver(mail("Gone"))
        provider.deliver(mail("There"))
        source = opened()
        page = source.changes(None, 10)
        provider.remove_oldest()

        settled = source.settle(refs(page), Delete())

        assert [(each.ref, each.error) for each in settled] == [(ref, None) for ref in refs(page)]
        assert provider.stored() == []

    def test_many_messages_are_deleted_at_once(self, provider, opened):
        for number in range(45):
            provider.deliver(mail(f"Number {number}"))
        source = opened()

        self.settle_all(source, Delete())

        assert provider.stored() == []

    def test_a_connection_test_passes_every_stage_and_changes_nothing(self, provider, opened):
        provider.deliver(mail("Waiting"))
        before = provider.stored()

        stages = list(opened(settlement={"action": "delete"}).check())

        assert [stage.name for stage in stages] == list(provider.stages)
        assert all(stage.ok for stage in stages)
        assert "take in 1" in stages[-1].detail
        assert provider.stored() == before
