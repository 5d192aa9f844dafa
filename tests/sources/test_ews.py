"""What is special to EWS; what it shares with all sources is in the contract."""

import logging
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from local.simulators import Simulators, soap_fault
from local.simulators.ews_soap import Refusal, element, failure, success, text
from local.simulators.ews_soap import answer as answer_of
from shared.adapters.net import Timeouts
from shared.adapters.sources import ews_autodiscover, ews_client
from shared.adapters.sources.ews import EwsSource
from shared.application.ports.connections import CheckStage, FetchFailure
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CertificateRejected,
    CredentialsRejected,
    FolderMissing,
    MessageError,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)
from shared.domain.settlement import Delete, MarkRead, Move
from shared.domain.sources import EwsSource as EwsSettings
from tests.sources.conftest import IMPATIENT
from tests.sources.contract import Secrets, mail, read_all, refs, subjects
from tests.sources.ews_mailbox import ADDRESS, PASSWORD, SECRET, EwsMailbox

CLIENT_ID = "aaaaaaaa-0000-4000-8000-000000000002"
SERVICE = "svc@desk.example"
PASSWORD_SIGN_IN = {"kind": "password", "account": ADDRESS, "password_secret": SECRET}


@pytest.fixture
def provider(simulators: Simulators) -> EwsMailbox:
    return EwsMailbox(simulators)


@pytest.fixture
def opened(provider: EwsMailbox, request: pytest.FixtureRequest):
    def opened(timeouts: Timeouts | None = None, **changes: Any) -> EwsSource:
        source = EwsSource(provider.mailbox(**changes), provider.services(), timeouts)
        request.addfinalizer(source.close)
        return source

    return opened


def by(method: str, account: str = ADDRESS, **source: Any) -> dict[str, Any]:
    """Source settings that sign in this way."""
    return {"sign_in": PASSWORD_SIGN_IN | {"method": method, "account": account}} | source


def failed(stages: list[CheckStage]) -> CheckStage:
    assert [stage.ok for stage in stages] == [True] * (len(stages) - 1) + [False]
    return stages[-1]


# How much is said


@pytest.mark.parametrize("folder", ["inbox", "Support/Mail"])
def test_an_idle_poll_is_one_request_in_any_folder(simulators, provider, opened, folder):
    provider.create_folder("Support")
    provider.create_folder("Support/Mail")
    provider.deliver(mail("Old"), folder=folder)
    cursor = opened(source={"folders": [folder]}).changes(None, 100).cursor
    simulators.counts.clear()

    page = opened(source={"folders": [folder]}).changes(cursor, 100)

    assert page.messages == ()
    assert simulators.counts == {"ews.SyncFolderItems": 1}


def test_messages_are_fetched_in_batches_of_bounded_size(simulators, provider, opened):
    for number in range(60):
        provider.deliver(mail(f"Number {number}"))
    for number in range(3):
        provider.deliver(mail(f"Large {number}", "0123456789\r\n" * 150_000))
    source = opened()
    page = source.changes(None, 100)

    assert len(list(source.fetch(page.messages))) == 63

    assert simulators.counts["ews.GetItem"] == 3


def test_what_was_left_out_of_the_past_costs_one_request_for_hundreds(simulators, provider, opened):
    now = datetime.now(UTC)
    for _ in range(300):
        provider.deliver(mail("Past"), arrived_at=now - timedelta(days=1))

    page = opened(intake={"start_from": "now"}, created_at=now).changes(None, 100)

    assert (page.messages, page.more) == ((), False)
    assert simulators.counts == {"ews.SyncFolderItems": 1}


# Signing in


@pytest.mark.parametrize(
    ("offered", "method", "requests"),
    [
        (["ntlm", "basic"], "auto", 3),
        (["basic"], "auto", 2),
        (["ntlm", "basic"], "plain", 1),
        (["ntlm", "basic"], "ntlm", 2),
    ],
)
@pytest.mark.parametrize("account", [ADDRESS, r"CORP\help"])
def test_passwords_are_shown_as_the_server_wants_them(
    simulators, provider, opened, *, offered, method, requests, account
):
    simulators.ews.access.schemes = offered
    provider.deliver(mail("Let in"))
    source = opened(source=by(method, account))

    page = source.changes(None, 10)

    assert simulators.requests("ews") == requests
    assert subjects(list(source.fetch(page.messages))) == ["Let in"]
    assert simulators.requests("ews") == requests + 1


