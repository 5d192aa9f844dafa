"""The simulated Exchange, through the client that is used against real ones."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from exchangelib import (
    BASIC,
    DELEGATE,
    IMPERSONATION,
    NTLM,
    OAUTH2,
    Account,
    Configuration,
    Credentials,
    Folder,
    Identity,
    OAuth2AuthorizationCodeCredentials,
)
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
from exchangelib.errors import (
    ErrorAccessDenied,
    ErrorChangeKeyRequired,
    ErrorFolderExists,
    ErrorFolderNotFound,
    ErrorImpersonateUserDenied,
    ErrorInvalidChangeKey,
    ErrorInvalidIdMalformed,
    ErrorInvalidSyncStateData,
    ErrorItemNotFound,
    ErrorNonExistentMailbox,
    ErrorServerBusy,
    EWSError,
    TransportError,
    UnauthorizedError,
)
from exchangelib.folders import DistinguishedFolderId, FolderId
from exchangelib.items import ID_ONLY, Message
from exchangelib.properties import Mailbox
from exchangelib.protocol import BaseProtocol, close_connections
from exchangelib.services import GetFolder, GetItem, SyncFolderItems, UpdateItem
from requests_ntlm import HttpNtlmAuth

from local.simulators import Simulators, soap_fault
from tests.simulators.conftest import APP, MAILBOX, SECRET, Client

SERVICE = "svc@example.com"
PASSWORD = "open-sesame"
ASMX = "/EWS/Exchange.asmx"


@pytest.fixture(autouse=True)
def exchange(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account for the mailbox and one for services; the client trusts the server for the length of the test."""

    class Trusting(requests.adapters.HTTPAdapter):
        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            super().cert_verify(conn, url, str(simulators.ca_file), cert)

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Trusting)
    simulators.ews.access.add(MAILBOX, PASSWORD)
    simulators.ews.access.add(SERVICE, PASSWORD, full_access=[MAILBOX], impersonates=[MAILBOX])
    yield
    close_connections()


@pytest.fixture
def opened(simulators: Simulators) -> Callable[..., Account]:
    def opened(
        user: str = MAILBOX,
        password: str = PASSWORD,
        *,
        auth: str | None = BASIC,
        access: str = DELEGATE,
        address: str = MAILBOX,
        credentials: Any = None,
    ) -> Account:
        config = Configuration(
            credentials=credentials or Credentials(user, password),
            service_endpoint=simulators.url + ASMX,
            auth_type=auth,
        )
        return Account(address, config=config, access_type=access, default_timezone=UTC)

    return opened


@pytest.fixture
def account(opened: Callable[..., Account]) -> Account:
    return opened()


def mail(subject: str) -> bytes:
    return f"From: ann@customer.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nHello\r\n".encode()


def inbox_of(address: str = MAILBOX) -> DistinguishedFolderId:
    return DistinguishedFolderId(id="inbox", mailbox=Mailbox(email_address=address))


def subjects(account: Account) -> list[str]:
    return [item.subject for item in account.inbox.all().order_by("datetime_received").only("subject")]


def sync(account: Account, state: str | None = None, most: int = 100) -> tuple[list[str], SyncFolderItems]:
    service = SyncFolderItems(account=account)
    changes = service.call(
        folder=inbox_of(),
        shape=ID_ONLY,
        additional_fields=None,
        sync_state=state,
        ignore=None,
        max_changes_returned=most,
        sync_scope=None,
    )
    return [kind for kind, _ in changes], service


def fetched(account: Account, *ids: tuple[str, ...]) -> list[Any]:
    return list(GetItem(account=account).call(items=list(ids), additional_fields=None, shape=ID_ONLY))


# Signing in


@pytest.mark.parametrize("auth", [BASIC, NTLM])
@pytest.mark.parametrize("user", [MAILBOX, r"CORP\help"])
def test_an_account_signs_in_by_address_or_by_domain_and_user(opened, auth, user):
    assert subjects(opened(user, auth=auth)) == []


@pytest.mark.parametrize("auth", [BASIC, NTLM])
def test_a_wrong_password_is_refused(opened, auth):
    with pytest.raises(UnauthorizedError):
        subjects(opened(password="wrong", auth=auth))


def test_the_client_sees_which_sign_in_the_server_offers(opened, simulators):
    simulators.ews.access.schemes = ["basic"]

    assert opened(auth=None).protocol.auth_type == BASIC


