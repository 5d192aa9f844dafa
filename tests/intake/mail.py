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