@pytest.mark.parametrize("method", ["auto", "plain", "ntlm"])
def test_a_wrong_password_is_tried_once(simulators, provider, opened, method):
    provider.secrets.values[SECRET] = "wrong"

    with pytest.raises(CredentialsRejected):
        opened(source=by(method)).changes(None, 10)

    assert simulators.counts["ews.SyncFolderItems"] == 1


def test_a_password_that_was_changed_meanwhile_is_used_at_once(provider, opened):
    class Renewed(Secrets):
        def forget(self, name: str) -> None:
            self.values[name] = PASSWORD

    provider.deliver(mail("Let in"))
    provider.secrets = Renewed({SECRET: "expired"})

    assert read_all(opened()) == ["Let in"]


@pytest.mark.parametrize("method", ["auto", "ntlm"])
def test_a_server_that_takes_no_password_is_told_apart_from_a_wrong_one(simulators, opened, method):
    simulators.ews.access.schemes = ["bearer"]

    with pytest.raises(SourceMisconfigured) as refused:
        opened(source=by(method)).changes(None, 10)

    assert refused.value.advice


@pytest.mark.parametrize("method", ["plain", "ntlm"])
def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(simulators, provider, opened, method):
    provider.deliver(mail("Fetched"))
    source = opened(source=by(method))
    page = source.changes(None, 10)
    simulators.faults.add("ews.*", drop="before")

    assert subjects(list(source.fetch(page.messages))) == ["Fetched"]


def test_an_app_acts_as_the_mailbox(simulators, provider, opened):
    app = {"kind": "microsoft_app", "tenant": "desk.example", "client_id": CLIENT_ID}
    simulators.entra.add_tenant("11111111-2222-3333-4444-555555555555", ["desk.example"])
    simulators.entra.add_app(CLIENT_ID, PASSWORD, roles=["full_access_as_app"])
    provider.deliver(mail("Let in"))
    source = opened(
        source={"sign_in": app | {"credential": {"kind": "secret", "secret": SECRET}}, "access": "impersonation"}
    )

    assert read_all(source) == ["Let in"]


# Other mailboxes


@pytest.mark.parametrize("access", ["delegate", "impersonation"])
def test_another_account_reads_and_settles_the_mailbox(simulators, provider, opened, access):
    simulators.ews.access.add(SERVICE, PASSWORD, full_access=[ADDRESS], impersonates=[ADDRESS])
    provider.create_folder("Support")
    provider.deliver(mail("Shared"), folder="Support")
    source = opened(
        address="alias@desk.example", source=by("ntlm", SERVICE, access=access, mailbox=ADDRESS, folders="Support")
    )

    page = source.changes(None, 10)
    source.settle(refs(page), Move(folder="Support/Done"))

    assert [message.content for message in provider.stored("Support/Done")] == [mail("Shared")]


@pytest.mark.parametrize(
    ("access", "advice"), [("delegate", "full access"), ("impersonation", "ApplicationImpersonation")]
)
def test_an_account_without_rights_is_denied_with_what_to_grant(simulators, opened, access, advice):
    simulators.ews.access.add(SERVICE, PASSWORD)

    with pytest.raises(AccessDenied) as denied:
        opened(source=by("plain", SERVICE, access=access)).changes(None, 10)

    assert advice in denied.value.advice


@pytest.mark.parametrize("access", ["delegate", "impersonation"])
def test_a_mailbox_that_is_not_there_is_a_matter_of_configuration(simulators, opened, access):
    simulators.ews.access.add(SERVICE, PASSWORD, impersonates=["*"])

    with pytest.raises(SourceMisconfigured):
        opened(source=by("plain", SERVICE, access=access, mailbox="nobody@desk.example")).changes(None, 10)


# Versions


@pytest.mark.parametrize("version", ["Exchange2010_SP2", "Exchange2013_SP1", "Exchange2016"])
def test_servers_of_any_version_are_read_and_settled(simulators, provider, opened, version):
    simulators.ews.version = version
    provider.deliver(mail("Read"))
    source = opened()

    page = source.changes(None, 10)
    source.settle(refs(page), MarkRead())

    assert [message.is_read for message in provider.stored()] == [True]


def test_a_version_that_is_set_is_spoken_from_the_first_request(simulators, opened):
    simulators.ews.version = "Exchange2010_SP2"

    opened(source={"version": "Exchange2010_SP2"}).changes(None, 10)

    assert simulators.counts["ews.SyncFolderItems"] == 1


# Listing


