"""What is special to senders without SMTP; what they share with it is in the contract."""

from datetime import timedelta

import pytest

from local.simulators import HOME_TENANT, gmail_error, graph_error, soap_fault
from local.simulators.ews_soap import Refusal, answer, failure
from local.simulators.oauth import Grant
from shared.adapters.senders.ews import EwsSender
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    SourceUnavailable,
    Throttled,
)
from shared.domain.outgoing import OutgoingMail, RefusedRecipient
from tests.proxy import ProxyServer
from tests.senders.api_providers import ACCOUNT, EwsProvider, GmailProvider, GraphProvider, utc_now
from tests.senders.contract import ANN, BOB, FROM, Delivered, mail
from tests.senders.smtp_provider import IMPATIENT
from tests.sources.ews_mailbox import PASSWORD
from tests.sources.graph_mailbox import APP

PROVIDERS = {"graph": GraphProvider, "gmail": GmailProvider, "ews": EwsProvider}


def to(mail: OutgoingMail, *recipients: str) -> OutgoingMail:
    """The same message in another envelope."""
    return OutgoingMail(mail.message_id, mail.envelope_from, recipients, mail.content)


@pytest.fixture
def opened(provider, request):
    def opened(**transport):
        sender = provider.open(provider.sender(transport))
        request.addfinalizer(sender.close)
        return sender

    return opened


class TestAll:
    @pytest.fixture(params=PROVIDERS)
    def provider(self, request, simulators):
        return PROVIDERS[request.param](simulators)

    # Recipients

    def test_who_is_not_named_in_the_message_gets_it_unseen(self, provider, opened):
        result = opened().send(to(mail(), ANN, BOB))

        assert result.accepted == (ANN, BOB)
        assert provider.delivered() == [Delivered((ANN, BOB), mail().content)]

    def test_nobody_gets_what_is_not_for_them(self, provider, opened):
        with pytest.raises(MessageRefused):
            opened().send(to(mail(to=[ANN, BOB]), ANN))

        assert provider.delivered() == []

    def test_an_address_that_is_none_keeps_the_message_from_nobody_else(self, provider, opened):
        result = opened().send(to(mail(), ANN, "bob@customer@example"))

        assert result.accepted == (ANN,)
        assert result.refused == (RefusedRecipient("bob@customer@example", permanent=True, status="5.1.3"),)
        assert [each.recipients for each in provider.delivered()] == [(ANN,)]

    def test_nothing_is_sent_to_addresses_that_are_none(self, provider, opened):
        result = opened().send(to(mail(), "nobody"))

        assert result.accepted == ()
        assert provider.delivered() == []

    @pytest.mark.parametrize("written", ["ANN@Customer.example", '"Ann, at home" <ann@customer.example>'])
    def test_a_recipient_is_known_however_the_message_writes_the_address(self, provider, opened, written):
        opened().send(to(mail(to=[written]), ANN))

        assert [len(each.recipients) for each in provider.delivered()] == [1]

    # Failures

    def test_how_long_to_wait_is_told_and_left_to_the_caller(self, simulators, provider, opened):
        provider.ask_to_wait()

        with pytest.raises(Throttled) as throttled:
            opened().send(mail())

        assert throttled.value.retry_after == timedelta(seconds=7)
        assert simulators.counts[provider.send_kind] == 1

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_a_server_that_breaks_down_may_have_sent_it(self, simulators, provider, opened, status):
        simulators.faults.add(provider.send_kind, status=status, body="<html>")

        with pytest.raises(OutcomeUnknown):
            opened().send(mail())

        assert simulators.counts[provider.send_kind] == 1

    def test_a_server_that_is_out_of_order_has_sent_nothing(self, simulators, provider, opened):
        simulators.faults.add(provider.send_kind, status=503)

        with pytest.raises(SourceUnavailable):
            opened().send(mail())

    @pytest.mark.parametrize("provider", ["gmail", "ews"], indirect=True)
    def test_an_answer_that_is_cut_leaves_it_in_doubt(self, simulators, provider, opened):
        """That of Graph has nothing to be cut."""
        simulators.faults.add(provider.send_kind, drop="midway")

        with pytest.raises(OutcomeUnknown):
            opened().send(mail())

        assert len(provider.delivered()) == 1

    def test_a_message_is_never_repeated_because_the_kept_connection_was_closed(self, simulators, provider, opened):
        sender = opened()
        sender.send(mail("First"))
        simulators.faults.add(provider.send_kind, drop="after")

        with pytest.raises(OutcomeUnknown):
            sender.send(mail("Second"))

        assert [each.content for each in provider.delivered()] == [mail("First").content, mail("Second").content]
        assert sender.find_sent(mail("Second").message_id) is True

    def test_an_id_with_marks_of_the_query_finds_nothing_else(self, opened):
        sender = opened()
        sender.send(mail())

        assert sender.find_sent("<it's'&\"x\"@desk.example>") is False

    # Ways through

    @pytest.mark.parametrize("kind", ["http", "socks5"])
    def test_a_message_goes_through_the_proxy_of_the_sender(self, provider, kind, request):
        with ProxyServer().running() as proxy:
            through = {"kind": kind, "host": "localhost", "port": proxy.port}
            sender = provider.open(provider.sender(proxy=through))
            request.addfinalizer(sender.close)

            sender.send(mail())

        assert len(provider.delivered()) == 1
        assert {host for host, _ in proxy.targets} == {"localhost"}

    def test_a_message_to_a_simulated_mailbox_arrives_there(self, simulators, opened):
        simulators.graph.mailboxes.add(ANN)
        simulators.gmail.mailboxes.add(BOB)

        opened().send(mail(to=[ANN, BOB]))

        ann = simulators.graph.mailboxes.get(ANN)
        assert [ann.raw(each) for each in ann.within(ann.folder("inbox"))] == [mail(to=[ANN, BOB]).content]
        assert len(simulators.gmail.mailboxes.get(BOB).newest_first()) == 1


