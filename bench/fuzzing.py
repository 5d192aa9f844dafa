"""`make fuzz`: damaged and hostile mail by the thousand; no case may crash, take 2 s of CPU or give anything unsafe."""

import json
import resource
import signal
import sys
import time
from base64 import encodebytes
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.promises import assert_promises

FIGURES = Path(".local/figures/fuzz.json")
CORPUS = Path("tests/corpus")
CPU_LIMIT = 2.0
_CASES = 22_000
_GENERATED = 3_000
_PROCESSES = 2

FRAGMENTS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b"\xff", b"\x1b$B", b"\xed\xa0\x80", b"\xe2\x80\xa8",
    b"--b\r\n", b"--b--\r\n", b"From: ", b"To: ", b"Subject: ", b"Message-ID: ", b"References: ", b"Date: ",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Type: multipart/alternative; boundary=b\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: text/plain; charset=",
    b"Content-Type: application/ms-tnef\r\n\r\n\x78\x9f\x3e\x22\1\0", b"begin 644 a\r\n#86)C\r\n`\r\nend\r\n",
    b"Content-Type: multipart/report; boundary=b\r\n\r\n", b"Content-Type: message/delivery-status\r\n\r\n",
    b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n", b"Auto-Submitted: auto-replied\r\n",
    b"utf-7\r\n\r\n", b"utf-16\r\n\r\n", b"iso-2022-jp\r\n\r\n", b"hz\r\n\r\n", b"gb2312\r\n\r\n", b"idna\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"\xc2\x85",
    b"Content-ID: <a>\r\n", b"On Mon, 9 Mar 2026, a@b wrote:\r\n> ", b"From: a\r\nSent: b\r\nTo: c\r\nSubject: d\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=\"x", b"=?utf-8?B?", b"=?utf-7?Q?+2AA-?=",
    b"?=", b'filename="../../etc/passwd"', b"<script>alert(1)</script>", b"<img src=x onerror=alert(1)>",
    b"<a href='javascript:alert(1)'>", b"<svg><style>", b"<math><mtext>", b"<p style='background:url(http://x)'>",
    b"<", b">", b"(", b")", b'"', b",", b";", b":", b"@", b"=", b"\\", b"%", b"&#xD800;", b"&#0;", b"+2AA-", b"YQ==",
    b"Mon, 9 Mar 2026 12:00:00 +0000", b"<a@b>", b"<p>", b"</p>", b"<table><tr>", b"<td>", b"<blockquote>", b"<li>",
    b"<a href='http://x'>", b"<img src=cid:a>", b"<!--", b"-->", b"<style>", b"<div style='display:none'>", b"</div>",
    b"<div class=gmail_quote>", b"<blockquote type=cite>", b"{\\rtf1\\u-1?", b"\r\n-- \r\n", b"\r\n> ",
]  # fmt: skip
_CHARSETS = [b"utf-8", b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"gb2312", b"ks_c_5601-1987", b"x-unknown", b"idna"]

mail_like = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=60).map(b"".join)


def flip(content: bytes, chance: Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randrange(1, 30) if damaged else 0):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(content: bytes, chance: Random) -> bytes:
    start, end = _range(content, chance)
    return chance.choice([content[:end], content[start:], content[:start] + content[end:]])


def repeat(content: bytes, chance: Random) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + content[start:end][:2_000] * chance.randrange(2, 60) + content[end:]


def insert(content: bytes, chance: Random) -> bytes:
    start, _ = _range(content, chance)
    return content[:start] + chance.choice(FRAGMENTS) * chance.choice([1, 1, 1, 3, 200]) + content[start:]


def nest(content: bytes, chance: Random) -> bytes:
    for level in range(chance.choice([1, 3, 90, 150])):
        kind = chance.choice([b"mixed", b"alternative", b"related", b"signed", b"digest", b"report"])
        content = b"Content-Type: multipart/%b; boundary=n%d\r\n\r\n--n%d\r\n%b" % (kind, level, level, content)
    return content