def test_a_message_that_is_moved_in_is_listed_however_old(simulators, provider, opened):
    now = datetime.now(UTC)
    provider.create_folder("Elsewhere")
    provider.deliver(mail("Old"), arrived_at=now - timedelta(days=9), folder="Elsewhere")
    source = opened(intake={"start_from": "now"}, created_at=now)
    cursor = source.changes(None, 10).cursor

    inbox, elsewhere = provider.store.folder("inbox"), simulators.graph.find(provider.store, "Elsewhere")
    provider.store.move(provider.store.within(elsewhere)[0], inbox)

    assert read_all(source, cursor) == ["Old"]


def test_a_message_of_the_second_in_which_the_mailbox_was_configured_is_not_past(provider, opened):
    moment = datetime(2026, 11, 20, 8, 15, 30, 600_000, tzinfo=UTC)
    provider.deliver(mail("Same second"), arrived_at=moment + timedelta(milliseconds=100))

    assert read_all(opened(intake={"start_from": moment.isoformat()})) == ["Same second"]


def test_what_is_done_to_listed_messages_lists_nothing(provider, opened):
    for number in range(3):
        provider.deliver(mail(f"Number {number}"))
    source = opened()
    page = source.changes(None, 10)

    source.settle(refs(page)[:1], MarkRead())
    source.settle(refs(page)[1:], Delete())

    assert source.changes(page.cursor, 10).messages == ()


def test_a_state_that_the_server_has_given_up_lists_everything_again(simulators, provider, opened):
    provider.deliver(mail("Known"))
    source = opened()
    cursor = source.changes(None, 10).cursor

    simulators.graph.expire_deltas(ADDRESS)

    assert read_all(source, cursor) == ["Known"]


def test_a_state_that_is_refused_without_another_one_lists_everything_again(simulators, provider, opened):
    provider.deliver(mail("Known"))
    source = opened()
    cursor = source.changes(None, 10).cursor
    bare = failure("Other", Refusal("ErrorInvalidSyncStateData")).replace("OtherResponse", "SyncFolderItemsResponse")
    refused = answer_of("SyncFolderItems", [bare], "Exchange2016")

    simulators.faults.add("ews.SyncFolderItems", status=200, body=refused.body, headers=refused.headers)

    assert read_all(source, cursor) == ["Known"]


def test_a_folder_that_is_gone_or_another_one_is_found_by_its_path_again(simulators, provider, opened):
    provider.create_folder("Support")
    source = opened(source={"folders": ["Support"]})
    cursor = source.changes(None, 10).cursor

    provider.store.remove_folder(simulators.graph.find(provider.store, "Support"))

    with pytest.raises(FolderMissing):
        source.changes(cursor, 10)
    assert opened(source={"folders": ["inbox"]}).changes(cursor, 10).messages == ()


def test_well_known_folders_are_found_in_any_language(simulators, provider, opened):
    simulators.graph.mailboxes.add("hilfe@desk.example", names={"inbox": "Posteingang", "junkemail": "Junk-E-Mail"})
    simulators.ews.access.add(ADDRESS, PASSWORD, full_access=["hilfe@desk.example"])
    source = opened(source={"mailbox": "hilfe@desk.example"})

    roles = {folder.path: folder.role for folder in source.folders()}

    assert (roles["Posteingang"], roles["Junk-E-Mail"], roles["Outbox"]) == ("inbox", "junk", None)
    assert source.changes(None, 10).messages == ()


@pytest.mark.parametrize(
    "answer",
    [
        "<t:Create><t:Message/></t:Create>",
        "<t:Create><t:Message><t:ItemId Id='a'/><t:Size>x</t:Size></t:Message></t:Create>",
    ],
)
def test_changes_that_cannot_be_read_are_misbehaviour(simulators, opened, answer):
    content = text("m:SyncState", "H4s=") + text("m:IncludesLastItemInRange", True) + element("m:Changes", answer)
    told = answer_of("SyncFolderItems", [success("SyncFolderItems", content)], "Exchange2016")
    simulators.faults.add("ews.SyncFolderItems", status=200, body=told.body, headers=told.headers)

    with pytest.raises(SourceMisbehaved):
        opened().changes(None, 10)


def test_a_document_type_is_refused_whatever_it_would_expand_to(simulators, opened):
    content = text("m:SyncState", "&bomb;") + text("m:IncludesLastItemInRange", True) + "<m:Changes/>"
    told = answer_of("SyncFolderItems", [success("SyncFolderItems", content)], "Exchange2016")
    bomb = told.body.replace(b"?>", b'?><!DOCTYPE s:Envelope [<!ENTITY bomb "boom">]>', 1).replace(b"&amp;", b"&")
    simulators.faults.add("ews.SyncFolderItems", status=200, body=bomb, headers=told.headers)

    with pytest.raises(SourceMisbehaved, match="document type"):
        opened().changes(None, 10)


