"""A message that storage does not take holds up no other, and ends in quarantine with its raw bytes."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from local.azurite import Azurite
from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.raws import TableAndBlobRawStore
from shared.adapters.storage.tickets import TableTicketStore
from shared.settings import StorageSettings
from tests.intake.mail import mail

POISON = "storage chokes on this"


class ChokingAdapter(HTTPAdapter):
    """Storage that answers 413 to whatever speaks of the poison."""

    def send(self, request: PreparedRequest, *arguments, **options) -> Response:
        if POISON not in str(request.body):
            return super().send(request, *arguments, **options)
        body = b'{"odata.error":{"code":"RequestBodyTooLarge","message":{"value":"too large"}}}'
        headers = {"Content-Type": "application/json"}
        return self.build_response(
            request, HTTPResponse(body=BytesIO(body), headers=headers, status=413, preload_content=False)
        )


@pytest.fixture
def choking(desk, azurite: Azurite) -> Iterator:
    clients = StorageClients(StorageSettings(azurite.connection_string, "", "", ""), credential=None)
    clients.session.mount(azurite.table_endpoint, ChokingAdapter())
    services = replace(desk.services, tickets=TableTicketStore(clients), raws=TableAndBlobRawStore(clients))
    yield replace(desk, services=services)
    clients.session.close()


def test_the_others_of_its_batch_are_taken_in_at_once(choking):
    choking.provider.deliver(*(mail(f"Case {n}", id_=f"<{n}@x>") for n in range(7)), mail(POISON, id_="<bad@x>"))
    choking.provider.deliver(*(mail(f"Case {n}", id_=f"<{n}@x>") for n in range(8, 12)))

    choking.poll()

    assert [ticket.number for ticket in choking.tickets()] == [*range(1, 12)]
    assert choking.runs()[0].outcomes == {"created": 11, "deferred": 1}


def test_after_three_attempts_it_is_in_quarantine_with_its_raw_bytes(choking):
    choking.provider.deliver(mail(POISON, id_="<bad@x>"))

    for _ in range(4):
        choking.poll()

    (entry,) = choking.quarantine()
    assert (entry.attempts, entry.error_code) == (3, "store_rejected")
    assert choking.services.raws.get(choking.mailbox.id, entry.raw) == choking.provider.messages[1]
    assert choking.provider.settled == {}
    assert len(choking.runs()) == 3