def flood(content: bytes, chance: Random) -> bytes:
    field = chance.choice(
        [b"X-A: b\r\n", b"To: a@b, (c) <d@e>\r\n", b"References: <a@b>\r\n", b"Received: x\r\n y\r\n"]
    )
    long = chance.choice([b"To: ", b"Subject: ", b"References: ", b"Content-Type: text/plain"])
    piece = chance.choice(
        [b"(", b'"', b"<", b"=?utf-8?q?", b"=?utf-8?b?YQ==?= ", b"a@b, ", b"; a*0*=x", b"\r\n ", b"@"]
    )
    return chance.choice([field * 3_000, long + piece * 8_000 + b"\r\n"]) + content


def encode(content: bytes, chance: Random) -> bytes:
    kind = chance.choice([b"base64", b"quoted-printable", b"x-uuencode", b"binary"])
    type_ = chance.choice([b"text/plain", b"text/html", b"multipart/mixed; boundary=b", b"application/ms-tnef"])
    body = encodebytes(content[:100_000]) if chance.random() < 0.7 else content
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (type_, kind, body)


def mislabel(content: bytes, chance: Random) -> bytes:
    for charset in (b"utf-8", b"UTF-8", b"us-ascii", b"iso-8859-1", b"windows-1252"):
        content = content.replace(charset, chance.choice(_CHARSETS))
    return content


_MUTATIONS: list[Callable[[bytes, Random], bytes]] = [flip, cut, repeat, insert, insert, nest, flood, encode, mislabel]


def _range(content: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice([10, 100, 1_000]))


def case(corpus: list[bytes], seed: int) -> bytes:
    """One mutant; the same for the same seed and corpus."""
    chance = Random(seed)  # noqa: S311 - cases are repeatable, not secret
    content = chance.choice(corpus)
    if chance.random() < 0.2:
        other = chance.choice(corpus)
        content = content[: chance.randrange(len(content) + 1)] + other[chance.randrange(len(other) + 1) :]
    for _ in range(chance.randrange(1, 4)):
        content = chance.choice(_MUTATIONS)(content, chance)[:2_000_000]
    return content


class TimedOut(BaseException):
    """No `Exception`, so that nothing in between takes it for an error."""


def _time_out(_number: int, _frame: FrameType | None) -> None:
    raise TimedOut


def outcome(content: bytes) -> str:
    """What became of a case: `fine`, `crashes`, `timeouts` or `unsafe`."""
    signal.signal(signal.SIGVTALRM, _time_out)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT)
    started = time.process_time()
    try:
        assert_promises(content)
    except TimedOut:
        return "timeouts"
    except (AssertionError, UnicodeEncodeError):
        return "unsafe"
    except Exception:  # noqa: BLE001 - a crash of any kind is what is looked for
        return "crashes"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "timeouts" if time.process_time() - started > CPU_LIMIT else "fine"


def run(cases: Iterator[bytes] | list[bytes], failed: Path | None = None) -> Counter[str]:
    counts = Counter[str]()
    for content in cases:
        result = outcome(content)
        counts[result] += 1
        if failed and result != "fine":
            failed.mkdir(parents=True, exist_ok=True)
            (failed / f"{result}-{counts[result]}-{hash(content) & 0xFFFFFF:x}.eml").write_bytes(content)
    return counts


def _worker(first: int) -> tuple[Counter[str], float]:
    """A share of the mutants and, in the first one, what hypothesis comes up with."""
    corpus = [path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))]
    run(corpus)
    idle = _memory_mb()
    failed = FIGURES.parent.parent / "fuzz"
    counts = run((case(corpus, seed) for seed in range(first, _CASES, _PROCESSES)), failed)
    if first == 0:

        @settings(max_examples=_GENERATED, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(st.binary(max_size=300), mail_like))
        def generated(content: bytes) -> None:
            counts.update(run([content], failed))

        generated()
    return counts, _memory_mb() - idle


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    with get_context("spawn").Pool(_PROCESSES) as pool:
        shares = pool.map(_worker, range(_PROCESSES))
    counts = sum((share for share, _ in shares), Counter[str]())
    figures: dict[str, float] = {"cases": counts.total()}
    figures |= {name: counts[name] for name in ("crashes", "timeouts", "unsafe")}
    figures["peak_memory_mb"] = round(max(memory for _, memory in shares), 1)
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))
    sys.exit(any(counts[name] for name in ("crashes", "timeouts", "unsafe")))


if __name__ == "__main__":
    main()
