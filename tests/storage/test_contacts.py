"""Contacts in Table Storage: found by any spelling, listed in pages, technicians in one query (req P1)."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from azure.core.pipeline.transport import HttpRequest, RequestsTransport

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.contacts import TableContactStore
from shared.domain.contact import Contact, ContactFilter, Role
from shared.domain.errors import Conflict

KIM = "Kim@Bücher.example"


@pytest.fixture
def contacts(clients: StorageClients) -> TableContactStore:
    """A store that is empty and has read nothing."""
    table = clients.table("contacts")
    for _, rows in groupby(table.list_entities(), key=itemgetter("PartitionKey")):
        table.submit_transaction([("delete", row) for row in rows])
    return TableContactStore(clients)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests to storage since the test began."""
    sent: list[str] = []
    send = RequestsTransport.send

    def counted(self: RequestsTransport, request: HttpRequest, **options: Any) -> Any:
        sent.append(f"{request.method} {request.url}")
        return send(self, request, **options)

    monkeypatch.setattr(RequestsTransport, "send", counted)
    return sent


@contextmanager
def broken_off_after(changes: int) -> Iterator[None]:
    """Storage takes so many changes more, and then the connection is lost."""
    left = iter(range(changes))
    send = RequestsTransport.send

    def failing(self: RequestsTransport, request: HttpRequest, **options: Any) -> Any:
        if request.method != "GET" and next(left, None) is None:
            raise ConnectionError
        return send(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RequestsTransport, "send", failing)
        with pytest.raises(ConnectionError):
            yield


def contact(address: str = KIM, role: Role = Role.REQUESTER, **more: Any) -> Contact:
    return Contact(address=address, name="Kim", role=role, **more)


def addresses(contacts: Iterable[Contact]) -> set[str]:
    return {each.address for each in contacts}


def test_a_contact_comes_back_as_it_was_put(contacts: TableContactStore):
    moment = datetime(2026, 5, 4, tzinfo=UTC)
    put = contact(
        groups=("A", "Ü"),
        company="ACME",
        language="pt-BR",
        bounced_at=moment,
        bounce="5.1.1 no user",
        unsubscribed_at=moment,
    )

    etag = contacts.put(put, None)

    found = contacts.read(["kim@xn--bcher-kva.example"])["kim@xn--bcher-kva.example"]
    assert (found.value, found.etag) == (put, etag)
    assert contacts.get([KIM, KIM.upper()]) == {KIM: put, KIM.upper(): put}


def test_without_contacts_nothing_is_read_for_a_sender(contacts: TableContactStore, requests: list[str]):
    for number in range(50):
        assert contacts.get([f"{number}@example.com"]) == {}

    assert len(requests) == 2


def test_a_sender_is_looked_up_once_whether_known_or_not(contacts: TableContactStore, requests: list[str]):
    contacts.put(contact(), None)
    requests.clear()

    for _ in range(5):
        assert contacts.get([KIM, "guest@example.com"]).keys() == {KIM}

    assert len(requests) == 2 + 2


def test_what_was_looked_up_is_forgotten_when_it_is_changed(contacts: TableContactStore):
    etag = contacts.put(contact(), None)
    contacts.get([KIM])

    etag = contacts.put(contact(company="ACME"), etag)
    assert contacts.get([KIM])[KIM].company == "ACME"

    contacts.put_many([contact(company="Other")])
    assert contacts.get([KIM])[KIM].company == "Other"

    contacts.delete(KIM, contacts.read([KIM])[KIM].etag)
    assert contacts.get([KIM]) == {}


