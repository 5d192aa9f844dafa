"""Mail for the benchmarks: made up, the same each time, in the mix that help desks see."""

import base64
import random
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

_WORDS = """
    printer invoice access password meeting please since yesterday cannot open attached error screen thanks regards
    customer order delivery office laptop network slow again today urgent update version licence
""".split()  # noqa: SIM905 - reads better than thirty quoted words


def messages(count: int, *, large: bool = False, replies: bool = False) -> Iterator[bytes]:
    """`count` messages: half plain text, half with HTML too, a fifth with an attachment of some 20 KB.

    `large` adds 200 KB of noise to each. With `replies` every second one answers the one before.
    """
    chance = random.Random(20261121)  # noqa: S311 - the same mail each time
    for number in range(count):
        message = _message(chance, number)
        if replies and number % 2:
            message["In-Reply-To"] = message["References"] = f"<{number - 1}@bench.example>"
        if large:
            _attach(message, chance, 200_000)
        elif number % 5 == 0:
            _attach(message, chance, 20_000)
        yield message.as_bytes(policy=SMTP)


def _message(chance: random.Random, number: int) -> EmailMessage:
    person = f"person{chance.randrange(300)}"
    message = EmailMessage(policy=SMTP)
    message["Received"] = f"from mx.example.org by mail.example.com; Sat, 21 Nov 2026 09:{number % 60:02}:00 +0000"
    message["From"] = f"{person.title()} Müller <{person}@example.org>"
    message["To"] = "Support <support@example.com>"
    message["Subject"] = f"{_text(chance, 5)} für Büro {number}"
    message["Date"] = f"Sat, 21 Nov 2026 09:{number % 60:02}:{number // 60 % 60:02} +0000"
    message["Message-ID"] = f"<{number}@bench.example>"
    paragraphs = [_text(chance, chance.randrange(20, 90)) for _ in range(chance.randrange(2, 8))]
    message.set_content("\n\n".join(paragraphs) + "\n\n-- \nGrüße\n")
    if number % 2:
        html = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        message.add_alternative(f"<html><body>{html}</body></html>", subtype="html")
    return message


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _attach(message: EmailMessage, chance: random.Random, size: int) -> None:
    noise = base64.b85encode(chance.randbytes(size))
    message.add_attachment(noise, maintype="application", subtype="octet-stream", filename="log.bin")
