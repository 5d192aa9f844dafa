from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.sign_ins import TableSignInStore
from shared.domain.errors import Conflict
from shared.domain.sign_in import MicrosoftUserSignIn, NewSignIn, SignInAttempt

CLIENT = "ffffffff-0000-4000-8000-000000000008"
ASKED = NewSignIn(sign_in=MicrosoftUserSignIn(client_id=CLIENT, refresh_token_secret="refresh"), purposes=("imap",))
ATTEMPT = SignInAttempt("of-two-browsers", ASKED, "key", datetime(2026, 11, 21, tzinfo=UTC))


def test_of_two_browsers_that_come_back_at_once_one_goes_on(clients: StorageClients):
    store = TableSignInStore(clients)
    store.add(ATTEMPT)
    first, second = store.get(ATTEMPT.id), store.get(ATTEMPT.id)
    assert first
    assert second
    assert first.value == ATTEMPT

    store.replace(replace(ATTEMPT, key="", status="failed"), first.etag)

    with pytest.raises(Conflict):
        store.replace(replace(ATTEMPT, key="", status="done"), second.etag)
    assert store.get(ATTEMPT.id).value.status == "failed"
