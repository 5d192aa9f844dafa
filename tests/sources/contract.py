"""What every source must do, whatever its provider. A provider's test file says how to get at a mailbox of its own,
inherits from `SourceContract`, and adds tests of what is special to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from shared.application.ports.connections import CheckStage, FetchFailure, Page, Source
from shared.domain.errors import (
    CertificateRejected,
    CredentialsRejected,
    CursorExpired,
    FolderMissing,
    MessageGone,
    SecretMissing,
    SourceUnavailable,
)
from shared.domain.mailbox import Mailbox
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settlement


@dataclass(frozen=True)
class Stored:
    """A message as it lies in its folder at the provider."""

    content: bytes
    is_read: bool


class Provider(Protocol):
    """One mailbox that belongs to the test alone, and the hands that change it behind the source's back."""

    inbox: str
    """The path that the provider has for its inbox."""

    stages: Sequence[str]
    """The stages of a connection test, in their order."""

    secret_stage: str
    """The stage that fails when the secret is wrong."""

    secrets: "Secrets"

    def mailbox(self, **changes: Any) -> Mailbox:
        """A valid configuration that reads the inbox from its beginning; `changes` as JSON, `source` is merged."""

    def open(self, mailbox: Mailbox, *, is_trusted: bool = True, is_up: bool = True) -> Source:
        """The source under test; with a certificate that it does not trust, or with nobody at the other end."""

    def deliver(
        self, content: bytes, *, arrived_at: datetime | None = None, is_read: bool = False, folder: str | None = None
    ) -> None:
        """Put a message into a folder, the inbox unless told."""

    def stored(self, folder: str | None = None) -> list[Stored]:
        """What is in a folder, oldest first; nothing where there is no such folder."""

    def remove_oldest(self) -> None:
        """Take the oldest message out of the inbox as somebody else would."""

    def create_folder(self, path: str) -> None: ...


@dataclass(eq=False)
class Secrets:
    """A secret store whose values the test gives; it remembers which were to be read afresh."""

    values: dict[str, str]
    forgotten: list[str] = field(default_factory=list)

    def get(self, name: str) -> str:
        if name not in self.values:
            raise SecretMissing
        return self.values[name]

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        self.values[name] = value

    def forget(self, name: str) -> None:
        self.forgotten.append(name)


def mail(subject: str, body: str = "Hello\r\n") -> bytes:
    return (
        f"From: Ann <ann@customer.example>\r\nTo: help@desk.example\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '-')}@customer.example>\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n{body}"
    ).encode()


def subjects(fetched: Sequence[RawMessage | FetchFailure]) -> list[str]:
    """The subjects in order; `gone` where there was no message any more."""
    return [_subject(item.content) if isinstance(item, RawMessage) else item.error.code for item in fetched]


def _subject(content: bytes) -> str:
    return next(line[9:].decode() for line in content.splitlines() if line.startswith(b"Subject: "))


def refs(page: Page) -> list[MessageRef]:
    return [listed.ref for listed in page.messages]


def read_all(source: Source, cursor: Cursor | None = None) -> list[str]:
    """The subjects of what is listed after the cursor, page by page."""
    page = source.changes(cursor, 50)
    found = subjects(list(source.fetch(page.messages)))
    return found + read_all(source, page.cursor) if page.more else found


Opened = Callable[..., Source]


