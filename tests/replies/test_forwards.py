"""Who wrote what a technician passes on."""

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from shared.domain.message import Address
from shared.mime import original_sender
from tests.replies.cases import HERE, Case

CARLA = "carla@customer.example"
HEADER = (
    f"From: Carla Kunde <{CARLA}>\nSent: Monday, January 5, 2026 10:12 AM\nTo: Tom\nSubject: Printer\n\nIt is broken.\n"
)
FORMS = [line.split(" | ", 2) for line in (HERE / "forwards.txt").read_text("utf-8").splitlines()[1:]]


def sender(text=None, html=None, subject="Fwd: Printer"):
    return original_sender(Case("", text, html, None).message(subject))


def attached(*messages, subject="Printer", text="See attached."):
    outer = EmailMessage(policy=SMTP)
    outer["From"], outer["Subject"] = "tom@desk.example", subject
    outer.set_content(text)
    for author in messages:
        inner = EmailMessage(policy=SMTP)
        inner["From"], inner["Subject"] = author, "Printer"
        inner.set_content("It is broken.")
        outer.add_attachment(inner)
    return outer.as_bytes()


@pytest.mark.parametrize(("subject", "above"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_the_author_of_a_forwarded_message_is_found(subject, above):
    text = "Please take this over.\n\nTom\n\n" + above.replace("⏎", "\n") + "\n\nIt is broken.\n"
    lines = text.replace("<", "&lt;").replace(">", "&gt;").split("\n")
    html = "".join(f"<div>{line or '<br>'}</div>" for line in lines)

    assert sender(text, subject=subject).address == CARLA
    assert sender(html=html, subject=subject).address == CARLA


def test_the_name_of_the_author_comes_along():
    assert sender(HEADER) == Address(CARLA, "Carla Kunde")
    assert sender('On 5.1.2026 10:12, "Carla Kunde" <carla@customer.example> wrote:\n') == Address(CARLA, "Carla Kunde")


def test_names_may_be_in_any_script():
    assert sender(HEADER.replace("Carla Kunde", "Карла Кунде")) == Address(CARLA, "Карла Кунде")


def test_the_address_may_be_in_the_link_only():
    html = (
        f'<p>See below.</p><div id="divRplyFwdMsg"><b>From:</b> <a href="mailto:{CARLA}">Carla Kunde</a><br>'
        "<b>Sent:</b> Monday<br><b>To:</b> Tom<br><b>Subject:</b> Printer</div><p>It is broken.</p>"
    )

    assert sender(html=html) == Address(CARLA, "Carla Kunde")


def test_of_a_message_forwarded_twice_it_is_the_one_who_wrote_to_the_technician():
    inner = HEADER.replace(CARLA, "somebody@else.example")

    assert sender(HEADER + inner).address == CARLA


def test_an_attached_message_is_a_forwarded_one():
    assert original_sender(attached(f"Carla Kunde <{CARLA}>")) == Address(CARLA, "Carla Kunde")


def test_the_text_goes_before_what_is_attached():
    message = attached("somebody@else.example", subject="FW: Printer", text=HEADER)

    assert original_sender(message).address == CARLA


@pytest.mark.parametrize("authors", [(), (CARLA, "somebody@else.example")])
def test_none_or_several_attached_messages_have_no_author(authors):
    assert original_sender(attached(*authors)) is None


def test_a_returned_message_is_none_that_somebody_forwards():
    report = attached(CARLA).replace(b"multipart/mixed", b"multipart/report")

    assert original_sender(report) is None


@pytest.mark.parametrize("subject", ["Re: Printer", "Printer", "AW: WG: Drucker"])
def test_a_quoted_message_is_no_forwarded_one(subject):
    assert sender(HEADER, subject=subject) is None


def test_an_answer_to_a_forwarded_message_forwards_nothing():
    quoted = "On Mon, 5 Jan 2026 at 10:12, Tom <tom@desk.example> wrote:\n> Begin forwarded message:\n>\n> "
    text = f"Done.\n\n{quoted}{HEADER}"

    assert sender(text, subject="Re: Fwd: Printer") is None


@pytest.mark.parametrize(
    "text", ["", "FYI", "FYI\n\nFrom: Carla\nSent: today\nTo: Tom\nSubject: x\n", "a: b@c.example"]
)
def test_without_an_address_there_is_no_author(text):
    assert sender(text) is None
