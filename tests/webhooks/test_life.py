"""The life of a webhook, from the message that causes it until a receiver takes it (req M7)."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.webhooks import HttpsWebhooks
from shared.application.services import Services
from shared.application.subscriptions import redeliver
from shared.domain.webhooks import Subscription
from tests.intake.mail import mail
from tests.sending.conftest import Office, make_office, smtp, storage_services
from tests.sources.contract import Secrets
from tests.webhooks.conftest import SECRET
from tests.webhooks.receiver import Receiver, answers

__all__ = ["smtp", "storage_services"]


class LastingSecrets(Secrets):
    def expires_at(self, name: str) -> None:
        """Never."""


@pytest.fixture
def office(storage_services: Services, smtp, webhooks: HttpsWebhooks) -> Office:
    """Without a sender."""
    made = make_office(storage_services, smtp)
    made.services = replace(made.services, webhooks=webhooks, secrets=LastingSecrets({"hook": SECRET}))
    return made


@pytest.fixture
def subscription(office: Office, receiver: Receiver) -> Subscription:
    made = Subscription(
        id="desk", name="Desk", url=receiver.url, signing_secret="hook", created_at=office.clock.now, include_text=True
    )
    office.services.subscriptions.add(made)
    return made


def told(receiver: Receiver) -> list[str]:
    return [json.loads(each.body)["type"].removeprefix("mailroom.") for each in receiver.posts]


def pass_time(office: Office) -> None:
    """Until something is due."""
    office.clock.now = min(at for at, _ in office.requests.waiting)
    office.deliver()


def test_what_messages_cause_is_told_also_where_nothing_is_sent_by_mail(office, subscription, receiver):
    office.receive(mail("Printer", id_="<1@x>"))
    office.receive(mail("Re: Printer", id_="<2@x>", In_Reply_To="<1@x>", body="Still burning."))

    assert told(receiver) == ["ticket.created", "ticket.commented"]
    assert json.loads(receiver.posts[1].body)["data"]["comment"]["text"].strip() == "Still burning."
    assert office.outbox() == []


def test_an_event_waits_for_a_receiver_that_is_down(office, subscription, receiver):
    receiver.behave = answers(500)
    office.receive(mail("Printer"))
    (waiting,) = office.outbox()
    assert (waiting.state, waiting.attempts, waiting.error) == ("waiting", 1, "The receiver answered 500.")

    receiver.behave = answers(204)
    pass_time(office)

    assert told(receiver) == ["ticket.created"] * 2
    assert office.outbox() == []


def test_an_event_whose_request_gets_lost_is_told_all_the_same(office, subscription, receiver):
    receiver.behave = answers(500)
    office.receive(mail("Printer"))
    office.requests.waiting.clear()
    receiver.behave = answers(204)

    office.wait(minutes=10)

    assert told(receiver) == ["ticket.created"] * 2
    assert office.outbox() == []


def test_an_event_is_given_up_after_three_days_and_told_again_on_demand(office, subscription, receiver):
    receiver.behave = answers(500)
    office.receive(mail("Printer"))
    begun = office.clock.now
    while office.requests.waiting:
        pass_time(office)
    (given_up,) = office.outbox()
    assert (given_up.state, given_up.attempts) == ("failed", 11)
    assert timedelta(days=2.9) < office.clock.now - begun < timedelta(days=3.5)

    receiver.behave = answers(204)
    assert redeliver(office.services, subscription) == 1
    office.deliver()

    assert len({each.headers["webhook-id"] for each in receiver.posts}) == 1
    assert len(receiver.posts) == 12
    assert office.outbox() == []


def test_what_a_receiver_missed_that_said_it_was_gone_can_be_told_to_it(office, subscription, receiver):
    receiver.behave = answers(410)
    office.receive(mail("Printer"))
    office.receive(mail("Screen"))
    assert told(receiver) == ["ticket.created"]
    gone = office.services.subscriptions.get("desk")
    assert not gone.value.enabled

    office.services.subscriptions.replace(gone.value.model_copy(update={"enabled": True}), gone.etag)
    receiver.behave = answers(204)
    redeliver(office.services, gone.value)
    office.deliver()

    assert told(receiver) == ["ticket.created"] * 2
    assert office.outbox() == []


def test_what_waits_for_a_receiver_that_is_well_again_is_told_at_once_on_demand(office, subscription, receiver):
    receiver.behave = answers(503)
    office.receive(*(mail(f"Printer {number}") for number in range(5)))
    pass_time(office)
    receiver.behave = answers(204)

    assert redeliver(office.services, subscription) == 5
    office.deliver()

    assert office.outbox() == []