class TestGraph:
    @pytest.fixture
    def provider(self, simulators):
        return GraphProvider(simulators)

    def test_what_is_sent_is_kept_among_the_sent_items(self, provider, opened):
        opened().send(mail())

        sent = provider.account.within(provider.account.folder("sentitems"))
        assert [provider.account.raw(each) for each in sent] == [mail().content]

    def test_what_was_sent_is_found_where_a_rule_has_moved_it(self, provider, opened):
        sender = opened()
        sender.send(mail())
        [sent] = provider.account.within(provider.account.folder("sentitems"))
        provider.account.move(sent, provider.account.folder("archive"))

        assert sender.find_sent(mail().message_id) is True

    def test_an_app_that_may_only_send_sends(self, provider, opened):
        provider.grant("Mail.Send")
        sender = opened()

        sender.send(mail())

        assert sender.find_sent(mail().message_id) is None
        *_, last = sender.check()
        assert (last.name, last.ok, last.warning) == ("sent", True, True)
        assert "Mail.Read" in last.advice

    def test_an_app_that_may_not_send_is_told_before_it_is_needed(self, provider, opened):
        provider.grant("Mail.ReadWrite")

        *_, last = opened().check()

        assert (last.name, last.code) == ("permission", "access_denied")
        assert "Mail.Send" in last.advice

    def test_an_app_can_be_limited_to_some_mailboxes(self, simulators, provider, opened):
        app = simulators.entra.apps[HOME_TENANT, APP]
        app.mailboxes = [FROM]
        with pytest.raises(AccessDenied):
            opened().send(mail())

        app.mailboxes = [ACCOUNT]
        opened().send(mail())

        assert len(provider.delivered()) == 1

    def test_a_person_sends_from_a_mailbox_that_is_shared_with_them(self, simulators, provider, opened):
        simulators.entra.add_app(APP, public=True)
        simulators.users.add(ANN, shared=[ACCOUNT])
        permissions = ("Mail.ReadWrite", "Mail.ReadWrite.Shared", "Mail.Send", "Mail.Send.Shared")
        scopes = " ".join(f"https://graph.microsoft.com/{each}" for each in permissions) + " offline_access"
        grant = Grant(APP, ANN, scopes, utc_now().timestamp())
        provider.secrets.values["refresh"] = simulators.users._grants.issue(grant)
        sign_in = {"kind": "microsoft_user", "client_id": APP, "refresh_token_secret": "refresh", "account": ANN}

        opened(sign_in=sign_in | {"tenant": HOME_TENANT}).send(mail())

        assert len(provider.delivered()) == 1
        simulators.users.add(ANN, shared=[])
        with pytest.raises(AccessDenied):
            opened(sign_in=sign_in | {"tenant": HOME_TENANT}).send(mail())

    def test_a_token_that_is_not_accepted_any_more_is_renewed(self, simulators, provider, opened):
        simulators.faults.add("graph.send", status=401, body=graph_error("InvalidAuthenticationToken"))

        opened().send(mail())

        assert len(provider.delivered()) == 1
        assert simulators.counts["entra.token"] == 2

    def test_a_token_that_is_never_accepted_is_told(self, simulators, opened):
        simulators.faults.add("graph.send", status=401, times=None, body=graph_error("InvalidAuthenticationToken"))

        with pytest.raises(CredentialsRejected):
            opened().send(mail())

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (400, "ErrorMimeContentInvalidBase64String", MessageRefused),
            (403, "ErrorMessageSubmissionBlocked", AccessDenied),
            (403, "ErrorSendAsDenied", AccessDenied),
            (413, "", MessageTooLarge),
            (400, "ErrorMessageSizeExceeded", MessageTooLarge),
            (429, "ErrorExceededMessageLimit", Throttled),
        ],
    )
    def test_a_refusal_tells_who_must_act(self, simulators, opened, status, code, error):
        simulators.faults.add("graph.send", status=status, body=graph_error(code))

        with pytest.raises(AppError) as refused:
            opened().send(mail())

        assert type(refused.value) is error


