"""Unwanted text is stripped where a mailbox asks for it, and nothing that people wrote goes with it (req K5)."""

# ruff: noqa: RUF001 - letters of other scripts look like that

import pytest

from shared.domain.patterns import MAX_READ, Effort
from shared.domain.preprocessing import STRIP_PRESETS, preprocess
from tests.domain.mail import refused, saved

LINK = "https://example.com/a?b=1&c=%C3%BC"
QUOTED_LINK = "https%3A%2F%2Fexample.com%2Fa%3Fb%3D1%26c%3D%25C3%25BC"


def own(pattern, replacement="", **more):
    return {"kind": "own", "name": "Own", "pattern": pattern, "replacement": replacement, **more}


def ready_made(*names):
    return [{"kind": "ready_made", "id": name} for name in names]


def stripped(rules, text):
    return preprocess(saved(preprocessing=rules).preprocessing, text, Effort())[0]


def test_nothing_is_stripped_unless_it_is_turned_on():
    assert saved().preprocessing == ()


def test_a_rule_of_ones_own_replaces_every_match():
    assert stripped([own(r"\s*#\w+")], "one #a two #b three") == "one two three"
    assert stripped([own("(?m)^case (?P<no>[a-z]+)$", "[{{ match.no | upper }}]")], "case a\ncase b") == "[A]\n[B]"


def test_rules_apply_in_their_order():
    assert stripped([own("a", "b"), own("b", "c")], "a") == "c"
    assert stripped([own("b", "c"), own("a", "b")], "a") == "b"


def test_a_rule_that_is_not_enabled_is_left_out():
    assert stripped([own("a", enabled=False)], "abc") == "abc"


def test_a_text_of_which_nothing_would_remain_is_kept():
    assert stripped([own("(?s).*")], "all of it") == "all of it"


def test_the_steps_tell_which_rules_found_something():
    rules = saved(preprocessing=[own("a"), own("x", name="Other")]).preprocessing

    assert [(step.name, step.matched, step.detail) for step in preprocess(rules, "banana", Effort())[1]] == [
        ("Own", True, "replaced 3"),
        ("Other", False, ""),
    ]


def test_a_rule_that_fails_leaves_the_text_to_the_next_one():
    broken = saved(preprocessing=[own("a")]).preprocessing[0].model_copy(update={"pattern": "("})

    text, steps = preprocess([broken, *saved(preprocessing=[own("a")]).preprocessing], "ab", Effort())

    assert (text, [step.matched for step in steps]) == ("b", [False, True])