def test_folders_are_listed_page_by_page_and_calendars_left_out(simulators, provider, opened, monkeypatch):
    monkeypatch.setattr(ews_client, "PAGE", 5)
    for path in ("Calendar", "Kunden", "Kunden/Anfragen"):
        provider.create_folder(path)

    paths = [folder.path for folder in opened().folders()]

    assert {"Kunden", "Kunden/Anfragen", "Inbox"} <= set(paths)
    assert "Calendar" not in paths
    assert simulators.counts["ews.FindFolder"] > 1


# Fetching


def test_a_message_that_the_server_fails_on_fails_alone(simulators, provider, opened):
    for subject in ("Broken", "Fine"):
        provider.deliver(mail(subject))
    source = opened()
    page = source.changes(None, 10)
    simulators.ews.broken[page.messages[0].ref.id] = "ErrorInternalServerError"

    broken, fine = source.fetch(page.messages)

    assert isinstance(broken, FetchFailure)
    assert type(broken.error) is MessageError
    assert subjects([fine]) == ["Fine"]


def test_a_batch_that_is_larger_than_it_was_said_to_be_is_fetched_one_by_one(simulators, provider, opened):
    for number in range(3):
        provider.deliver(mail(f"Number {number}", "0123456789\r\n" * 20_000))
        provider.store.within(provider.store.folder("inbox"))[-1].size = 100
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 250_000})

    messages = list(source.fetch(source.changes(None, 10).messages))

    assert [message.is_cut for message in messages] == [False] * 3
    assert [len(message.content) for message in messages] == [len(stored.content) for stored in provider.stored()]


def test_a_message_that_hides_its_size_is_cut_all_the_same(provider, opened):
    provider.deliver(mail("Huge", "0123456789\r\n" * 200_000))
    provider.store.within(provider.store.folder("inbox"))[0].size = 100
    source = opened(intake={"start_from": "beginning", "max_message_bytes": 100_000})

    [message] = source.fetch(source.changes(None, 10).messages)

    assert message.is_cut
    assert len(message.content) == 100_000
    assert provider.stored()[0].content.startswith(message.content)


# Settling


@pytest.mark.parametrize("settlement", [MarkRead(), Move(folder="Done"), Delete()])
def test_settling_tells_nobody_that_a_message_was_read(simulators, provider, opened, settlement):
    provider.deliver(mail("Receipt wanted"))
    source = opened()

    source.settle(refs(source.changes(None, 10)), settlement)

    assert simulators.ews.read_receipts == 0


def test_deleted_messages_lie_in_the_bin(provider, opened):
    provider.deliver(mail("Deleted"))
    source = opened()

    source.settle(refs(source.changes(None, 10)), Delete())

    assert [message.content for message in provider.stored("deleteditems")] == [mail("Deleted")]


def test_a_target_that_was_removed_meanwhile_is_made_again(simulators, provider, opened):
    for subject in ("One", "Two"):
        provider.deliver(mail(subject))
    source = opened()
    one, two = refs(source.changes(None, 10))
    source.settle([one], Move(folder="Done"))
    provider.store.remove_folder(simulators.graph.find(provider.store, "Done"))

    source.settle([two], Move(folder="Done"))

    assert [message.content for message in provider.stored("Done")] == [mail("Two")]


def test_a_target_that_somebody_else_makes_first_is_used(provider, opened):
    provider.deliver(mail("Moved"))
    source = opened()
    page = source.changes(None, 10)
    source.folders()
    provider.create_folder("Done")

    source.settle(refs(page), Move(folder="Done"))

    assert [message.content for message in provider.stored("Done")] == [mail("Moved")]


