"""The key that Message-IDs are signed with is made on first need, once, and never replaced."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier

import pytest

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.watches import TableWatchStore
from shared.application.own_ids import KEY_SECRET, MAKING, OwnIds
from shared.domain.errors import SecretMissing, SecretUnusable, StoreUnavailable
from shared.domain.mailbox import Mailbox
from tests.sources.contract import Secrets

MAILBOX = Mailbox.model_construct(id="sup", address="help@x.example")


@dataclass
class Vault(Secrets):
    """Whoever finds nothing is held up until all have found nothing."""

    together: Barrier | None = None
    puts: list[str] = field(default_factory=list)

    def get(self, name: str) -> str:
        try:
            return super().get(name)
        except SecretMissing:
            if self.together:
                self.together.wait(60)
            raise

    def put(self, name: str, value: str, expires_at=None) -> None:
        self.puts.append(value)
        super().put(name, value, expires_at)


def test_a_missing_key_is_made_and_kept():
    vault = Vault({})
    ids = OwnIds(vault, lambda: True)

    first, again = (each.sign(MAILBOX, 1, "a") for each in (ids, OwnIds(vault)))

    assert first == again
    assert len(vault.values[KEY_SECRET]) >= 43
    assert ids.read(first).ticket_number == 1


def test_of_many_who_miss_it_at_once_one_makes_it(storage_services):
    turns = TableWatchStore(StorageClients(storage_services.settings.storage, None))
    vault, now = Vault({}, together=Barrier(4)), storage_services.clock()
    workers = [OwnIds(vault, lambda: turns.ask(f"secret|{id(vault)}", now, now + MAKING)) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: each.has_key(), workers))

    assert (found.count(True), len(vault.puts)) == (1, 1)
    assert OwnIds(vault).signing_keys() == [vault.puts[0].encode()]


def test_what_another_has_made_meanwhile_counts():
    class Slow(Vault):
        def put(self, name: str, value: str, expires_at=None) -> None:
            self.puts.append(value)
            self.values[name] = "what somebody else has put there just now"

    assert OwnIds(Slow({}), lambda: True).signing_keys() == [b"what somebody else has put there just now"]


@pytest.mark.parametrize("error", [SecretUnusable("disabled"), StoreUnavailable("no answer")])
def test_a_key_that_is_there_and_cannot_be_read_is_not_replaced(error):
    class Closed(Vault):
        def get(self, name: str) -> str:
            raise error

    vault = Closed({})

    with pytest.raises(type(error)):
        OwnIds(vault, lambda: True).signing_keys()

    assert vault.puts == []


def test_where_it_may_not_be_made_the_reason_is_told():
    class ReadOnly(Vault):
        def put(self, name: str, value: str, expires_at=None) -> None:
            raise StoreUnavailable("Key Vault refuses the app's identity.", advice="Give it the role.")

    with pytest.raises(SecretMissing, match="refuses the app's identity") as raised:
        OwnIds(ReadOnly({}), lambda: True).signing_keys()

    assert raised.value.advice == "Give it the role."
    assert not OwnIds(Vault({})).has_key()


def test_without_a_key_messages_have_ids_that_are_recognised_by_their_receipts_only():
    without = OwnIds(Vault({}))

    made = without.sign(MAILBOX, 1, "a")

    assert (made, without.read(made)) == (without.sign(MAILBOX, 1, "a"), None)
    assert OwnIds(Vault({KEY_SECRET: "k" * 40})).read(made) is None


def test_nothing_between_or_behind_commas_is_a_key():
    assert OwnIds(Vault({KEY_SECRET: "the new one, ,the old one,"})).signing_keys() == [b"the new one", b"the old one"]

    with pytest.raises(SecretUnusable):
        OwnIds(Vault({KEY_SECRET: " , "})).signing_keys()
