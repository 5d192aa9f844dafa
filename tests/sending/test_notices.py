"""Who is told what, and by whom (req M5, M6, R6)."""

from tests.intake.mail import mail


def test_the_requester_of_a_new_ticket_is_told_its_number(office):
    office.receive(mail("Printer", id_="<1@x>", body="Hello, can you please help me? My printer is on fire."))

    (sent,) = office.sent()
    assert (sent["To"].addresses[0].addr_spec, sent["Subject"]) == ("ann@example.org", "Re: [SUP-1] Printer")
    assert (sent["In-Reply-To"], sent["References"]) == ("<1@x>", "<1@x>")
    assert (sent["Auto-Submitted"], sent["Content-Language"]) == ("auto-replied", "en")
    assert office.outbox() == []