BEFORE_AND_AFTER = {
    "external-sender": [
        (
            (
                "CAUTION: This email originated from outside of the organization. Do not click links or open "
                "attachments unless you recognize the sender and know the content is safe.\n\nHello,\nmy text"
            ),
            "Hello,\nmy text",
        ),
        ("[EXTERNAL EMAIL] DO NOT CLICK links\nof senders you do not know\n\nHello", "Hello"),
        ("ACHTUNG: Diese E-Mail stammt von außerhalb. Klicken Sie auf keine Links.\nHallo", "Hallo"),
        ("Attention : ce message provient de l'extérieur.\n\nBonjour", "Bonjour"),
        ("⚠️ Warning: this message was sent by someone outside the company.\n\nHi", "Hi"),
        ("Внимание! Это письмо отправлено внешним отправителем.\n\nПривет", "Привет"),
        ("*** EXTERNAL MESSAGE - be careful ***\nHi\nall", "Hi\nall"),
    ],
    "first-contact": [
        (
            (
                "You don't often get email from ann@example.com. Learn why this is important "
                "<https://aka.ms/LearnAboutSenderIdentification>\n\nHello"
            ),
            "Hello",
        ),
        ("Sie erhalten nicht oft eine E-Mail von ann@example.com. Erfahren Sie, warum.\nHallo", "Hallo"),
    ],
    "sent-from-device": [
        ("Hello\n\nSent from my iPhone", "Hello"),
        ("Hello\n\nGet Outlook for Android <https://aka.ms/AAb9ysg>", "Hello"),
        ("Hallo\n\nGesendet von Mail für Windows", "Hallo"),
        ("Hallo\n\nVon meinem iPhone gesendet", "Hallo"),
        ("Bonjour\n\nEnvoyé de mon iPhone", "Bonjour"),
        ("Hola\n\nEnviado desde mi iPad", "Hola"),
        ("Olá\n\nEnviado do meu iPhone", "Olá"),
        ("Ciao\n\nInviato da iPhone", "Ciao"),
        ("Hallo\n\nVerstuurd vanaf mijn iPhone", "Hallo"),
        ("Привет\n\nОтправлено с iPhone", "Привет"),
        ("こんにちは\n\niPhoneから送信", "こんにちは"),
        ("你好\n\n发自我的 iPhone", "你好"),
        ("Hello\n\nSent with Proton Mail secure email.", "Hello"),
    ],
    "legal-disclaimer": [
        (
            (
                "Hello\n\nThis e-mail and any attachments are confidential and intended solely for the addressee.\n"
                "If you are not the addressee, delete it.\n\nAnn"
            ),
            "Hello\n\n\nAnn",
        ),
        ("Hello\n\nCONFIDENTIALITY NOTICE: The contents are privileged.\nDelete it.", "Hello"),
        ("Hallo\n\nDiese E-Mail enthält vertrauliche Informationen.\nLöschen Sie sie.", "Hallo"),
        ("Bonjour\n\nCe message et toutes les pièces jointes sont confidentiels.", "Bonjour"),
        ("Hola\n\nEste mensaje y sus archivos contienen información confidencial.", "Hola"),
        ("Ciao\n\nQuesto messaggio e gli allegati sono riservati.", "Ciao"),
    ],
    "printing": [
        ("Hello\n\nPlease consider the environment before printing this e-mail.", "Hello"),
        ("Bonjour\nPensez à l'environnement avant d'imprimer ce message", "Bonjour"),
    ],
    "virus-scanner": [
        ("Hello\n\nVirus-free. www.avast.com <https://www.avast.com/>", "Hello"),
        ("Hello\n\n--\nThis email has been checked for viruses by AVG.\nwww.avg.com", "Hello\n\n--\nwww.avg.com"),
    ],
    "safe-links": [
        (
            f"See https://nam02.safelinks.protection.outlook.com/?url={QUOTED_LINK}&data=05%7C01%7C&sdata=x%3D&reserved=0.",
            f"See {LINK}",
        ),
        (
            f"<https://eur01.safelinks.protection.outlook.com/ap/w-59584e83/?url={QUOTED_LINK}&data=x> now",
            f"<{LINK}> now",
        ),
    ],
    "proofpoint-links": [
        (f"See <https://urldefense.com/v3/__{LINK}__;w7w!!N96JrnIq8A!abc$ > now", f"See <{LINK} > now"),
    ],
    "redirected-links": [
        (f"<https://www.google.com/url?sa=D&q={QUOTED_LINK}&ust=1> now", f"<{LINK}> now"),
        (f"<https://linkprotect.cudasvc.com/url?a={QUOTED_LINK}&c=E,1> now", f"<{LINK}> now"),
    ],
    "tracking-parameters": [
        ("https://example.com/?utm_source=a&id=7&utm_medium=b", "https://example.com/?id=7&"),
        ("https://example.com/?id=7&fbclid=IwAR0#top", "https://example.com/?id=7&#top"),
    ],
    "inline-image-names": [
        ("Look: [cid:image001.png@01D9.ABC] here [image: logo.png]", "Look:  here"),
    ],
    "forwarded-header": [
        (
            (
                "For you\n\n---------- Forwarded message ---------\nFrom: Ann <ann@example.com>\n"
                "Date: Mon, 1 Jun 2026\nSubject: Printer\nTo: <bob@example.org>\n\nIt is broken"
            ),
            "For you\n\nIt is broken",
        ),
        (
            (
                "-----Ursprüngliche Nachricht-----\nVon: Ann <ann@example.com>\nGesendet: Montag, 1. Juni 2026 10:00\n"
                "An: Bob\nBetreff: Drucker\n\nEr ist kaputt"
            ),
            "Er ist kaputt",
        ),
    ],
    "meeting-invitation": [
        (
            (
                "See you\n________________________________________________________________________________\n"
                "Microsoft Teams meeting\nJoin on your computer\nMeeting ID: 123\n"
                "________________________________________________________________________________\n"
            ),
            "See you",
        ),
    ],
    "list-footer": [
        (
            "Hello\n_______________________________________________\nUsers mailing list\nusers@lists.example.org\n",
            "Hello",
        ),
    ],
    "signature": [("Hello\n-- \nAnn Smith\nExample Ltd", "Hello")],
    "blank-lines": [("a\n\n \n\n\nb\n\nc", "a\n\nb\n\nc")],
}
WRITTEN_BY_PEOPLE = """Hello,

the parcel was sent from the warehouse yesterday, and an external disk came with it.
I got this external email: the call came from an external number. External messages are rare.
Ваше сообщение, как и данное сообщение, конфиденциально.
Is this information confidential? The disclaimer on page 2 says so.
The original message said: please print it. My link is https://example.com/?id=7&page=2#top
From: here
To: there
__________
Name:  ______
-- not a signature --
Best regards
Ann"""


