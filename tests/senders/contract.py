"""What every sender must do, whatever its provider. A provider's test file says how to get at a server of its own,
inherits from `SenderContract`, and adds tests of what is special to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from shared.application.ports.connections import SenderConnection
from shared.domain.errors import (
    AccessDenied,
    CertificateRejected,
    CredentialsRejected,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    SecretMissing,
    SourceUnavailable,
)
from shared.domain.outgoing import OutgoingMail
from shared.domain.senders import Sender
from tests.sources.contract import Secrets

FROM, ANN, BOB = "help@desk.example", "ann@customer.example", "bob@customer.example"


@dataclass(frozen=True)
class Delivered:
    """A message as the provider has taken it; `recipients` are all who get it."""

    recipients: tuple[str, ...]
    content: bytes


class Provider(Protocol):
    """A server that belongs to the test alone, and the hands that make it fail."""

    stages: Sequence[str]
    """The stages of a connection test without a confirmation, in their order."""

    secret_stage: str
    """The stage that fails when the secret is wrong."""

    secret: str
    """The name of the secret that signs in."""

    keeps_what_was_sent: bool
    """Whether the provider tells what was sent."""

    secrets: Secrets

    def sender(self, **changes: Any) -> Sender:
        """A valid configuration that sends as `FROM`; `changes` as JSON, `transport` is merged."""

    def open(self, sender: Sender, *, is_trusted: bool = True, is_up: bool = True) -> SenderConnection:
        """The sender under test; with a certificate that it does not trust, or with nobody at the other end."""

    def delivered(self) -> list[Delivered]:
        """What the server has taken, oldest first."""

    def ask_to_wait(self) -> None:
        """The next message is not taken, and would be later."""

    def break_before(self) -> None:
        """The connection ends before the next message is taken."""

    def lose_answer(self) -> None:
        """The next message is taken, and the connection ends before that is said."""

    def refuse_sender(self) -> None:
        """The account may not send as its address."""

    def refuse_message(self) -> None:
        """The next message is not taken, now or later."""

    def limit_size(self, size: int) -> None:
        """No message of more than so many bytes is taken by sessions that begin now."""


def mail(subject: str = "Hello", body: str = "Text\r\n", to: Sequence[str] = (ANN,)) -> OutgoingMail:
    message_id = f"<{subject.replace(' ', '-')}@desk.example>"
    content = (
        f"From: Help <{FROM}>\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    )
    return OutgoingMail(message_id, FROM, tuple(to), content.encode())


Opened = Callable[..., SenderConnection]


class SenderContract:
    @pytest.fixture
    def opened(self, provider, request) -> Opened:
        """Opens a sender on a configuration of the provider, and closes it after the test."""

        def opened(is_trusted=True, is_up=True, **changes) -> SenderConnection:
            sender = provider.open(provider.sender(**changes), is_trusted=is_trusted, is_up=is_up)
            request.addfinalizer(sender.close)
            return sender

        return opened

    # Sending

    def test_a_message_is_taken_as_it_was_handed_over(self, provider, opened):
        sent = mail("As it is", "Dots:\r\n.\r\n..\r\nFrom here\r\n")

        result = opened().send(sent)

        assert result.accepted == (ANN,)
        assert result.refused == ()
        assert provider.delivered() == [Delivered((ANN,), sent.content)]

    def test_everybody_gets_it_in_one_message(self, provider, opened):
        result = opened().send(mail(to=[ANN, BOB]))

        assert result.accepted == (ANN, BOB)
        assert [each.recipients for each in provider.delivered()] == [(ANN, BOB)]

    def test_a_sender_sends_one_message_after_another(self, provider, opened):
        sender = opened()

        for number in range(3):
            sender.send(mail(f"Number {number}"))

        assert [each.content for each in provider.delivered()] == [mail(f"Number {n}").content for n in range(3)]

    def test_a_large_message_goes_through(self, provider, opened):
        sent = mail(body="A line of no interest.\r\n" * 20_000)

        opened().send(sent)

        assert [each.content for each in provider.delivered()] == [sent.content]

    # What keeps a message from being sent

    def test_a_server_that_asks_to_wait_has_taken_nothing(self, provider, opened):
        provider.ask_to_wait()
        sender = opened()

        with pytest.raises(SourceUnavailable):
            sender.send(mail())

        assert provider.delivered() == []

    def test_a_sender_goes_on_after_a_failure(self, provider, opened):
        provider.ask_to_wait()
        sender = opened()
        with pytest.raises(SourceUnavailable):
            sender.send(mail())

        sender.send(mail())

        assert len(provider.delivered()) == 1

    def test_a_connection_that_ends_before_the_message_is_out_has_sent_nothing(self, provider, opened):
        provider.break_before()

        with pytest.raises(SourceUnavailable):
            opened().send(mail())

        assert provider.delivered() == []

    def test_nobody_knows_what_became_of_a_message_whose_answer_is_lost(self, provider, opened):
        provider.lose_answer()

        with pytest.raises(OutcomeUnknown):
            opened().send(mail())

        assert len(provider.delivered()) == 1

    def test_a_message_that_is_refused_is_not_tried_again(self, provider, opened):
        provider.refuse_message()

        with pytest.raises(MessageRefused):
            opened().send(mail())

        assert provider.delivered() == []

    def test_a_message_over_the_limit_is_told_from_others(self, provider, opened):
        provider.limit_size(10_000)

        with pytest.raises(MessageTooLarge):
            opened().send(mail(body="A line of no interest.\r\n" * 1000))

        assert provider.delivered() == []

    def test_an_account_that_may_not_send_as_the_address_is_denied(self, provider, opened):
        provider.refuse_sender()

        with pytest.raises(AccessDenied) as denied:
            opened().send(mail())

        assert denied.value.advice
        assert provider.delivered() == []

    # Looking for what was sent

    def test_what_was_sent_is_found_where_the_provider_keeps_it(self, provider, opened):
        sender = opened()
        sender.send(mail())

        assert sender.find_sent(mail().message_id) is (True if provider.keeps_what_was_sent else None)

    def test_what_was_never_sent_is_not_found(self, provider, opened):
        assert opened().find_sent(mail().message_id) is (False if provider.keeps_what_was_sent else None)

    def test_a_message_whose_answer_was_lost_is_found(self, provider, opened):
        provider.lose_answer()
        with pytest.raises(OutcomeUnknown):
            opened().send(mail())

        assert opened().find_sent(mail().message_id) is (True if provider.keeps_what_was_sent else None)

    # Getting in

    def test_a_wrong_secret_is_rejected(self, provider, opened):
        provider.secrets.values[provider.secret] = "wrong-and-private"

        with pytest.raises(CredentialsRejected) as rejected:
            opened().send(mail())

        assert rejected.value.advice
        assert "wrong-and-private" not in str(rejected.value) + rejected.value.advice

    def test_a_secret_that_was_changed_is_picked_up(self, provider, opened):
        right = provider.secrets.values[provider.secret]
        provider.secrets.values[provider.secret] = "wrong"
        sender = opened()
        with pytest.raises(CredentialsRejected):
            sender.send(mail())

        provider.secrets.values[provider.secret] = right
        sender.send(mail())

        assert len(provider.delivered()) == 1

    def test_a_secret_that_is_missing_is_said_to_be(self, provider, opened):
        provider.secrets.values.clear()

        with pytest.raises(SecretMissing):
            opened().send(mail())

    def test_a_certificate_that_is_not_trusted_is_rejected(self, provider, opened):
        with pytest.raises(CertificateRejected):
            opened(is_trusted=False).send(mail())

        assert provider.delivered() == []

    def test_a_server_that_is_down_may_be_up_later(self, opened):
        with pytest.raises(SourceUnavailable):
            opened(is_up=False).send(mail())

    # Connection tests

    def test_a_connection_test_passes_every_stage_and_sends_nothing(self, provider, opened):
        stages = list(opened().check())

        assert [stage.name for stage in stages] == list(provider.stages)
        assert all(stage.ok for stage in stages)
        assert provider.delivered() == []

    def test_a_connection_test_can_send_a_confirmation(self, provider, opened):
        *stages, last = opened().check(mail())

        assert [stage.name for stage in stages] == list(provider.stages)
        assert (last.name, last.ok) == ("confirmation", True)
        [confirmation] = provider.delivered()
        assert confirmation.recipients == (ANN,)

    def test_a_connection_test_ends_with_a_wrong_secret(self, provider, opened):
        provider.secrets.values[provider.secret] = "wrong"

        *passed, last = opened().check()

        assert all(stage.ok for stage in passed)
        assert (last.name, last.ok, last.code) == (provider.secret_stage, False, "credentials_rejected")
        assert last.advice

    def test_a_connection_test_ends_with_an_address_that_it_may_not_send_as(self, provider, opened):
        provider.refuse_sender()

        *_, last = opened().check(mail())

        assert (last.ok, last.code) == (False, "access_denied")
        assert last.advice
        assert provider.delivered() == []

    def test_a_connection_test_tells_a_server_that_is_down(self, opened):
        *_, last = opened(is_up=False).check()

        assert (last.ok, last.code) == (False, "source_unavailable")