def test_ntlm_signs_in_the_connection_once(opened, simulators):
    account = opened(auth=NTLM)

    subjects(account)
    subjects(account)

    assert simulators.counts["ews.handshake"] == 2


def test_ntlm_that_is_not_bound_to_the_tls_channel_is_refused(simulators, client):
    unbound = HttpNtlmAuth(r"CORP\help", PASSWORD, send_cbt=False)

    assert client.session.post(simulators.url + ASMX, data=b"<x/>", auth=unbound).status_code == 401


def test_an_account_for_which_the_service_is_off_is_forbidden(opened, simulators):
    simulators.ews.access.forbidden.add(MAILBOX)

    with pytest.raises(TransportError, match="403"):
        subjects(opened())


@pytest.mark.parametrize(("roles", "works"), [(["full_access_as_app"], True), (["Mail.ReadWrite"], False)])
def test_an_app_needs_its_role_and_acts_as_the_mailbox(opened, simulators, client, roles, works):
    simulators.entra.add_app(APP, SECRET, roles=roles)
    client.audience = "https://outlook.office365.com"
    token = client.form().json()
    credentials = OAuth2AuthorizationCodeCredentials(
        access_token=token, client_id=None, client_secret=None, identity=Identity(primary_smtp_address=MAILBOX)
    )
    account = opened(auth=OAUTH2, access=IMPERSONATION, credentials=credentials)

    if works:
        assert subjects(account) == []
    else:
        with pytest.raises(TransportError, match="403"):
            subjects(account)


def test_a_token_for_graph_does_not_open_exchange(simulators, client: Client):
    client.sign_in()

    answer = client.request("POST", ASMX, data=b"<x/>")

    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]


# Other mailboxes


@pytest.mark.parametrize("access", [DELEGATE, IMPERSONATION])
def test_a_service_account_opens_the_mailboxes_it_is_allowed_to(opened, simulators, access):
    simulators.graph.deliver(MAILBOX, mail("Shared"))
    account = opened(SERVICE, access=access)

    [message] = account.inbox.all()

    assert message.subject == "Shared"


def test_a_mailbox_without_full_access_is_denied(opened, simulators):
    simulators.graph.mailboxes.add("boss@example.com")

    with pytest.raises(ErrorAccessDenied):
        next(iter(_inbox(opened(SERVICE), "boss@example.com")))


def test_a_mailbox_outside_the_scope_of_the_role_cannot_be_impersonated(opened, simulators):
    simulators.graph.mailboxes.add("boss@example.com")

    with pytest.raises(ErrorImpersonateUserDenied):
        subjects(opened(SERVICE, access=IMPERSONATION, address="boss@example.com"))


def test_a_mailbox_that_is_not_there_is_named_as_such(opened, simulators):
    simulators.ews.access.add(SERVICE, PASSWORD, full_access=[MAILBOX], impersonates=["*"])

    with pytest.raises(ErrorNonExistentMailbox):
        subjects(opened(SERVICE, access=IMPERSONATION, address="nobody@example.com"))
    with pytest.raises(ErrorNonExistentMailbox):
        list(_inbox(opened(SERVICE), "nobody@example.com"))


def _inbox(account: Account, address: str) -> Iterator[Any]:
    for found in GetFolder(account=account).call(
        folders=[Folder(_id=inbox_of(address), root=account.root)], additional_fields=None, shape=ID_ONLY
    ):
        if isinstance(found, Exception):
            raise found
        yield found


# Versions


@pytest.mark.parametrize("version", ["Exchange2010_SP2", "Exchange2013_SP1", "Exchange2016"])
def test_the_version_is_agreed_on(opened, simulators, version):
    simulators.ews.version = version
    account = opened()

    subjects(account)

    assert account.version.api_version == version


# Listing


def test_messages_are_filtered_ordered_and_paged(account, simulators):
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    for number in range(5):
        moment = now + timedelta(minutes=number)
        simulators.graph.deliver(MAILBOX, mail(f"Number {number}"), received_at=moment, read=number == 2)
    unread = account.inbox.filter(is_read=False, datetime_received__gte=now + timedelta(minutes=1))
    unread.page_size = 2

    found = unread.order_by("-datetime_received").only("subject")

    assert [item.subject for item in found] == ["Number 4", "Number 3", "Number 1"]
    assert simulators.counts["ews.FindItem"] == 2


