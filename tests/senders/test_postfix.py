"""SMTP keeps the contract of senders at a real mail server too, as far as one fails on demand."""

import re
import shutil

import pytest

from local.dovecot import PASSWORD
from local.postfix import MOST_BYTES
from shared.adapters.senders import open_sender
from shared.application.ports.connections import SenderConnection
from shared.domain.errors import MessageRefused, MessageTooLarge
from shared.domain.outgoing import RefusedRecipient
from tests.senders.contract import ANN, BOB, FROM, Delivered, SenderContract, mail
from tests.senders.smtp_provider import SECRET, SmtpProvider, smtp_sender
from tests.sources.contract import Secrets
from tests.sources.dovecot_mailbox import services, settings, unused_port

_ON_THE_WAY = re.compile(rb"(?:(?:Return-Path|Delivered-To|Received):.*\r\n(?:[ \t].*\r\n)*)*")


class PostfixProvider:
    """Implements `tests.senders.contract.Provider`, but for what a real server does not do on demand."""

    stages = SmtpProvider.stages
    secret_stage = SmtpProvider.secret_stage
    secret = SECRET
    keeps_what_was_sent = False

    def __init__(self, postfix, dovecot) -> None:
        self.postfix = postfix
        self.mail = dovecot.mail
        self.secrets = Secrets({SECRET: PASSWORD})
        self.account = FROM
        postfix.wait_until_delivered()
        for each in self.mail.glob("*@*"):
            shutil.rmtree(each)

    def sender(self, transport=None, **changes):
        sign_in = {"kind": "password", "account": self.account, "password_secret": SECRET}
        here = {"port": self.postfix.tls_port, "sign_in": sign_in}
        return smtp_sender(here | (transport or {}), **changes)

    def open(self, sender, *, is_trusted=True, is_up=True) -> SenderConnection:
        here = sender.transport if is_up else sender.transport.model_copy(update={"port": unused_port()})
        trusted = self.postfix.ca_file if is_trusted else ""
        return open_sender(sender.model_copy(update={"transport": here}), services(self.secrets, settings(trusted)))

    def delivered(self) -> list[Delivered]:
        """Copies of one message as one; in the order of their content, as deliveries overtake each other."""
        self.postfix.wait_until_delivered()
        found: dict[bytes, list[str]] = {}
        for path in sorted(self.mail.glob("*@*/Maildir/new/*")):
            content = path.read_bytes().replace(b"\n", b"\r\n")
            found.setdefault(content[_ON_THE_WAY.match(content).end() :], []).append(path.parts[-4])
        return [Delivered(tuple(sorted(recipients)), content) for content, recipients in sorted(found.items())]

    def refuse_sender(self) -> None:
        self.account = "somebody-else@desk.example"


class TestPostfix(SenderContract):
    """`None` takes a test of the contract away."""

    @pytest.fixture
    def provider(self, postfix, dovecot):
        return PostfixProvider(postfix, dovecot)

    test_a_server_that_asks_to_wait_has_taken_nothing = None
    test_a_sender_goes_on_after_a_failure = None
    test_a_connection_that_ends_before_the_message_is_out_has_sent_nothing = None
    test_nobody_knows_what_became_of_a_message_whose_answer_is_lost = None
    test_a_message_that_is_refused_is_not_tried_again = None
    test_a_message_over_the_limit_is_told_from_others = None
    test_a_message_whose_answer_was_lost_is_found = None

    # What is different instead

    def test_whom_a_server_refuses_keeps_the_message_from_nobody_else(self, provider, opened):
        unknown, later, elsewhere = "unknown@customer.example", "later@customer.example", "eve@elsewhere.example"

        result = opened().send(mail(to=[unknown, ANN, later, elsewhere, BOB]))

        assert result.accepted == (ANN, BOB)
        assert result.refused == (
            RefusedRecipient(unknown, permanent=True, status="5.1.1"),
            RefusedRecipient(later, permanent=False, status="4.2.1"),
            RefusedRecipient(elsewhere, permanent=True, status="5.7.1"),
        )
        assert [each.recipients for each in provider.delivered()] == [(ANN, BOB)]

    def test_a_message_that_is_refused_for_its_content_is_told_so(self, provider, opened):
        with pytest.raises(MessageRefused):
            opened().send(mail("A forbidden word"))

        assert provider.delivered() == []

    def test_a_message_over_the_announced_limit_is_not_even_begun(self, provider, opened):
        with pytest.raises(MessageTooLarge):
            opened().send(mail(body="A line of no interest.\r\n" * (MOST_BYTES // 20)))

        assert provider.delivered() == []

    @pytest.mark.parametrize("method", ["auto", "plain", "cram_md5"])
    def test_every_method_that_it_offers_signs_in(self, provider, opened, method):
        sign_in = {"kind": "password", "account": FROM, "password_secret": SECRET, "method": method}
        starttls = {"port": provider.postfix.starttls_port, "tls": {"mode": "starttls"}}

        opened(transport=starttls | {"sign_in": sign_in}).send(mail())

        assert len(provider.delivered()) == 1

    def test_nobody_needs_to_sign_in_to_write_to_its_own_people(self, provider, opened):
        result = opened(transport={"sign_in": None}).send(mail())

        assert result.accepted == (ANN,)

    def test_text_beyond_ascii_arrives_byte_for_byte(self, provider, opened):
        sent = mail(body="Grüße, привет\r\n")

        opened().send(sent)

        assert [each.content for each in provider.delivered()] == [sent.content]

    def test_an_address_beyond_ascii_gets_its_mail(self, provider, opened):
        result = opened().send(mail(to=["jürgen@customer.example"]))

        assert result.refused == ()
        assert [each.recipients for each in provider.delivered()] == [("jürgen@customer.example",)]

    def test_a_report_comes_back_for_whom_nothing_could_be_delivered(self, provider, opened):
        opened().send(mail("Bounced", to=["bounces@customer.example"]))

        [report] = provider.delivered()
        assert report.recipients == (FROM,)
        assert b"report-type=delivery-status" in report.content
        assert b"Message-ID: <Bounced@desk.example>" in report.content
