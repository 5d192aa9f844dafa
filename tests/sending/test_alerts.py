"""People are told once when something breaks and once when it works again (req O7)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from local.smtp_server import run_smtp_server
from shared.adapters.storage.clients import StorageClients
from shared.adapters.storage.documents import TableDocuments
from shared.application.alerts import raise_alerts, untold
from shared.application.health import mailbox_reports, sender_reports
from shared.application.outbox import sweep
from shared.application.poll import poll
from shared.application.ports.platform import PollRequest
from shared.domain.errors import CredentialsRejected, SourceUnavailable
from shared.domain.installation import INSTALLATION_ID, Installation
from shared.domain.mailbox import Mailbox
from shared.domain.message import MessageRef
from shared.domain.outbox import EventType
from tests.intake.mail import mail

OPS = "ops@staff.example"


@pytest.fixture
def watched(office):
    """An installation whose alerts go to somebody."""
    clients = StorageClients(office.services.settings.storage, None)
    documents = TableDocuments(clients, "mailboxes", f"{office.mailbox.id}-installation", Installation)
    documents.add(
        Installation(
            id=INSTALLATION_ID, created_at=datetime(2026, 1, 1, tzinfo=UTC), name="Acme", alert_addresses=(OPS,)
        )
    )
    office.services = replace(office.services, installation=documents)
    office.mailbox = office.services.mailboxes.get(office.mailbox.id).value
    begin(office)
    return office


def begin(office) -> None:
    office.services.schedule.begin([each.value.id for each in office.services.mailboxes.all()], office.clock.now)


def work(office, minutes: int) -> None:
    """Polls every five minutes, and the sweep between them."""
    for _ in range(0, minutes, 5):
        for each in office.services.mailboxes.all():
            before = office.services.schedule.get(each.value.id)
            failures = before.consecutive_failures if before else 0
            poll(office.services, PollRequest(each.value.id, "schedule", "test", failures))
        office.clock.advance(minutes=5)
        look(office)


def look(office) -> None:
    sweep(office.services)
    raise_alerts(office.services)
    office.deliver()


def another(office, number: int) -> str:
    """One more mailbox of the same provider."""
    mailbox_id = f"{office.mailbox.id}-{number}"
    settings = office.mailbox.model_dump() | {
        "id": mailbox_id,
        "name": f"Other {number}",
        "address": f"o{number}@x.example",
    }
    office.services.mailboxes.add(Mailbox.model_validate(settings))
    return mailbox_id


def subjects(office) -> list[str]:
    assert {address for address, _ in office.told()} <= {OPS}
    return [subject for _, subject in office.told()]


def test_a_mailbox_that_breaks_for_hours_and_recovers_is_told_of_twice(watched):
    watched.provider.down = CredentialsRejected("The server refuses the password.", advice="Set it anew.")
    work(watched, 120)
    broken = subjects(watched)
    watched.provider.down = None
    work(watched, 60)

    assert broken == ["Acme: Support is broken"]
    assert subjects(watched)[1:] == ["Acme: Support works again"]
    text = watched.sent()[0].get_body(("plain",)).get_content()
    assert "Support is broken: The server refuses the password. Set it anew." in text


def test_what_heals_before_its_third_failure_is_told_to_nobody(watched):
    for _ in range(5):
        watched.provider.down = SourceUnavailable("no answer")
        work(watched, 10)
        watched.provider.down = None
        work(watched, 5)

    assert subjects(watched) == []


def test_a_mailbox_that_breaks_and_recovers_all_the_time_is_told_of_at_most_twice_an_hour(watched):
    for _ in range(6):
        watched.provider.down = SourceUnavailable("no answer")
        work(watched, 20)
        watched.provider.down = None
        work(watched, 10)

    assert 2 <= len(subjects(watched)) <= 6


def test_mailboxes_that_break_together_are_told_of_in_one_message(watched):
    for number in range(52):
        another(watched, number)
    begin(watched)
    watched.clock.advance(minutes=40)

    look(watched)

    assert subjects(watched) == ["Acme: 53 broken, 0 working again"]
    text = watched.sent()[0].get_body(("plain",)).get_content()
    assert (text.count("no poll has succeeded"), "And 3 more" in text) == (50, True)


def test_a_mailbox_that_no_poll_comes_to_is_told_of(watched):
    work(watched, 10)
    watched.clock.advance(minutes=40)

    look(watched)

    assert subjects(watched) == ["Acme: Support is broken"]


def test_saving_a_broken_mailbox_is_no_news_until_it_works(watched):
    watched.provider.down = CredentialsRejected("refused")
    work(watched, 20)
    begin(watched)
    work(watched, 30)

    assert subjects(watched) == ["Acme: Support is broken"]


def test_a_broken_mailbox_that_is_switched_off_is_not_said_to_work(watched):
    watched.provider.down = CredentialsRejected("refused")
    work(watched, 20)
    current = watched.services.mailboxes.get(watched.mailbox.id)
    watched.services.mailboxes.replace(current.value.model_copy(update={"enabled": False}), current.etag)
    work(watched, 10)

    assert subjects(watched) == ["Acme: Support is broken", "Acme: Support is switched off"]


def test_nothing_is_told_while_email_to_ticket_is_off(watched):
    current = watched.services.installation.get(INSTALLATION_ID)
    watched.services.installation.replace(current.value.model_copy(update={"email_to_ticket": False}), current.etag)
    work(watched, 60)

    assert subjects(watched) == []


def test_a_sender_that_breaks_is_told_of_by_one_that_works(watched):
    broken = watched.sender("other")
    failed = CredentialsRejected("the server refuses the password")
    watched.services.sender_states.change(broken.id, lambda state: (state.failed(failed, watched.clock.now), None))
    work(watched, 5)
    watched.services.sender_states.change(broken.id, lambda state: (state.works(), None))
    work(watched, 30)

    assert subjects(watched) == [f"Acme: Sender {broken.name} is broken", f"Acme: Sender {broken.name} works again"]


def test_an_alert_that_was_broken_off_is_told_once(watched):
    """Stored, and nobody noted that it was."""
    watched.clock.advance(minutes=40)
    raise_alerts(watched.services)
    watched.services.schedule.put(replace(watched.services.schedule.get(watched.mailbox.id)))
    row = {"PartitionKey": "schedule", "RowKey": watched.mailbox.id, "is_alerted": False, "alerted_at": ""}
    watched.services.schedule._table.client.upsert_entity(row)

    raise_alerts(watched.services)
    watched.deliver()

    assert subjects(watched) == ["Acme: Support is broken"]


def give_addresses(office, *addresses: str) -> None:
    current = office.services.installation.get(INSTALLATION_ID)
    office.services.installation.replace(current.value.model_copy(update={"alert_addresses": addresses}), current.etag)


def said_of_what_is_untold(office) -> list[str]:
    services = office.services
    return [each.text for each in untold(services, mailbox_reports(services), sender_reports(services))]


def test_what_nobody_can_be_told_is_owed_to_nobody_and_stays_to_be_told(silent_office):
    silent_office.clock.advance(minutes=40)

    raise_alerts(silent_office.services)

    assert silent_office.outbox() == []
    assert not silent_office.services.schedule.get(silent_office.mailbox.id)
    assert said_of_what_is_untold(silent_office) == ["nobody could be told of what is broken: Support"]


def test_what_was_untold_is_told_once_when_a_way_opens(watched):
    another(watched, 1)
    give_addresses(watched)
    watched.provider.down = CredentialsRejected("refused")
    work(watched, 120)
    before = (subjects(watched), said_of_what_is_untold(watched))
    give_addresses(watched, OPS)
    work(watched, 120)

    assert before == ([], ["nobody could be told of what is broken: Support, Other 1"])
    assert (subjects(watched), said_of_what_is_untold(watched)) == (["Acme: 2 broken, 0 working again"], [])


def test_what_was_over_before_a_way_opened_is_told_to_nobody(watched):
    give_addresses(watched)
    watched.provider.down = CredentialsRejected("refused")
    work(watched, 60)
    watched.provider.down = None
    work(watched, 10)
    give_addresses(watched, OPS)
    work(watched, 60)

    assert subjects(watched) == []


def test_while_the_only_sender_is_broken_alerts_wait_for_it(watched):
    (only,) = watched.services.senders.cached()
    failed = CredentialsRejected("the server refuses the password")
    watched.services.sender_states.change(only.id, lambda state: (state.failed(failed, watched.clock.now), None))
    watched.provider.down = CredentialsRejected("refused")
    work(watched, 60)
    before = (watched.outbox(), said_of_what_is_untold(watched))
    watched.services.sender_states.change(only.id, lambda state: (state.works(), None))
    work(watched, 60)

    assert before == ([], [f"nobody could be told of what is broken: Support, Sender {only.name}"])
    assert subjects(watched) == ["Acme: Support is broken"]


def test_an_alert_goes_through_any_sender_that_works(watched):
    (own,) = watched.services.senders.cached()
    with run_smtp_server("none") as server:
        primary = watched.sender("primary", made_primary_at=watched.clock.now)
        watched.sender("other", server)
        for each in (own, primary) * 8:
            watched.services.sender_states.change(
                each.id, lambda state: (state.failed(CredentialsRejected("refused"), watched.clock.now), None)
            )
        work(watched, 5)

        assert (len(watched.smtp.received), len(server.received)) == (0, 1)


def test_webhooks_are_told_what_is_wrong_and_with_what(watched):
    watched.provider.down = CredentialsRejected("refused", advice="Set it anew.")
    for failures in range(3):
        poll(watched.services, PollRequest(watched.mailbox.id, "schedule", "test", failures))
    raise_alerts(watched.services)

    (owed,) = watched.outbox()

    assert owed.payload["type"] == EventType.MAILBOX_FAILING
    assert (owed.payload["code"], owed.payload["error"], owed.payload["advice"]) == (
        "credentials_rejected",
        "refused",
        "Set it anew.",
    )


def test_an_empty_quarantine_is_looked_into_no_more(watched):
    watched.provider.deliver(mail(id_="<1@x>"))
    watched.provider.unfetchable.add(1)
    work(watched, 20)
    full = watched.services.schedule.get(watched.mailbox.id).quarantined_at
    (entry,) = watched.services.tickets.quarantine(watched.mailbox.id)
    watched.services.tickets._table.client.delete_entity(watched.mailbox.id, f"quarantine|{entry.id}")
    look(watched)

    assert (full is not None, entry.ref) == (True, MessageRef("INBOX", "1"))
    assert watched.services.schedule.get(watched.mailbox.id).quarantined_at is None
