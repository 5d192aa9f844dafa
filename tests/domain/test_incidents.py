"""Monitoring mail about one incident makes one ticket, and its recovery can close it (req K6)."""

import pytest

from shared.domain.incidents import MONITORING_PRESETS, Incident, incident
from tests.domain.mail import facts, refused, saved

DISK = {"kind": "own", "name": "Disks", "external_id": r"disk (\w+)", "problem": "full", "recovery": "free again"}


def ready_made(name, **more):
    return {"kind": "ready_made", "id": name, **more}


def reported(*rules, **message):
    return incident(saved(incidents=list(rules)).incidents, facts(**message))[0]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Disk C is full", Incident("C", "problem", closes=False)),
        ("Disk C is free again", Incident("C", "recovery", closes=True)),
        ("Disk C was looked at", Incident("C", None, closes=False)),
        ("Disk  is full", None),
        ("Lunch", None),
    ],
)
def test_a_message_tells_its_incident_and_its_state(subject, expected):
    assert reported(DISK, subject=subject) == expected


def test_a_ticket_is_not_closed_where_that_is_not_wanted():
    found = reported({**DISK, "close_on_recovery": False}, subject="Disk C is free again")

    assert found == Incident("C", "recovery", closes=False)


def test_the_id_and_the_state_can_be_looked_for_in_different_fields():
    rule = {**DISK, "field": "header:x-disk", "external_id": ".+", "state_field": "body"}

    found = reported(rule, headers=(("x-disk", " /dev/sda1 "),), text="It is full.")

    assert found == Incident("/dev/sda1", "problem", closes=False)


def test_only_messages_that_meet_the_conditions_are_looked_at():
    rule = {**DISK, "conditions": [{"field": "from", "operator": "equals", "value": "monitor@example.com"}]}

    assert reported(rule, subject="Disk C is full") is None


def test_the_first_rule_that_finds_an_incident_counts():
    other = {**DISK, "name": "Others", "external_id": "full"}

    assert reported({**DISK, "enabled": False}, other, DISK, subject="Disk C is full").external_id == "full"


def test_a_rule_that_fails_is_noted_and_the_next_one_is_tried():
    broken = saved(incidents=[DISK]).incidents[0].model_copy(update={"external_id": "("})

    found, steps = incident([broken, *saved(incidents=[DISK]).incidents], facts(subject="Disk C is full"))

    assert found == Incident("C", "problem", closes=False)
    assert [step.matched for step in steps] == [False, True]


MAILS = {
    "zabbix": [
        ("Problem: High CPU utilization", "Host: db1\nSeverity: Warning\nOriginal problem ID: 4711", "problem"),
        ("Resolved in 5m 0s: High CPU utilization", "Original problem ID: 4711\n", "recovery"),
        (
            "Updated problem in 2m: High CPU utilization",
            "Current problem status is PROBLEM\nProblem ID: 4711",
            "problem",
        ),
    ],
    "nagios": [
        ("** PROBLEM Service Alert: db1/Disk C is CRITICAL **", "", "problem"),
        ("** ACKNOWLEDGEMENT Service Alert: db1/Disk C is CRITICAL **", "", None),
        ("** RECOVERY Service Alert: db1/Disk C is OK **", "", "recovery"),
    ],
    "icinga2": [
        ("[PROBLEM] disk C on db1 is CRITICAL!", "", "problem"),
        ("[RECOVERY] disk C on db1 is OK!", "", "recovery"),
        ("[ACKNOWLEDGEMENT] disk C on db1 is WARNING!", "", None),
    ],
    "prtg": [
        ("[PRTG Network Monitor (SRV1)] db1 Ping (Ping) Down (Request timed out (ICMP error # 11010))", "", "problem"),
        ("[PRTG Network Monitor (SRV1)] db1 Ping (Ping) Down ended (now: Up) (12 msec)", "", "recovery"),
        ("[PRTG Network Monitor (SRV1)] db1 Ping (Ping) Up (12 msec)", "", "recovery"),
    ],
    "alertmanager": [
        ("[FIRING:2] HighLoad db (prod critical)", "", "problem"),
        ("[FIRING:1, RESOLVED:1] HighLoad db (prod)", "", "problem"),
        ("[RESOLVED] HighLoad db (prod)", "", "recovery"),
    ],
    "azure-monitor": [
        (
            "Fired:Sev3 Azure Monitor Alert CPU on vm-1 ( microsoft.compute/virtualmachines ) at 3/27/2026 3:19:40 AM",
            "",
            "problem",
        ),
        (
            "Resolved:Sev3 Azure Monitor Alert CPU on vm-1 ( microsoft.compute/virtualmachines ) at 3/28/2026 4:58 AM",
            "",
            "recovery",
        ),
    ],
}


@pytest.mark.parametrize("name", [each.id for each in MONITORING_PRESETS])
def test_the_mails_of_a_known_system_about_one_incident_have_one_id_and_tell_their_state(name):
    found = [reported(ready_made(name), subject=subject, text=text) for subject, text, _ in MAILS[name]]

    assert len({each.external_id for each in found}) == 1
    assert [each.state for each in found] == [state for _, _, state in MAILS[name]]


@pytest.mark.parametrize("name", [each.id for each in MONITORING_PRESETS])
@pytest.mark.parametrize("subject", ["Problem with my printer is URGENT", "Re: the server is down", "[Support] is OK"])
def test_what_people_write_is_no_incident(name, subject):
    assert reported(ready_made(name), subject=subject) is None


@pytest.mark.parametrize("preset", MONITORING_PRESETS, ids=lambda preset: preset.id)
def test_what_is_ready_made_can_be_copied_as_ones_own(preset):
    copied = {"kind": "own", **preset.model_dump(exclude={"id"})}

    assert not refused(incidents=[copied])


@pytest.mark.parametrize(
    ("wrong", "place", "reason"),
    [
        (ready_made("zabix"), "id", "must be one of zabbix, nagios"),
        ({**DISK, "external_id": "("}, "external_id", "is no pattern"),
        ({**DISK, "recovery": "["}, "recovery", "is no pattern"),
        ({**DISK, "state_field": "nose"}, "state_field", "must be one of subject"),
        ({**DISK, "kind": "other"}, "kind", "must be one of 'ready_made', 'own'"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_reason(wrong, place, reason):
    problems = refused(incidents=[wrong])

    assert problems.keys() == {f"$.incidents[0].{place}"}
    assert reason in problems[f"$.incidents[0].{place}"]
