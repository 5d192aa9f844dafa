"""Graph notifies us of new mail, and each mailbox is polled within seconds (req C14)."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
import requests

from shared.application.configuration import create
from shared.application.health import mailbox_report
from shared.application.mailboxes import MAILBOXES
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.application.ports.tickets import Commit
from shared.domain.errors import Invalid
from shared.domain.health import MailboxHealth
from shared.domain.intake import MailboxState
from shared.domain.watch import client_state
from tests.host.sample import until
from tests.push.conftest import HOOK, KEY, Pushed


def answers(pushed: Pushed, number: int) -> list[int]:
    """Those to the notifications, once there are so many."""
    until(lambda: len(pushed.graph.answers) >= number)
    return pushed.graph.answers


def test_a_new_message_asks_for_a_poll(pushed: Pushed):
    pushed.sweep()
    pushed.clock.advance(seconds=10)

    pushed.deliver()

    assert answers(pushed, 1) == [202]
    assert pushed.requests.of(pushed.mailbox) == ["push", "push"]  # one when the watch began


def test_many_messages_are_one_poll(pushed: Pushed):
    pushed.sweep()
    pushed.clock.advance(seconds=10)

    for _ in range(20):
        pushed.deliver()

    assert answers(pushed, 20) == [202] * 20
    assert pushed.requests.of(pushed.mailbox) == ["push", "push"]
    pushed.clock.advance(seconds=10)
    pushed.deliver()
    answers(pushed, 21)
    assert pushed.requests.of(pushed.mailbox) == ["push", "push", "push"]


def test_a_poll_begins_when_nothing_more_is_counted_into_it(pushed: Pushed):
    pushed.sweep()

    assert [delay for _, delay in pushed.requests.put_in] == [timedelta(seconds=2)]


def test_each_folder_is_watched(pushed: Pushed):
    pushed.configure(source=pushed.push(folders=("inbox", "archive")))
    pushed.sweep()
    pushed.clock.advance(seconds=10)

    pushed.deliver("archive")
    pushed.deliver("drafts")

    assert answers(pushed, 1) == [202]
    assert len(pushed.subscriptions()) == 2


def test_a_watch_is_renewed_every_day_and_never_runs_out(pushed: Pushed):
    pushed.sweep()
    [first] = pushed.subscriptions()

    for _ in range(14 * 6):
        pushed.clock.advance(hours=4)
        pushed.sweep()
        assert pushed.subscriptions() == [first]

    assert 14 <= pushed.simulators.counts["graph.renew"] <= 15
    assert first.expires_at - pushed.clock() > timedelta(hours=45)


def test_a_watch_that_has_vanished_is_made_again(pushed: Pushed):
    pushed.sweep()
    pushed.graph.all.clear()

    pushed.clock.advance(hours=25)
    pushed.sweep()

    assert len(pushed.subscriptions()) == 1
    assert pushed.requests.of(pushed.mailbox) == ["push", "push"]  # for what came while nobody watched


def test_a_removed_subscription_is_made_again_and_its_time_made_up_for(pushed: Pushed):
    pushed.sweep()
    pushed.clock.advance(minutes=5)

    pushed.graph.tell(pushed.address, "subscriptionRemoved")
    answers(pushed, 1)
    assert pushed.subscriptions() == []
    assert pushed.requests.of(pushed.mailbox) == ["push", "push"]
    pushed.sweep()

    assert len(pushed.subscriptions()) == 1


def test_a_subscription_that_must_be_authorised_again_is_renewed(pushed: Pushed):
    pushed.sweep()
    pushed.clock.advance(minutes=5)

    pushed.graph.tell(pushed.address, "reauthorizationRequired")
    answers(pushed, 1)
    pushed.sweep()

    assert pushed.simulators.counts["graph.renew"] == 1
    assert pushed.requests.of(pushed.mailbox) == ["push"]


def test_missed_notifications_are_made_up_for_by_a_poll(pushed: Pushed):
    pushed.sweep()
    pushed.clock.advance(minutes=5)

    pushed.graph.tell(pushed.address, "missed")
    answers(pushed, 1)

    assert pushed.requests.of(pushed.mailbox) == ["push", "push"]


def test_what_a_worker_that_died_has_made_is_taken_over(pushed: Pushed):
    pushed.sweep()
    pushed.services.watches.delete(pushed.mailbox.id)

    pushed.sweep()

    assert [each.id for each in pushed.stored().watches] == [each.id for each in pushed.subscriptions()]


@pytest.mark.parametrize("change", [{"enabled": False}, {"push": False}])
def test_without_push_nothing_is_watched(pushed: Pushed, change: dict[str, bool]):
    pushed.sweep()

    pushed.configure(**(change if "enabled" in change else {"source": pushed.push(**change)}))
    pushed.sweep()

    assert (pushed.subscriptions(), pushed.stored()) == ([], None)


def test_other_folders_have_other_watches(pushed: Pushed):
    pushed.sweep()
    [before] = pushed.subscriptions()

    pushed.configure(source=pushed.push(folders=("archive",)))
    pushed.sweep()

    [after] = pushed.subscriptions()
    assert after.folder != before.folder


def test_what_fails_is_tried_again_later_and_later(pushed: Pushed):
    fault = pushed.simulators.faults.add("graph.subscribe", times=None, status=403, body={"error": {"code": "x"}})

    for _ in range(12):
        pushed.sweep()
        pushed.clock.advance(minutes=5)

    stored = pushed.stored()
    assert (stored.failures, stored.error_code, fault.hits) == (4, "access_denied", 4)
    pushed.simulators.faults.clear()
    pushed.clock.advance(hours=6)
    pushed.sweep()
    assert (pushed.stored().failures, len(pushed.subscriptions())) == (0, 1)


def test_push_that_cannot_be_had_is_a_finding_with_error_and_advice_until_it_can(pushed: Pushed):
    def told() -> list[tuple[str, str, bool]]:
        found = mailbox_report(pushed.services, pushed.mailbox).findings
        return [(each.level, each.text, bool(each.advice)) for each in found if each.code == "push_failing"]

    pushed.simulators.faults.add("graph.subscribe", times=None, status=403, body={"error": {"code": "x"}})
    pushed.sweep()
    [(level, text, is_advised)] = told()
    assert (level, is_advised) == ("warning", True)
    assert text.endswith(pushed.stored().error)
    pushed.simulators.faults.clear()
    pushed.clock.advance(hours=6)
    pushed.sweep()

    assert told() == []


def test_push_without_an_address_of_our_own_is_a_finding(pushed: Pushed):
    settings = replace(pushed.services.settings, public_url="")

    found = mailbox_report(replace(pushed.services, settings=settings), pushed.mailbox).findings

    assert [each.code for each in found if "PUBLIC_URL" in each.advice] == ["push_failing"]


def test_a_mailbox_that_waits_after_a_failure_goes_on_waiting(pushed: Pushed):
    pushed.sweep()
    now = pushed.clock()
    due = now + timedelta(hours=1)
    pushed.services.schedule.put(
        MailboxHealth(pushed.mailbox.id, next_due_at=due, last_polled_at=now, consecutive_failures=2)
    )

    pushed.clock.advance(seconds=10)
    pushed.deliver()
    answers(pushed, 1)
    assert pushed.requests.of(pushed.mailbox) == ["push"]
    pushed.clock.advance(hours=2)
    pushed.deliver()
    answers(pushed, 2)

    assert pushed.requests.put_in[-1][0].failures == 2


def notify(pushed: Pushed, *items: object) -> int:
    return pushed.graph.post(HOOK, json={"value": items}).status_code


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"clientState": None},
        {"clientState": "push-x"},
        {"clientState": client_state(b"another key", "{id}")},
        {"clientState": client_state(KEY.encode(), "nobody")},
        "text",
        None,
        [],
    ],
)
def test_what_is_not_from_our_subscriptions_is_ignored(pushed: Pushed, item: object):
    if isinstance(item, dict) and isinstance(item.get("clientState"), str):
        item = {"clientState": item["clientState"].replace("{id}", pushed.mailbox.id)}

    assert notify(pushed, item) == 202

    assert pushed.requests.put_in == []


def test_one_key_before_the_current_one_still_counts(pushed: Pushed):
    state = client_state(KEY.encode(), pushed.mailbox.id)
    pushed.services.secrets.put("message-id-key", f"a new key, {KEY}")

    assert notify(pushed, {"clientState": state}, {"clientState": "of another"}) == 202

    assert pushed.requests.of(pushed.mailbox) == ["push"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[]", 400),
        (b'{"value": {}}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"value": []}', 202),
        (b" " * 1_000_001, 413),
    ],
)
def test_bodies_that_graph_does_not_send_are_refused(pushed: Pushed, body: bytes, status: int):
    assert pushed.graph.post(HOOK, data=body).status_code == status


def test_graph_tries_again_while_the_vault_is_silent(pushed: Pushed):
    del pushed.services.secrets.values["message-id-key"]

    assert notify(pushed, {"clientState": "x"}) == 503


def test_without_the_key_nothing_is_watched_and_the_sweep_goes_on(pushed: Pushed):
    del pushed.services.secrets.values["message-id-key"]

    pushed.sweep()

    assert (pushed.subscriptions(), pushed.stored()) == ([], None)


def test_the_handshake_gives_back_the_token_as_text_and_never_as_markup(pushed: Pushed):
    def shake(token: str) -> requests.Response:
        return pushed.graph.post(f"{HOOK}?validationToken={quote(token)}")

    answer = shake("Validation: é + 1")
    assert (answer.status_code, answer.text) == (200, "Validation: é + 1")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "<" not in shake("<script>alert(1)</script>").text
    assert shake("x" * 2001).status_code == 400


def test_a_poll_that_gives_way_to_another_worker_is_asked_for_again(pushed: Pushed):
    leased = MailboxState(lease_owner="another worker", lease_until=pushed.clock() + timedelta(minutes=5))
    pushed.services.tickets.commit(pushed.mailbox.id, Commit(leased, None))

    for reason in ("schedule", "push"):
        poll(pushed.services, PollRequest(pushed.mailbox.id, reason, "test"))

    [(again, delay)] = pushed.requests.put_in
    assert (again.reason, delay) == ("push", timedelta(seconds=10))


def test_push_is_refused_where_graph_cannot_reach_us(pushed: Pushed):
    settings = pushed.mailbox.model_dump(mode="json", exclude={"id", "created_at"}) | {
        "ticket_prefix": "PUSH",
        "name": "Another",
    }
    unreachable = replace(pushed.services, settings=replace(pushed.services.settings, public_url=""))
    pushed.configure(enabled=False)

    with pytest.raises(Invalid) as refused:
        create(unreachable, MAILBOXES, settings)

    assert [each.path for each in refused.value.problems] == ["$.source.push"]


def test_receipts_are_kept_where_messages_can_be_listed_again(pushed: Pushed):
    settings = pushed.mailbox.model_dump(mode="json", exclude={"id", "created_at"}) | {
        "ticket_prefix": "PUSH",
        "name": "Another",
    }
    settings |= {"retention": {"receipts_days": 400}, "settlement": {"action": "keep"}, "enabled": False}

    with pytest.raises(Invalid) as refused:
        create(pushed.services, MAILBOXES, settings)

    assert [each.path for each in refused.value.problems] == ["$.retention.receipts_days"]
