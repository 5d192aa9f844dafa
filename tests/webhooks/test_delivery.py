"""Who is told of an event, what they are told, and what their answers mean (req M7)."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.application.webhooks import deliver_webhook, webhook_entries
from shared.domain.audit import AuditFilter
from shared.domain.outbox import Delivered, EventType, GaveUp, Later
from shared.domain.ticket import Status
from shared.domain.webhooks import next_try, signed_headers, signing_keys
from tests.webhooks.conftest import SECRET
from tests.webhooks.receiver import answers, never_answers, says

# Who is told


def test_an_event_is_owed_once_to_each_subscription_that_wants_it(desk):
    first, second = desk.subscribe(), desk.subscribe(events=(EventType.TICKET_CREATED,))
    event = desk.event()

    owed = webhook_entries(desk.services, desk.mailbox.id, event)

    assert {each.id for each in owed} == {f"{event.id}-{first.id}", f"{event.id}-{second.id}"}
    assert {(each.kind, each.state, each.attempts) for each in owed} == {("webhook", "waiting", 0)}
    assert owed == webhook_entries(desk.services, desk.mailbox.id, event)


@pytest.mark.parametrize(
    "changes", [{"enabled": False}, {"events": (EventType.MAILBOX_FAILING,)}, {"mailboxes": ("another-mailbox",)}]
)
def test_others_are_not_told(desk, changes):
    desk.subscribe(**changes)

    assert webhook_entries(desk.services, desk.mailbox.id, desk.event()) == []


def test_who_names_nothing_is_told_everything_but_who_was_refused(desk):
    subscription = desk.subscribe(mailboxes=())

    told = {each for each in EventType if subscription.wants(each, "any-mailbox")}

    assert told == set(EventType) - {EventType.MESSAGE_REFUSED, EventType.MAIL_RETURNED}


# What they are told


@pytest.fixture
def owed(desk):
    """One webhook for the creation of a ticket."""
    desk.subscribe()
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    return entry


def told(receiver) -> dict:
    return json.loads(receiver.posts[-1].body)


def test_an_event_is_told_as_a_cloud_event(desk, owed, receiver):
    assert deliver_webhook(desk.services, desk.mailbox.id, owed) == Delivered()

    event = told(receiver)
    assert {name: event[name] for name in ("specversion", "type", "source", "time", "datacontenttype")} == {
        "specversion": "1.0",
        "type": "mailroom.ticket.created",
        "source": f"/api/mailboxes/{desk.mailbox.id}",
        "time": "2026-11-21T10:00:00+00:00",
        "datacontenttype": "application/json",
    }
    assert event["id"]
    assert receiver.posts[0].headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert event["data"]["mailbox_id"] == desk.mailbox.id
    ticket = event["data"]["ticket"]
    assert (ticket["tag"], ticket["subject"], ticket["status"]) == ("SUP-1", "Printer is on fire", "new")
    assert (ticket["requester"], ticket["href"]) == (
        {"address": "anna@example.com", "name": "Anna"},
        "/api/tickets/SUP-1",
    )


def test_addresses_are_absolute_where_that_of_the_app_is_known(desk, owed, receiver):
    services = replace(desk.services, settings=replace(desk.services.settings, public_url="https://mailroom.example"))

    deliver_webhook(services, desk.mailbox.id, owed)

    assert told(receiver)["source"] == f"https://mailroom.example/api/mailboxes/{desk.mailbox.id}"
    assert told(receiver)["data"]["ticket"]["href"] == "https://mailroom.example/api/tickets/SUP-1"


@pytest.mark.parametrize("include_text", [False, True])
def test_what_people_wrote_is_told_only_where_the_subscription_asks_for_it(desk, receiver, include_text):
    desk.subscribe(include_text=include_text)
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event(EventType.TICKET_COMMENTED))

    deliver_webhook(desk.services, desk.mailbox.id, entry)

    comment = told(receiver)["data"]["comment"]
    assert (comment["seq"], comment["kind"], comment["author"]["name"]) == (1, "public", "Anna")
    assert comment.get("text") == ("It burns since noon." if include_text else None)
    assert ("burns" in receiver.posts[0].body.decode()) is include_text


def test_a_change_of_status_is_told_with_both_and_who_did_it(desk, receiver):
    desk.subscribe()
    desk.ticket(status=Status.CLOSED)
    details = {"seq": None, "before": "open", "after": "closed", "by": "tom@desk.example", "sender": "internal-id"}
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event(EventType.TICKET_STATUS_CHANGED, **details))

    deliver_webhook(desk.services, desk.mailbox.id, entry)

    data = told(receiver)["data"]
    assert (data["before"], data["after"], data["by"]) == ("open", "closed", "tom@desk.example")
    assert data.keys() == {"mailbox_id", "before", "after", "by", "ticket"}


def test_an_event_of_a_mailbox_has_no_ticket(desk, receiver):
    desk.subscribe()
    event = desk.event(EventType.MAILBOX_FAILING, ticket=None, seq=None)
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, event)

    deliver_webhook(desk.services, desk.mailbox.id, entry)

    assert told(receiver)["type"] == "mailroom.mailbox.failing"
    assert told(receiver)["data"] == {"mailbox_id": desk.mailbox.id}


def test_a_failing_mailbox_is_told_with_why_and_what_to_do(desk, receiver):
    desk.subscribe()
    why = {"code": "credentials_rejected", "error": "The password is wrong.", "advice": "Check the secret."}
    to_people = {"to": ["ops@desk.example"], "text": "To people."}
    event = desk.event(EventType.MAILBOX_FAILING, ticket=None, seq=None, **why, **to_people)
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, event)

    deliver_webhook(desk.services, desk.mailbox.id, entry)

    assert told(receiver)["data"] == {"mailbox_id": desk.mailbox.id, **why}


# How it is signed


def test_the_signature_is_that_of_standard_webhooks():
    """The example of its libraries."""
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signed_headers(signing_keys(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_try_is_signed_with_the_time_of_the_try_and_has_the_same_id(desk, owed, receiver):
    receiver.behave = answers(500)
    deliver_webhook(desk.services, desk.mailbox.id, owed)
    desk.clock.advance(minutes=1)
    deliver_webhook(desk.services, desk.mailbox.id, owed)

    first, second = (each.headers for each in receiver.posts)
    assert first["webhook-id"] == second["webhook-id"] == told(receiver)["id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    at = desk.clock()
    assert (
        signed_headers(signing_keys(SECRET), second["webhook-id"], at, receiver.posts[1].body).items() <= second.items()
    )


def test_while_a_secret_is_replaced_both_sign(desk, owed, receiver):
    new = f"whsec_{base64.b64encode(b'new' * 8).decode()}"
    desk.secrets.values["hook"] = f"{new}, {SECRET}"

    deliver_webhook(desk.services, desk.mailbox.id, owed)

    headers, body = receiver.posts[0].headers, receiver.posts[0].body
    each = [
        signed_headers(signing_keys(key), headers["webhook-id"], desk.clock(), body)["webhook-signature"]
        for key in (new, SECRET)
    ]
    assert headers["webhook-signature"].split(" ") == each


# What answers mean


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_enough(desk, owed, receiver, status):
    receiver.behave = answers(status)

    assert deliver_webhook(desk.services, desk.mailbox.id, owed) == Delivered()


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 429, 500, 503])
def test_any_other_answer_is_named_and_tried_again(desk, owed, receiver, status):
    receiver.behave = answers(status, Location="https://169.254.169.254/")

    later = deliver_webhook(desk.services, desk.mailbox.id, owed)

    assert isinstance(later, Later)
    assert str(status) in later.error
    assert timedelta(seconds=5) <= later.at - desk.clock() <= timedelta(seconds=5.5)


def test_a_receiver_that_asks_to_wait_is_left_alone_for_so_long(desk, owed, receiver):
    receiver.behave = answers(503, Retry_After="600")

    later = deliver_webhook(desk.services, desk.mailbox.id, owed)

    assert later.at == desk.clock() + timedelta(minutes=10)


@pytest.mark.parametrize("behaviour", [never_answers, None], ids=["silent", "not there"])
def test_a_receiver_that_does_not_answer_is_tried_again(desk, receiver, impatient, behaviour):
    receiver.behave = behaviour
    desk.subscribe(url=receiver.url if behaviour else "https://localhost:1/")
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())

    later = deliver_webhook(replace(desk.services, webhooks=impatient), desk.mailbox.id, entry)

    assert isinstance(later, Later)
    assert later.error


def test_tries_become_rare_and_end_after_three_days():
    start = now = datetime(2026, 11, 21, tzinfo=UTC)
    waits, tries = [], 1
    while at := next_try("an-entry", tries, now, None):
        waits.append(at - now)
        now, tries = at, tries + 1

    assert waits == sorted(waits)
    assert waits[0] < timedelta(seconds=6)
    assert timedelta(days=2.9) < now - start < timedelta(days=3.5)


def test_what_failed_together_does_not_come_back_together():
    now = datetime(2026, 11, 21, tzinfo=UTC)

    assert len({next_try(f"entry-{number}", 3, now, None) for number in range(50)}) > 40


def test_the_last_try_is_given_up(desk, owed, receiver):
    receiver.behave = answers(500)

    assert isinstance(deliver_webhook(desk.services, desk.mailbox.id, replace(owed, attempts=9)), Later)
    gave_up = deliver_webhook(desk.services, desk.mailbox.id, replace(owed, attempts=10))

    assert gave_up == GaveUp("The receiver answered 500.")


def test_who_answers_410_is_told_nothing_more(desk, receiver):
    subscription = desk.subscribe()
    desk.ticket()
    entries = [
        *webhook_entries(desk.services, desk.mailbox.id, desk.event()),
        *webhook_entries(desk.services, desk.mailbox.id, desk.event(EventType.TICKET_COMMENTED)),
    ]
    receiver.behave = answers(410)

    outcomes = [deliver_webhook(desk.services, desk.mailbox.id, each) for each in entries]

    assert all(isinstance(each, GaveUp) for each in outcomes)
    assert len(receiver.posts) == 1
    stored = desk.stored(subscription).value
    assert (stored.enabled, stored.gone_at) == (False, desk.clock())
    (entry,), _ = desk.services.audit.list(AuditFilter(subject=subscription.id), 10, None)
    assert (entry.by, entry.action, entry.after["enabled"]) == ("mailroom", "disabled", False)
    assert webhook_entries(desk.services, desk.mailbox.id, desk.event()) == []


def test_a_target_that_must_not_be_reached_is_given_up_at_once(desk):
    desk.subscribe(url="https://169.254.169.254/metadata")
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())

    gave_up, again = (deliver_webhook(desk.services, desk.mailbox.id, entry) for _ in range(2))

    assert isinstance(gave_up, GaveUp)
    assert "must not be used" in gave_up.error
    assert again == gave_up


@pytest.mark.parametrize("value", ["no-secret-at-all", "whsec_c2hvcnQ=", "whsec_***", ""])
def test_a_secret_that_cannot_sign_is_waited_for_and_not_shown(desk, owed, receiver, value):
    desk.secrets.values["hook"] = value

    later = deliver_webhook(desk.services, desk.mailbox.id, owed)

    assert isinstance(later, Later)
    assert later.error.startswith("The signing secret must")
    assert not value or value not in later.error
    assert receiver.posts == []


def test_a_secret_that_is_missing_is_waited_for(desk, owed):
    desk.secrets.values.clear()

    assert isinstance(deliver_webhook(desk.services, desk.mailbox.id, owed), Later)


def test_a_subscription_that_was_deleted_is_owed_nothing(desk, receiver):
    subscription = desk.subscribe()
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    desk.remove(subscription)

    assert deliver_webhook(desk.services, desk.mailbox.id, entry) == Delivered()
    assert receiver.posts == []


def test_a_ticket_that_was_removed_is_told_to_nobody(desk, receiver):
    desk.subscribe()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())

    assert deliver_webhook(desk.services, desk.mailbox.id, entry) == Delivered()
    assert receiver.posts == []


def test_the_address_may_change_between_two_tries(desk, receiver):
    subscription = desk.subscribe(url="https://localhost:1/")
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    deliver_webhook(desk.services, desk.mailbox.id, entry)
    desk.change(subscription, url=receiver.url)

    assert deliver_webhook(desk.services, desk.mailbox.id, entry) == Delivered()
    assert len(receiver.posts) == 1


# Receivers that take nothing


@pytest.fixture
def several(desk):
    """Many webhooks for one receiver."""
    desk.subscribe()
    desk.ticket()
    (entry,) = webhook_entries(desk.services, desk.mailbox.id, desk.event())
    return [replace(entry, id=f"{entry.id}-{number}") for number in range(6)]


@pytest.mark.parametrize("behaviour", [says(b""), answers(503), answers(502)])
def test_a_receiver_that_takes_nothing_is_spared_until_it_may_be_well_again(desk, several, receiver, behaviour):
    receiver.behave = behaviour

    outcomes = [deliver_webhook(desk.services, desk.mailbox.id, each) for each in several]

    assert len(receiver.posts) == 3
    assert {type(each) for each in outcomes} == {Later}
    assert all(each.error for each in outcomes)
    assert {each.at for each in outcomes[3:]} == {desk.clock() + timedelta(minutes=1)}


def test_it_gets_all_events_once_it_takes_one(desk, several, receiver):
    receiver.behave = answers(503)
    for each in several:
        deliver_webhook(desk.services, desk.mailbox.id, each)
    receiver.behave = answers(204)
    desk.clock.advance(minutes=1)

    outcomes = [deliver_webhook(desk.services, desk.mailbox.id, each) for each in several]

    assert outcomes == [Delivered()] * 6


def test_only_failures_in_a_row_are_counted(desk, several, receiver):
    for each, status in zip(several, (503, 503, 204, 503, 503, 204), strict=True):
        receiver.behave = answers(status)
        deliver_webhook(desk.services, desk.mailbox.id, each)

    assert len(receiver.posts) == 6


def test_the_receivers_of_others_are_not_held_up(desk, several, receiver):
    receiver.behave = answers(503)
    for each in several:
        deliver_webhook(desk.services, desk.mailbox.id, each)
    another = desk.subscribe()
    (entry,) = [
        each
        for each in webhook_entries(desk.services, desk.mailbox.id, desk.event())
        if each.payload["subscription"] == another.id
    ]
    receiver.behave = answers(204)

    assert deliver_webhook(desk.services, desk.mailbox.id, entry) == Delivered()


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_event_that_is_refused_by_itself_holds_up_no_other(desk, several, receiver, status):
    receiver.behave = answers(status)
    for each in several:
        deliver_webhook(desk.services, desk.mailbox.id, each)

    assert len(receiver.posts) == 6


def test_nothing_is_given_up_without_a_last_try(desk, several, receiver):
    receiver.behave = answers(503)
    for each in several:
        deliver_webhook(desk.services, desk.mailbox.id, each)

    gave_up = deliver_webhook(desk.services, desk.mailbox.id, replace(several[0], attempts=10))

    assert isinstance(gave_up, GaveUp)
    assert len(receiver.posts) == 4