def test_an_account_that_may_only_read_is_denied(simulators, provider, opened):
    simulators.ews.access.add(SERVICE, PASSWORD, reads=[ADDRESS])
    provider.deliver(mail("Stays"))
    source = opened(source=by("plain", SERVICE))
    page = source.changes(None, 10)

    with pytest.raises(AccessDenied):
        source.settle(refs(page), Delete())


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403}, AccessDenied),
        ({"status": 404}, SourceMisconfigured),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, SourceMisconfigured),
        (
            {"status": 500, "body": b"<html>Server Error</html>", "headers": {"Content-Type": "text/html"}},
            SourceUnavailable,
        ),
        ({"status": 503, "headers": {"Retry-After": "7"}}, SourceUnavailable),
        (
            {"status": 200, "body": b"<html>Outlook</html>", "headers": {"Content-Type": "text/html"}},
            SourceMisconfigured,
        ),
        (
            {"status": 200, "body": b"<a:Envelope xmlns:a='x'></a:Envelope>", "headers": {"Content-Type": "text/xml"}},
            SourceMisbehaved,
        ),
        ({"status": 200, "body": b"no Envelope>", "headers": {"Content-Type": "text/xml"}}, SourceMisbehaved),
        ({"drop": "midway"}, SourceUnavailable),
        ({"drop": "before"}, SourceUnavailable),
        (soap_fault("ErrorMailboxMoveInProgress"), SourceUnavailable),
        (soap_fault("ErrorAccountDisabled"), CredentialsRejected),
        (soap_fault("ErrorSomethingNew"), SourceMisbehaved),
    ],
)
def test_each_failure_is_told_by_its_kind(simulators, opened, fault, error):
    simulators.faults.add("ews.SyncFolderItems", times=None, **fault)

    with pytest.raises(AppError) as told:
        opened().changes(None, 10)

    assert isinstance(told.value, error)
    if error is not SourceUnavailable:
        assert told.value.advice or error is SourceMisbehaved


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(soap_fault("ErrorServerBusy", back_off=4.5), 4.5), ({"status": 429, "headers": {"Retry-After": "7"}}, 7)],
)
def test_a_busy_server_says_how_long_to_wait(simulators, opened, fault, seconds):
    simulators.faults.add("ews.SyncFolderItems", **fault)

    with pytest.raises(Throttled) as busy:
        opened().changes(None, 10)

    assert busy.value.retry_after == timedelta(seconds=seconds)
    assert simulators.requests("ews") == 1


def test_a_server_that_stalls_is_given_up(simulators, opened):
    simulators.faults.add("ews.SyncFolderItems", delay_seconds=5)

    with pytest.raises(SourceUnavailable):
        opened(IMPATIENT).changes(None, 10)


def test_a_server_that_sends_without_end_is_stopped(simulators, opened):
    endless = b"<s:Envelope>" + b" " * 17_000_000
    simulators.faults.add("ews.SyncFolderItems", status=200, body=endless, headers={"Content-Type": "text/xml"})

    with pytest.raises(SourceMisbehaved):
        opened().changes(None, 10)


# What is kept apart and kept quiet


def test_mailboxes_do_not_share_whom_they_trust(simulators, provider, opened):
    careless = opened(source={"tls": {"verify": False}})
    strict = EwsSource(provider.mailbox(), provider.services(is_trusted=False))

    assert careless.changes(None, 10).messages == ()
    with pytest.raises(CertificateRejected):
        strict.changes(None, 10)


@pytest.mark.parametrize("method", ["plain", "ntlm"])
def test_nothing_private_is_logged(simulators, provider, opened, caplog, method):
    caplog.set_level(logging.DEBUG)
    provider.deliver(mail("Secret plan"))
    source = opened(source=by(method))

    list(source.fetch(source.changes(None, 10).messages))
    simulators.faults.add("ews.SyncFolderItems", **soap_fault("ErrorAccessDenied", ADDRESS))
    with pytest.raises(AccessDenied) as denied:
        source.changes(None, 10)

    everything = "\n".join([caplog.text, str(denied.value), denied.value.advice])
    assert PASSWORD not in everything
    assert "Secret plan" not in everything
    assert ADDRESS not in everything


# Autodiscover


def test_autodiscover_finds_the_server_by_the_address(simulators, provider, opened, monkeypatch):
    monkeypatch.setattr(ews_autodiscover, "PLACES", (simulators.url,))
    provider.deliver(mail("Found"))
    source = opened(source=by("ntlm", server=None))

    assert read_all(source) == ["Found"]
    assert f"{simulators.url}/EWS/Exchange.asmx" in next(source.check()).advice


@pytest.fixture
def discovering(simulators, opened, monkeypatch):
    """What the source connects to when it has only an address."""
    monkeypatch.setattr(ews_autodiscover, "PLACES", (simulators.url,))

    def discovering(address: str = ADDRESS) -> str:
        return opened(source=by("plain", server=None, mailbox=address))._client.connection.url

    return discovering