def test_the_memory_for_senders_is_bounded(contacts: TableContactStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shared.adapters.storage.contacts._FOUND_AT_MOST", 10)
    contacts.put(contact(), None)

    for number in range(30):
        contacts.get([f"{number}@example.com", KIM])

    assert len(contacts._found) <= 12


def test_only_who_has_read_the_current_version_changes_it(contacts: TableContactStore):
    old = contacts.put(contact(), None)
    contacts.put(contact(company="ACME"), old)

    with pytest.raises(Conflict):
        contacts.put(contact(), old)
    with pytest.raises(Conflict):
        contacts.put(contact(), None)
    with pytest.raises(Conflict):
        contacts.delete(KIM, old)

    assert contacts.read([KIM])[KIM].value.company == "ACME"


def test_technicians_are_one_query(contacts: TableContactStore, requests: list[str]):
    contacts.put_many([contact(f"{number}@example.com", Role.TECHNICIAN) for number in range(30)])
    contacts.put_many([contact(f"r{number}@example.com") for number in range(10)])
    requests.clear()

    assert len(contacts.technicians()) == 30
    assert contacts.any()
    assert len(contacts.technicians()) == 30
    assert len(requests) == 1


def test_a_technician_is_listed_as_such_until_the_role_or_the_contact_is_gone(contacts: TableContactStore):
    etag = contacts.put(contact(role=Role.TECHNICIAN), None)
    assert addresses(contacts.technicians()) == {KIM}

    etag = contacts.put(contact(), etag)
    assert not contacts.technicians()

    contacts.put_many([contact(role=Role.TECHNICIAN)])
    assert addresses(contacts.technicians()) == {KIM}

    contacts.put_many([contact()])
    assert not contacts.technicians()

    etag = contacts.put(contact(role=Role.TECHNICIAN), contacts.read([KIM])[KIM].etag)
    contacts.delete(KIM, etag)
    assert not contacts.technicians()
    assert not contacts.any()


@pytest.mark.parametrize("changes", [0, 1])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("many", [False, True])
def test_a_change_of_role_that_breaks_off_has_not_happened_and_can_be_repeated(
    clients: StorageClients, contacts: TableContactStore, *, changes: int, role: Role, many: bool
):
    before = contact(role=Role.REQUESTER if role is Role.TECHNICIAN else Role.TECHNICIAN)
    after = contact(role=role)
    etag = contacts.put(before, None)

    with broken_off_after(changes):
        contacts.put_many([after]) if many else contacts.put(after, etag)

    later = TableContactStore(clients)
    assert later.read([KIM])[KIM].value == before
    later.put(after, later.read([KIM])[KIM].etag)
    assert later.read([KIM])[KIM].value == after
    assert addresses(later.technicians()) == ({KIM} if role is Role.TECHNICIAN else set())


def test_many_are_put_whatever_there_was(contacts: TableContactStore):
    old = [contact(f"{number}@example.com") for number in range(40)]
    contacts.put_many(old)

    contacts.put_many([contact(f"{number}@example.com", company="ACME") for number in range(80)])

    found = contacts.read([f"{number}@EXAMPLE.com" for number in range(90)])
    assert len(found) == 80
    assert {each.value.company for each in found.values()} == {"ACME"}


def test_hundreds_are_read_by_going_through_all_instead_of_one_by_one(contacts: TableContactStore, requests: list[str]):
    contacts.put(contact(), None)
    requests.clear()

    assert contacts.read([KIM, *map(str, range(400))]).keys() == {KIM}
    assert len(requests) < 10


@pytest.mark.parametrize("role", [None, Role.TECHNICIAN])
def test_a_list_in_pages_shows_everybody_once(contacts: TableContactStore, role: Role | None):
    names = {f"{uuid.uuid4().hex}@example.com" for _ in range(25)}
    contacts.put_many([contact(name, Role.TECHNICIAN) for name in names])

    pages, after = [], None
    while not pages or after:
        page, after = contacts.list(ContactFilter(role=role), 10, after)
        pages.append([each.address for each in page])

    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(name for page in pages for name in page) == sorted(names)


def test_a_list_goes_on_where_it_found_too_little_in_what_it_looked_through(
    contacts: TableContactStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shared.adapters.storage.contacts._LOOKED_THROUGH_AT_MOST", 10)
    contacts.put_many([contact(f"{number}@example.com", company="ACME" if number % 5 else "") for number in range(45)])

    found, after = [], None
    for _ in range(5):
        page, after = contacts.list(ContactFilter(company="acme"), 100, after)
        found += page

    assert len(found) == 36
    assert after is None