class TestGmail:
    @pytest.fixture
    def provider(self, simulators):
        return GmailProvider(simulators)

    def test_an_alias_that_was_never_confirmed_is_none(self, provider, opened):
        """Gmail would send, with the account's own address instead."""
        provider.account.aliases[FROM] = False

        with pytest.raises(AccessDenied) as denied:
            opened().send(mail())

        assert "Send mail as" in denied.value.advice
        assert provider.delivered() == []

    def test_the_aliases_are_looked_up_once(self, simulators, opened):
        sender = opened()
        for number in range(3):
            sender.send(mail(f"Number {number}"))

        assert simulators.counts["gmail.aliases"] == 1

    def test_what_was_sent_is_found_in_the_trash(self, provider, opened):
        sender = opened()
        sender.send(mail())
        [sent] = provider.account.newest_first()
        provider.account.modify(sent, ["TRASH"], [])

        assert sender.find_sent(mail().message_id) is True

    def test_a_sign_in_that_may_only_read_is_told_before_it_is_needed(self, simulators, opened):
        simulators.faults.add("gmail.send", **gmail_error(403, "insufficientPermissions"))

        *_, last = opened().check()

        assert (last.name, last.code) == ("permission", "access_denied")

    def test_a_day_s_limit_is_no_refusal_of_the_message(self, simulators, opened):
        simulators.faults.add("gmail.send", **gmail_error(403, "dailyLimitExceeded"))

        with pytest.raises(Throttled):
            opened().send(mail())


class TestEws:
    @pytest.fixture
    def provider(self, simulators):
        return EwsProvider(simulators)

    def test_what_is_sent_is_kept_among_the_sent_items_of_the_mailbox(self, provider, opened):
        opened().send(mail())

        assert [each.content for each in provider.stored("sentitems")] == [mail().content]

    def test_an_account_sends_by_impersonation(self, simulators, provider, opened):
        simulators.ews.access.add(ACCOUNT, PASSWORD, impersonates=[FROM])

        opened(access="impersonation").send(mail())

        assert len(provider.delivered()) == 1

    @pytest.mark.parametrize("method", ["plain", "ntlm"])
    def test_an_account_signs_in_in_either_way(self, provider, opened, method):
        sender = opened(sign_in=provider.transport["sign_in"] | {"method": method})

        sender.send(mail("First"))
        sender.send(mail("Second"))

        assert len(provider.delivered()) == 2

    def test_an_account_without_the_mailbox_is_told_so(self, simulators, opened):
        simulators.ews.access.add(ACCOUNT, PASSWORD, sends_as=[FROM])

        *_, last = opened().check()

        assert (last.name, last.code) == ("sign_in", "access_denied")

    def test_an_account_that_may_only_read_is_told_so(self, simulators, opened):
        simulators.ews.access.add(ACCOUNT, PASSWORD, reads=[FROM], sends_as=[FROM])

        *_, last = opened().check()

        assert (last.name, last.code) == ("permission", "access_denied")

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("ErrorInternalServerError", OutcomeUnknown),
            ("ErrorTimeoutExpired", OutcomeUnknown),
            ("ErrorMailboxStoreUnavailable", SourceUnavailable),
            ("ErrorMessageSizeExceeded", MessageTooLarge),
            ("ErrorSchemaValidation", MessageRefused),
        ],
    )
    @pytest.mark.parametrize("is_fault", [False, True])
    def test_a_refusal_tells_who_must_act(self, simulators, opened, code, error, is_fault):
        said = answer("CreateItem", [failure("CreateItem", Refusal(code))], "Exchange2016")
        message = {"status": 200, "headers": said.headers, "body": said.body}
        simulators.faults.add("ews.CreateItem", **(soap_fault(code) if is_fault else message))

        with pytest.raises(AppError) as refused:
            opened().send(mail())

        assert type(refused.value) is error

    def test_a_message_is_not_repeated_after_the_version_was_found_out(self, simulators, provider, opened):
        simulators.ews.version = "Exchange2010_SP2"
        simulators.faults.add("ews.CreateItem", skip=1, drop="after")

        with pytest.raises(OutcomeUnknown):
            opened().send(mail())

        assert len(provider.delivered()) == 1

    def test_an_answer_that_comes_too_late_leaves_it_in_doubt(self, simulators, provider, request):
        simulators.faults.add("ews.CreateItem", delay_seconds=5)
        sender = EwsSender(provider.sender(), provider.services(), IMPATIENT)
        request.addfinalizer(sender.close)

        with pytest.raises(OutcomeUnknown):
            sender.send(mail())

    def test_an_answer_that_is_none_leaves_it_in_doubt(self, simulators, opened):
        simulators.faults.add("ews.CreateItem", status=200, headers={"Content-Type": "text/xml"}, body="<hello/>")

        with pytest.raises(OutcomeUnknown):
            opened().send(mail())