class SourceContract:
    @pytest.fixture
    def opened(self, provider, request) -> Opened:
        """Opens a source on a configuration of the provider, and closes it after the test."""

        def opened(is_trusted=True, is_up=True, **changes) -> Source:
            source = provider.open(provider.mailbox(**changes), is_trusted=is_trusted, is_up=is_up)
            request.addfinalizer(source.close)
            return source

        return opened

    # Listing

    def test_an_empty_mailbox_lists_nothing(self, opened):
        page = opened().changes(None, 10)

        assert page.messages == ()
        assert not page.more

    def test_messages_are_listed_oldest_first(self, provider, opened):
        for number in range(3):
            provider.deliver(mail(f"Number {number}"))

        assert read_all(opened()) == ["Number 0", "Number 1", "Number 2"]

    def test_a_listing_resumes_after_its_cursor(self, provider, opened):
        source = opened()
        provider.deliver(mail("Before"))
        cursor = source.changes(None, 10).cursor

        provider.deliver(mail("After"))

        assert read_all(source, cursor) == ["After"]

    def test_another_process_resumes_from_the_cursor_which_is_text(self, provider, opened):
        provider.deliver(mail("Before"))
        cursor = opened().changes(None, 10).cursor
        provider.deliver(mail("After"))

        assert isinstance(cursor, str)
        assert read_all(opened(), Cursor(str(cursor))) == ["After"]

    def test_a_cursor_can_be_used_again(self, provider, opened):
        source = opened()
        cursor = source.changes(None, 10).cursor
        provider.deliver(mail("New"))

        assert read_all(source, cursor) == read_all(source, cursor) == ["New"]

    def test_a_cursor_stays_good_while_nothing_arrives(self, provider, opened):
        source = opened()
        provider.deliver(mail("Old"))
        cursor = source.changes(None, 10).cursor

        for _ in range(3):
            page = source.changes(cursor, 10)
            assert page.messages == ()
            cursor = page.cursor
        provider.deliver(mail("New"))

        assert read_all(source, cursor) == ["New"]

    def test_pages_of_the_limit_give_everything_exactly_once(self, provider, opened):
        for number in range(7):
            provider.deliver(mail(f"Number {number}"))
        source = opened()

        pages = [source.changes(None, 3)]
        while pages[-1].more:
            pages.append(source.changes(pages[-1].cursor, 3))

        assert all(len(page.messages) <= 3 for page in pages)
        listed = [message for page in pages for message in page.messages]
        assert subjects(list(source.fetch(listed))) == [f"Number {number}" for number in range(7)]

    def test_a_message_that_arrives_between_two_pages_is_not_missed(self, provider, opened):
        for number in range(4):
            provider.deliver(mail(f"Number {number}"))
        source = opened()
        first = source.changes(None, 2)

        provider.deliver(mail("Number 4"))

        assert read_all(source, first.cursor) == ["Number 2", "Number 3", "Number 4"]

    def test_a_message_that_is_gone_before_its_page_is_left_out(self, provider, opened):
        provider.deliver(mail("Gone"))
        provider.deliver(mail("There"))
        provider.remove_oldest()

        assert read_all(opened()) == ["There"]

    def test_listing_and_fetching_mark_nothing_as_read(self, provider, opened):
        provider.deliver(mail("Unread"))

        read_all(opened(settlement={"action": "mark_read"}))

        assert [message.is_read for message in provider.stored()] == [False]

    def test_unread_only_leaves_out_what_somebody_has_read(self, provider, opened):
        provider.deliver(mail("Read"), is_read=True)
        provider.deliver(mail("Unread"))

        assert read_all(opened(intake={"start_from": "beginning", "unread_only": True})) == ["Unread"]

    def test_read_messages_are_taken_in_unless_only_unread_ones_are_asked_for(self, provider, opened):
        provider.deliver(mail("Read"), is_read=True)

        assert read_all(opened()) == ["Read"]

    def test_the_past_is_left_out_unless_it_is_asked_for(self, provider, opened):
        now = datetime.now(UTC)
        provider.deliver(mail("Last year"), arrived_at=now - timedelta(days=365))
        provider.deliver(mail("An hour ago"), arrived_at=now - timedelta(hours=1))
        provider.deliver(mail("Now"), arrived_at=now + timedelta(seconds=5))

        assert read_all(opened(intake={"start_from": "now"}, created_at=now)) == ["Now"]

    def test_the_past_can_be_taken_in_from_a_given_moment(self, provider, opened):
        moment = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
        provider.deliver(mail("Before"), arrived_at=moment - timedelta(minutes=1))
        provider.deliver(mail("At"), arrived_at=moment)
        provider.deliver(mail("After"), arrived_at=moment + timedelta(minutes=1))

        assert read_all(opened(intake={"start_from": moment.isoformat()})) == ["At", "After"]

    def test_the_past_stays_left_out_on_the_pages_that_follow(self, provider, opened):
        now = datetime.now(UTC)
        for number in range(3):
            provider.deliver(mail(f"New {number}"), arrived_at=now + timedelta(seconds=5 + number))
        provider.deliver(mail("Old"), arrived_at=now - timedelta(days=30))
        source = opened(intake={"start_from": "now"}, created_at=now)

        first = source.changes(None, 2)

        listed = subjects(list(source.fetch(first.messages))) + read_all(source, first.cursor)
        assert sorted(listed) == ["New 0", "New 1", "New 2"]

    def test_what_arrives_later_is_taken_in_though_the_past_was_left_out(self, provider, opened):
        now = datetime.now(UTC)
        provider.deliver(mail("Past"), arrived_at=now - timedelta(days=1))
        source = opened(intake={"start_from": "now"}, created_at=now)
        cursor = source.changes(None, 10).cursor

        provider.deliver(mail("New"), arrived_at=now + timedelta(seconds=5))

        assert read_all(source, cursor) == ["New"]

    def test_a_cursor_of_another_kind_of_source_has_expired(self, opened):
        with pytest.raises(CursorExpired):
            opened().changes(Cursor("somebody else's"), 10)

    def test_one_folder_is_read_and_no_other(self, provider, opened):
        provider.create_folder("Support")
        provider.deliver(mail("In the inbox"))
        provider.deliver(mail("In the folder"), folder="Support")

        assert read_all(opened(source={"folders": ["Support"]})) == ["In the folder"]

    # Several folders

    @pytest.fixture
    def two_folders(self, provider) -> tuple[str, str]:
        """Beside the inbox; the second is in another one."""
        for path in ("Support", "Kunden", "Kunden/Neu"):
            provider.create_folder(path)
        return "Support", "Kunden/Neu"

    @pytest.mark.parametrize(
        "folders",
        [["Support", "Kunden/Neu"], "Support, Kunden/Neu", "Support;Kunden\\Neu", ["/Support/", "Kunden\\Neu"]],
    )
    def test_several_folders_are_read_however_they_are_written(self, provider, opened, two_folders, folders):
        provider.deliver(mail("In the inbox"))
        for folder in two_folders:
            provider.deliver(mail(f"In {folder}"), folder=folder)

        assert read_all(opened(source={"folders": folders})) == ["In Support", "In Kunden/Neu"]

    def test_pages_over_several_folders_give_everything_exactly_once_to_one_process_after_another(
        self, provider, opened, two_folders
    ):
        for number in range(6):
            provider.deliver(mail(f"Number {number}"), folder=two_folders[number % 2])
        found, cursor, more = [], None, True

        while more:
            source = opened(source={"folders": list(two_folders)})
            page = source.changes(cursor, 2)
            found += subjects(list(source.fetch(page.messages)))
            cursor, more = page.cursor, page.more

        assert sorted(found) == [f"Number {number}" for number in range(6)]
        assert read_all(opened(source={"folders": list(two_folders)}), cursor) == []

    def test_what_arrives_in_one_of_several_folders_is_listed_after_the_cursor(self, provider, opened, two_folders):
        source = opened(source={"folders": list(two_folders)})
        provider.deliver(mail("Before"), folder=two_folders[0])
        cursor = source.changes(None, 10).cursor

        for folder in reversed(two_folders):
            provider.deliver(mail(f"After in {folder}"), folder=folder)

        assert read_all(source, cursor) == ["After in Support", "After in Kunden/Neu"]

    def test_a_folder_that_is_added_is_read_from_its_start_and_the_others_from_their_cursors(
        self, provider, opened, two_folders
    ):
        for folder in two_folders:
            provider.deliver(mail(f"In {folder}"), folder=folder)
        cursor = opened(source={"folders": list(two_folders[:1])}).changes(None, 10).cursor

        assert read_all(opened(source={"folders": list(two_folders)}), cursor) == ["In Kunden/Neu"]

    def test_messages_of_several_folders_are_settled_in_theirs(self, provider, opened, two_folders):
        for number in range(4):
            provider.deliver(mail(f"Number {number}"), folder=two_folders[number % 2])

        self.settle_all(opened(source={"folders": list(two_folders)}), Delete())

        assert [provider.stored(folder) for folder in two_folders] == [[], []]

    # Fetching

    def test_messages_are_fetched_as_they_were_delivered(self, provider, opened):
        arrived_at = datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)
        content = mail("Bytes", "8-bit \xe9, a dot:\r\n.\r\nFrom the start\r\n\r\n")
        provider.deliver(content, arrived_at=arrived_at)
        source = opened()

        [message] = source.fetch(source.changes(None, 10).messages)

        assert message.content == content
        assert message.full_size == len(content)
        assert message.received_at == arrived_at
        assert not message.is_cut

    def test_messages_are_fetched_in_the_order_they_are_asked_for(self, provider, opened):
        for number in range(5):
            provider.deliver(mail(f"Number {number}", "x" * 1000 * (5 - number)))
        source = opened()
        messages = source.changes(None, 10).messages

        assert subjects(list(source.fetch(messages[::-1]))) == [f"Number {number}" for number in (4, 3, 2, 1, 0)]

    def test_a_message_over_the_limit_is_cut_to_its_beginning(self, provider, opened):
        provider.deliver(mail("Small"))
        provider.deliver(mail("Big", "0123456789\r\n" * 30_000))
        provider.deliver(mail("Small again"))
        source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

        messages = list(source.fetch(source.changes(None, 10).messages))

        assert subjects(messages) == ["Small", "Big", "Small again"]
        assert [message.is_cut for message in messages] == [False, True, False]
        assert messages[1].full_size > 300_000
        assert provider.stored()[1].content.startswith(messages[1].content)

    def test_the_limit_holds_where_the_size_is_not_known_yet(self, provider, opened):
        provider.deliver(mail("Big", "0123456789\r\n" * 30_000))
        source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})
        [listed] = source.changes(None, 10).messages

        [message] = source.fetch([Listed(listed.ref)])

        assert message.is_cut

    def test_a_message_that_is_gone_does_not_stop_the_others(self, provider, opened):
        for number in range(3):
            provider.deliver(mail(f"Number {number}"))
        source = opened()
        messages = source.changes(None, 10).messages
        provider.remove_oldest()

        gone, *others = source.fetch(messages)

        assert isinstance(gone, FetchFailure)
        assert isinstance(gone.error, MessageGone)
        assert gone.ref == messages[0].ref
        assert subjects(others) == ["Number 1", "Number 2"]

    def test_a_ref_of_another_kind_of_source_is_of_a_message_that_is_gone(self, provider, opened):
        provider.deliver(mail("There"))

        [failure] = opened().fetch([Listed(MessageRef("nowhere", "nonsense"))])

        assert isinstance(failure.error, MessageGone)

    def test_messages_can_be_settled_while_others_are_being_fetched(self, provider, opened):
        for number in range(12):
            provider.deliver(mail(f"Number {number}"))
        source = opened()

        fetched = []
        for message in source.fetch(source.changes(None, 20).messages):
            fetched.append(message)
            source.settle([message.ref], Delete())

        assert subjects(fetched) == [f"Number {number}" for number in range(12)]
        assert provider.stored() == []

    # Settling

    def test_keep_leaves_messages_as_they_are(self, provider, opened):
        provider.deliver(mail("Kept"))
        source = opened()

        self.settle_all(source, Keep())

        assert provider.stored() == [Stored(mail("Kept"), is_read=False)]

    def test_messages_are_marked_as_read(self, provider, opened):
        provider.deliver(mail("One"))
        provider.deliver(mail("Two"))
        source = opened()
        page = source.changes(None, 10)

        [settled] = source.settle(refs(page)[:1], MarkRead())

        assert settled.error is None
        assert [message.is_read for message in provider.stored()] == [True, False]

    def test_messages_are_moved_to_a_folder(self, provider, opened):
        provider.create_folder("Done")
        provider.deliver(mail("One"))
        provider.deliver(mail("Two"))
        source = opened()
        page = source.changes(None, 10)

        source.settle(refs(page)[:1], Move(folder="Done"))

        assert [message.content for message in provider.stored()] == [mail("Two")]
        assert [message.content for message in provider.stored("Done")] == [mail("One")]

    def test_the_folder_to_move_to_is_created_where_that_is_allowed(self, provider, opened):
        provider.deliver(mail("Moved"))
        source = opened()

        self.settle_all(source, Move(folder="Done/2026"))

        assert provider.stored() == []
        assert [message.content for message in provider.stored("Done/2026")] == [mail("Moved")]

    def test_a_folder_that_may_not_be_created_is_missing_and_those_that_exist_are_named(self, provider, opened):
        provider.create_folder("Archived")
        provider.deliver(mail("Stays"))
        source = opened()
        page = source.changes(None, 10)

        with pytest.raises(FolderMissing) as missing:
            source.settle(refs(page), Move(folder="Done", create=False))

        assert "Archived" in missing.value.advice
        assert [message.content for message in provider.stored()] == [mail("Stays")]

    def test_messages_are_deleted(self, provider, opened):
        provider.deliver(mail("Deleted"))
        provider.deliver(mail("Stays"))
        source = opened()
        page = source.changes(None, 10)

        source.settle(refs(page)[:1], Delete())

        assert [message.content for message in provider.stored()] == [mail("Stays")]

    @pytest.mark.parametrize("settlement", [Keep(), MarkRead(), Move(folder="Done"), Delete()])
    def test_settling_again_changes_nothing_more(self, provider, opened, settlement):
        for number in range(3):
            provider.deliver(mail(f"Number {number}"))
        source = opened()
        page = source.changes(None, 10)
        source.settle(refs(page)[:2], settlement)
        after_the_first = provider.stored(), provider.stored("Done")

        again = source.settle(refs(page)[:2], settlement)

        assert [settled.error for settled in again] == [None, None]
        assert (provider.stored(), provider.stored("Done")) == after_the_first

    def test_a_message_that_is_gone_counts_as_settled(self, provider, opened):
        provider.deliver(mail("Gone"))
        provider.deliver(mail("There"))
        source = opened()
        page = source.changes(None, 10)
        provider.remove_oldest()

        settled = source.settle(refs(page), MarkRead())

        assert [(each.ref, each.error) for each in settled] == [(ref, None) for ref in refs(page)]
        assert [message.is_read for message in provider.stored()] == [True]

    def test_many_messages_are_settled_at_once(self, provider, opened):
        for number in range(45):
            provider.deliver(mail(f"Number {number}"))
        source = opened()

        self.settle_all(source, MarkRead())

        assert all(message.is_read for message in provider.stored())

    @staticmethod
    def settle_all(source: Source, settlement: Settlement) -> None:
        page = source.changes(None, 50)
        settled = source.settle(refs(page), settlement)
        assert [(each.ref, each.error) for each in settled] == [(ref, None) for ref in refs(page)]

    # Folders

    def test_folders_are_listed_by_their_paths(self, provider, opened):
        provider.create_folder("Kunden")
        provider.create_folder("Kunden/Größe & Maß")

        folders = opened().folders()

        paths = [folder.path for folder in folders]
        assert {"Kunden", "Kunden/Größe & Maß"} <= set(paths)
        assert [folder.role for folder in folders].count("inbox") == 1

    def test_a_folder_in_a_folder_is_read_by_its_path(self, provider, opened):
        provider.create_folder("Kunden")
        provider.create_folder("Kunden/Größe & Maß")
        provider.deliver(mail("Found"), folder="Kunden/Größe & Maß")

        assert read_all(opened(source={"folders": ["Kunden/Größe & Maß"]})) == ["Found"]

    def test_an_unknown_folder_is_an_error_that_names_those_that_exist(self, provider, opened):
        provider.create_folder("Support")

        with pytest.raises(FolderMissing) as missing:
            opened(source={"folders": ["Suport"]}).changes(None, 10)

        assert "Support" in missing.value.advice

    # What goes wrong

    def test_a_wrong_secret_is_rejected_with_advice_and_read_afresh_next_time(self, provider, opened):
        [name] = provider.secrets.values
        provider.secrets.values[name] = "wrong"

        with pytest.raises(CredentialsRejected) as rejected:
            opened().changes(None, 10)

        assert rejected.value.advice
        assert name in provider.secrets.forgotten

    def test_a_secret_that_is_put_right_works_in_the_same_process(self, provider, opened):
        [(name, value)] = provider.secrets.values.items()
        provider.secrets.values[name] = "wrong"
        with pytest.raises(CredentialsRejected):
            opened().changes(None, 10)

        provider.secrets.values[name] = value

        assert opened().changes(None, 10).messages == ()

    def test_a_certificate_that_is_not_trusted_is_rejected(self, opened):
        with pytest.raises(CertificateRejected) as rejected:
            opened(is_trusted=False).changes(None, 10)

        assert rejected.value.reason == "unknown_authority"
        assert rejected.value.advice

    def test_a_server_that_is_down_is_unavailable(self, opened):
        with pytest.raises(SourceUnavailable):
            opened(is_up=False).changes(None, 10)

    # Testing the connection

    def test_a_connection_test_passes_every_stage_and_changes_nothing(self, provider, opened):
        provider.deliver(mail("Waiting"))
        before = provider.stored()

        stages = list(opened(settlement={"action": "move", "folder": "Done"}).check())

        assert [stage.name for stage in stages] == list(provider.stages)
        assert all(stage.ok for stage in stages)
        assert all(stage.milliseconds >= 0 for stage in stages)
        assert provider.stored() == before
        assert "Done" not in [folder.path for folder in opened().folders()]

    def test_a_connection_test_counts_what_would_be_taken_in(self, provider, opened):
        now = datetime.now(UTC)
        for days in (40, 3, 2, 1):
            provider.deliver(mail(f"{days} days old"), arrived_at=now - timedelta(days=days))
        start_from = (now - timedelta(days=2, hours=12)).isoformat()

        waiting = list(opened(intake={"start_from": start_from}).check())[-1]

        assert waiting.name == "waiting"
        assert "take in 2" in waiting.detail

    def test_a_connection_test_ends_with_the_wrong_secret(self, provider, opened):
        [name] = provider.secrets.values
        provider.secrets.values[name] = "wrong"

        self.assert_fails_at(provider.secret_stage, "credentials_rejected", list(opened().check()), provider)

    def test_a_connection_test_ends_with_a_secret_that_is_missing(self, provider, opened):
        provider.secrets.values.clear()

        self.assert_fails_at(provider.secret_stage, "secret_missing", list(opened().check()), provider)

    def test_a_connection_test_ends_at_the_port_of_a_server_that_is_down(self, provider, opened):
        stages = list(opened(is_up=False).check())

        self.assert_fails_at("port", "source_unavailable", stages, provider)
        assert stages[-1].advice

    def test_a_connection_test_ends_with_a_certificate_that_is_not_trusted(self, provider, opened):
        stages = list(opened(is_trusted=False).check())

        self.assert_fails_at("tls", "certificate_rejected", stages, provider)
        assert stages[-1].advice

    def test_a_connection_test_ends_with_an_unknown_folder_and_names_those_that_exist(self, provider, opened):
        provider.create_folder("Support")

        stages = list(opened(source={"folders": ["Suport"]}).check())

        self.assert_fails_at("folder", "folder_missing", stages, provider)
        assert "Support" in stages[-1].advice

    def test_a_connection_test_ends_with_a_target_that_may_not_be_created(self, provider, opened):
        settlement = {"action": "move", "folder": "Done", "create": False}

        stages = list(opened(settlement=settlement).check())

        self.assert_fails_at("settlement", "folder_missing", stages, provider)

    @staticmethod
    def assert_fails_at(name: str, code: str, stages: Sequence[CheckStage], provider: Provider) -> None:
        expected = list(provider.stages[: list(provider.stages).index(name) + 1])
        assert [stage.name for stage in stages] == expected
        assert [stage.ok for stage in stages] == [True] * (len(expected) - 1) + [False]
        assert stages[-1].code == code
