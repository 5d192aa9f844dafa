"""Messages as the tests of intake need them."""


def mail(
    subject: str = "Printer", *, id_: str | None = None, sender: str = "ann@example.org", body: str = "", **headers
):
    fields = {
        "From": f"Ann <{sender}>",
        "To": "support@example.com",
        "Subject": subject,
        "Date": "Sat, 21 Nov 2026 09:00:00 +0000",
        **({"Message-ID": id_} if id_ else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", body or f"Text of {subject}", ""]).encode()


def bounce(address: str, message_id: str) -> bytes:
    lines = [
        "From: MAILER-DAEMON@mx.example.com",
        "To: support@example.com",
        "Subject: Undelivered Mail Returned to Sender",
        "Message-ID: <bounce@mx.example.com>",
        "Date: Sat, 21 Nov 2026 10:00:00 +0000",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "MIME-Version: 1.0",
        "",
        "--b",
        "",
        "Sorry.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.example.com",
        "",
        f"Final-Recipient: rfc822; {address}",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 No such user",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        f"Message-ID: {message_id}",
        "Subject: Re: [SUP-1] Printer",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()