def test_autodiscover_leads_from_one_address_to_another(simulators, discovering):
    simulators.ews.autodiscover.redirects["old@desk.example"] = ADDRESS

    assert discovering("old@desk.example") == f"{simulators.url}/EWS/Exchange.asmx"


def test_autodiscover_leads_from_one_server_to_another(simulators, discovering):
    there = f"{simulators.url}/autodiscover/autodiscover.svc?here"
    simulators.faults.add("ews.autodiscover", status=302, headers={"Location": there})

    assert discovering() == f"{simulators.url}/EWS/Exchange.asmx"
    assert simulators.counts["ews.autodiscover"] == 2


@pytest.mark.parametrize(
    "there", ["https://localhost:{port}/autodiscover/autodiscover.svc", "http://localhost:{port}/"]
)
def test_autodiscover_goes_neither_in_circles_nor_without_tls(simulators, discovering, there):
    target = there.format(port=simulators.url.rpartition(":")[2])
    simulators.faults.add("ews.autodiscover", times=None, status=302, headers={"Location": target})

    with pytest.raises(SourceMisconfigured):
        discovering()

    assert simulators.counts["ews.autodiscover"] <= 7


def test_autodiscover_asks_the_next_place_where_one_knows_nothing(simulators, discovering, monkeypatch):
    monkeypatch.setattr(ews_autodiscover, "PLACES", (f"{simulators.url}/elsewhere", simulators.url))

    assert discovering() == f"{simulators.url}/EWS/Exchange.asmx"


def test_autodiscover_without_an_answer_asks_for_the_server(discovering):
    with pytest.raises(SourceMisconfigured) as nowhere:
        discovering("nobody@desk.example")

    assert "server" in nowhere.value.advice


def test_autodiscover_stops_at_a_rejected_password(simulators, provider, discovering):
    provider.secrets.values[SECRET] = "wrong"

    with pytest.raises(CredentialsRejected):
        discovering()

    assert simulators.requests("ews") == 1


# Testing the connection


def test_the_test_of_exchange_online_warns_of_its_end(simulators, provider, opened, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: real("localhost", *rest, **more))

    name = next(opened(source={"server": "outlook.office365.com"}).check())

    assert name.warning
    assert "Graph" in name.advice


def test_the_test_tells_the_build_of_the_server(opened):
    stages = {stage.name: stage for stage in opened().check()}

    assert "15.1.2507.6" in stages["mailbox"].detail


def test_the_test_tells_a_closed_mailbox_from_a_failed_sign_in(simulators, opened):
    simulators.ews.access.add(SERVICE, PASSWORD)

    stage = failed(list(opened(source=by("plain", SERVICE)).check()))

    assert (stage.name, stage.code) == ("mailbox", "access_denied")


@pytest.mark.parametrize("settlement", ["mark_read", "delete"])
def test_the_test_notices_missing_rights_to_settle(simulators, opened, settlement):
    simulators.ews.access.add(SERVICE, PASSWORD, reads=[ADDRESS])

    stage = failed(list(opened(source=by("plain", SERVICE), settlement={"action": settlement}).check()))

    assert (stage.name, stage.code) == ("settlement", "access_denied")


@pytest.mark.parametrize("folder", ["Inbox", "Posteingang"])
def test_the_test_refuses_to_move_to_the_folder_that_is_read(provider, opened, folder):
    provider.store.folder("inbox").name = "Posteingang"

    stage = failed(list(opened(settlement={"action": "move", "folder": folder}).check()))

    assert (stage.name, stage.code) == ("settlement", "source_misconfigured")


# Settings


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("mail.example.com", "https://mail.example.com/EWS/Exchange.asmx"),
        ("https://mail.example.com:8443/EWS/Exchange.asmx", "https://mail.example.com:8443/EWS/Exchange.asmx"),
        (None, None),
    ],
)
def test_a_bare_server_name_stands_for_the_usual_address(server, url):
    assert EwsSettings(server=server, sign_in=PASSWORD_SIGN_IN).url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "http://mail.example.com/EWS/Exchange.asmx"},
        {"server": "https://user:secret@mail.example.com/EWS/Exchange.asmx"},
        {"server": "https://mail.example.com/EWS/Exchange.asmx?key=secret"},
        {"tls": {"mode": "none"}},
        {"sign_in": PASSWORD_SIGN_IN | {"method": "cram_md5"}},
        {"sign_in": PASSWORD_SIGN_IN | {"method": "digest"}},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        EwsSettings.model_validate({"sign_in": PASSWORD_SIGN_IN} | wrong)