def test_contents_are_not_to_be_had_in_a_listing(account, simulators):
    simulators.graph.deliver(MAILBOX, mail("Listed"))

    [item] = account.inbox.all().only("mime_content")

    assert item.mime_content == mail("Listed")
    assert simulators.counts["ews.GetItem"] == 1


def test_synchronising_tells_what_happened_since(account, simulators):
    kinds, first = sync(account)
    assert (kinds, first.includes_last_item_in_range) == ([], True)

    message = simulators.graph.deliver(MAILBOX, mail("New"))
    kinds, second = sync(account, first.sync_state)
    assert kinds == ["create"]

    message.is_read = True
    mailbox = simulators.graph.mailboxes.get(MAILBOX)
    mailbox.touch(message)
    kinds, third = sync(account, second.sync_state)
    assert kinds == ["read_flag_change"]

    mailbox.move(message, mailbox.folder("archive"))
    assert sync(account, third.sync_state)[0] == ["delete"]


def test_synchronising_goes_in_portions(account, simulators):
    for number in range(5):
        simulators.graph.deliver(MAILBOX, mail(f"Number {number}"))

    kinds, first = sync(account, most=3)
    assert (len(kinds), first.includes_last_item_in_range) == (3, False)

    kinds, second = sync(account, first.sync_state, most=3)
    assert (len(kinds), second.includes_last_item_in_range) == (2, True)


@pytest.mark.parametrize("state", ["bm90IHppcHBlZA==", "nonsense"])
def test_a_synchronisation_state_that_is_not_valid_is_refused(account, state):
    with pytest.raises(ErrorInvalidSyncStateData):
        sync(account, state)


def test_a_synchronisation_state_expires(account, simulators):
    _, first = sync(account)

    simulators.graph.expire_deltas(MAILBOX)

    with pytest.raises(ErrorInvalidSyncStateData):
        sync(account, first.sync_state)


# Messages


def test_a_message_that_is_moved_has_another_id(account, simulators):
    simulators.graph.deliver(MAILBOX, mail("Moved"))
    [message] = account.inbox.all()
    before = message.id

    message.move(account.junk)

    assert message.id != before
    [gone] = fetched(account, (before,))
    assert isinstance(gone, ErrorItemNotFound)


@pytest.mark.parametrize(
    ("item_id", "error"), [(("junk",), ErrorInvalidIdMalformed), (("AAMkAGJ1bms=",), ErrorItemNotFound)]
)
def test_ids_are_checked_one_by_one(account, simulators, item_id, error):
    there = simulators.graph.deliver(MAILBOX, mail("There"))

    failure, found = fetched(account, item_id, (there.id,))

    assert isinstance(failure, error)
    assert found.id == there.id


def test_a_change_key_must_be_one(account, simulators):
    there = simulators.graph.deliver(MAILBOX, mail("There"))

    [failure] = fetched(account, (there.id, "nonsense"))

    assert isinstance(failure, ErrorInvalidChangeKey)


def test_resolving_conflicts_takes_a_change_key(account, simulators):
    there = simulators.graph.deliver(MAILBOX, mail("There"))

    with pytest.raises(ErrorChangeKeyRequired):
        list(_mark_read(account, there.id, "AutoResolve"))
    list(_mark_read(account, there.id, "AlwaysOverwrite"))

    assert there.is_read


def _mark_read(account: Account, message_id: str, resolution: str, *, suppress: bool = True) -> Iterator[Any]:
    return UpdateItem(account=account).call(
        items=[(Message(id=message_id, is_read=True), ["is_read"])],
        conflict_resolution=resolution,
        message_disposition="SaveOnly",
        send_meeting_invitations_or_cancellations="SendToNone",
        suppress_read_receipts=suppress,
    )


def test_read_receipts_are_sent_unless_they_are_suppressed(account, simulators):
    for subject in ("One", "Two"):
        simulators.graph.deliver(MAILBOX, mail(subject))
    one, two = account.inbox.all()

    list(_mark_read(account, one.id, "AlwaysOverwrite", suppress=True))
    list(_mark_read(account, two.id, "AlwaysOverwrite", suppress=False))

    assert simulators.ews.read_receipts == 1