@pytest.mark.parametrize("name", [each.id for each in STRIP_PRESETS])
def test_a_ready_made_rule_strips_what_it_says(name):
    for before, after in BEFORE_AND_AFTER[name]:
        assert stripped(ready_made(name), before) == after


def test_all_ready_made_rules_together_leave_alone_what_people_wrote():
    assert stripped(ready_made(*(each.id for each in STRIP_PRESETS)), WRITTEN_BY_PEOPLE) == WRITTEN_BY_PEOPLE


@pytest.mark.parametrize("preset", STRIP_PRESETS, ids=lambda preset: preset.id)
def test_what_is_ready_made_can_be_copied_as_ones_own(preset):
    copied = {"kind": "own", "name": preset.name, "pattern": preset.pattern, "replacement": preset.replacement}

    assert not refused(preprocessing=[copied])
    assert all(stripped([copied], before) == after for before, after in BEFORE_AND_AFTER[preset.id])


def test_what_is_ready_made_has_an_id_a_name_and_a_description():
    assert len({each.id for each in STRIP_PRESETS}) == len(STRIP_PRESETS)
    assert all(each.name and each.description for each in STRIP_PRESETS)


@pytest.mark.parametrize("bait", ["_" * MAX_READ, "From: a\n" * 4000, "https://" * 4000, "\n" * MAX_READ, "- " * 15000])
def test_no_text_makes_all_ready_made_rules_together_slow(bait):
    assert stripped(ready_made(*(each.id for each in STRIP_PRESETS)), f"a{bait}b")


@pytest.mark.parametrize(
    ("wrong", "place", "reason"),
    [
        (own("("), "pattern", "is no pattern"),
        (own("a", "{{ match.1 }}"), "replacement", "knows no `{{ match.1 }}`"),
        (own("a", "{{ subject }}"), "replacement", "knows no `{{ subject }}`"),
        (ready_made("spam")[0], "id", "must be one of external-sender"),
        ({**own("a"), "name": ""}, "name", "must have at least 1 character"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place_and_reason(wrong, place, reason):
    problems = refused(preprocessing=[wrong])

    assert problems.keys() == {f"$.preprocessing[0].{place}"}
    assert reason in problems[f"$.preprocessing[0].{place}"]