def test_a_message_is_deleted_for_good_or_into_the_bin(account, simulators):
    for subject in ("Binned", "Gone"):
        simulators.graph.deliver(MAILBOX, mail(subject))
    binned, gone = account.inbox.all()

    binned.move_to_trash()
    gone.delete()

    assert subjects(account) == []
    assert [item.subject for item in account.trash.all()] == ["Binned"]


# Folders


def sent(account: Account, raw: str) -> list[Any]:
    item = Message(folder=account.sent, mime_content=raw.encode())
    try:
        return account.bulk_create(folder=account.sent, items=[item], message_disposition="SendAndSaveCopy")
    except EWSError as error:  # the client gives some errors as items, and raises others
        return [error]


def test_a_message_is_sent_and_kept(account, simulators):
    raw = f"From: {MAILBOX}\r\nTo: ann@x.example\r\nBcc: bob@x.example\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n"

    sent(account, raw)

    [message] = simulators.post.sent
    assert message.recipients == ("ann@x.example", "bob@x.example")
    assert message.raw.decode() == raw.replace("Bcc: bob@x.example\r\n", "")
    assert account.sent.filter(message_id="<1@x>").count() == 1


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("From: ann@x.example\r\nTo: bob@x.example\r\n\r\n", "ErrorSendAsDenied"),
        (f"From: {MAILBOX}\r\n\r\n", "ErrorInvalidRecipients"),
        (f"From: {MAILBOX}\r\nTo: ann@x.example\r\n\r\n{'x' * 200}", "ErrorMessageSizeExceeded"),
    ],
)
def test_a_message_that_may_not_be_sent_is_refused(account, simulators, raw, error):
    simulators.ews.max_send_bytes = 200

    [refused] = sent(account, raw)

    assert type(refused).__name__ == error
    assert simulators.post.sent == []


def test_folders_are_made_once_and_found_by_name(account):
    Folder(parent=account.inbox, name="Support").save()

    assert (account.inbox / "Support").name == "Support"
    with pytest.raises(ErrorFolderExists):
        Folder(parent=account.inbox, name="Support").save()


def test_a_folder_that_is_gone_is_not_found(account):
    [failure] = GetFolder(account=account).call(
        folders=[Folder(_id=FolderId(id="AAMkFgone="), root=account.root)], additional_fields=None, shape=ID_ONLY
    )

    assert isinstance(failure, ErrorFolderNotFound)


# Bad days


def test_a_busy_server_says_for_how_long(account, simulators):
    subjects(account)
    simulators.faults.add("ews.FindItem", **soap_fault("ErrorServerBusy", back_off=4.5))

    with pytest.raises(ErrorServerBusy) as busy:
        subjects(account)

    assert busy.value.back_off == 4.5


def test_a_message_that_cannot_be_converted_fails_alone(account, simulators):
    broken, fine = (simulators.graph.deliver(MAILBOX, mail(subject)) for subject in ("Broken", "Fine"))
    simulators.ews.broken[broken.id] = "ErrorMimeContentConversionFailed"

    failure, found = fetched(account, (broken.id,), (fine.id,))

    assert type(failure).__name__ == "ErrorMimeContentConversionFailed"
    assert found.id == fine.id


# Autodiscover


def settings_of(simulators: Simulators, address: str) -> Any:
    endpoint = f"{simulators.url}/autodiscover/autodiscover.svc"
    config = Configuration(credentials=Credentials(MAILBOX, PASSWORD), service_endpoint=endpoint, auth_type=BASIC)
    protocol = AutodiscoverProtocol(config=config)
    try:
        return protocol.get_user_settings(address)
    finally:
        protocol.close()


def test_autodiscover_tells_where_the_mailbox_is(simulators):
    found = settings_of(simulators, MAILBOX)

    assert found.ews_url == simulators.url + ASMX
    assert found.autodiscover_smtp_address == MAILBOX


def test_autodiscover_redirects_to_another_address_or_server(simulators):
    simulators.ews.autodiscover.redirects = {"old@example.com": MAILBOX, "moved@example.com": "https://other.example/x"}

    assert settings_of(simulators, "old@example.com").redirect_address == MAILBOX
    assert settings_of(simulators, "moved@example.com").redirect_url == "https://other.example/x"


def test_autodiscover_knows_no_strangers(simulators):
    assert settings_of(simulators, "nobody@example.com").error_code == "InvalidUser"
