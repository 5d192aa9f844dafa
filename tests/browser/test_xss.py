"""Mail that wants to run scripts or to load something, in a real browser, as it is and as `safe_html` leaves it.

Whatever runs or loads asks a server on this machine for an address that names the payload, so the server knows.
The same page, with the same clicks, shows the payloads as they are: what does not fire there proves nothing.
"""

import base64
import json
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
from playwright.sync_api import Page

from shared import mime

FIGURES = Path(".local/figures/xss.json")
LINES = (Path(__file__).parent / "payloads.txt").read_text("utf-8").splitlines()
PAYLOADS = [line for line in LINES if line and not line.startswith("#")]
PIXEL = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA=")
ENTITIES = {"hex": "&#x{:X};", "dec": "&#{:07d}"}
WATCH = """
<!doctype html><title>Mail</title>
<script>
const everything = 'a,area,button,input,summary,img,svg *,math *';
function touch(document) {
  for (const element of document.querySelectorAll('*')) {
    for (const name of element.getAttributeNames().filter(name => name.startsWith('on')))
      element.dispatchEvent(new Event(name.slice(2), {bubbles: true}));
    if (element.localName === 'form') element.noValidate = true;
  }
  for (const element of document.querySelectorAll(everything))
    element.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
}
function parse_again(document) { document.body.innerHTML = document.body.innerHTML; }
</script>
"""
SANDBOX = "allow-scripts allow-same-origin allow-forms"


class Sink(ThreadingHTTPServer):
    """Serves pages of this test, and remembers each path that payloads ask for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, str] = {}
        self.ran: set[int] = set()
        self.fetched: set[int] = set()


class Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_GET(self) -> None:
        _, what, number, *_ = [*self.path.split("?")[0].split("/"), "", ""]
        digits = number[: next((at for at, letter in enumerate(number) if not letter.isdecimal()), len(number))]
        if what in ("ran", "fetched", "script") and digits:
            (self.server.ran if what == "ran" else self.server.fetched).add(int(digits))
        body, kind = self._answer(what, digits)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the standard library calls

    def _answer(self, what: str, number: str) -> tuple[bytes, str]:
        if self.path in self.server.pages:
            return self.server.pages[self.path].encode(), "text/html; charset=utf-8"
        if what == "script":
            return f"fetch('{self.server.base}/ran/{number}')".encode(), "text/javascript"
        return (PIXEL, "image/gif") if what in ("fetched", "image") else (b"", "text/plain")

    def log_message(self, *_: object) -> None:
        """Say nothing: thousands of requests are of no interest to whoever reads the tests."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def payload(line: str, number: int, base: str) -> str:
    run = f"fetch(`{base}/ran/{number}`)"
    script = f"<script>{run}</script>"
    values = {
        **{name: "".join(form.format(ord(letter)) for letter in "javascript:") for name, form in ENTITIES.items()},
        "run": run,
        "url": f"{base}/fetched/{number}",
        "base": base,
        "host": base.removeprefix("http://"),
        "n": str(number),
        "nl": "\n",
        "tab": "\t",
        "data64": base64.b64encode(script.encode()).decode(),
    }
    for name, value in values.items():
        line = line.replace(f"{{{name}}}", value)
    return line.removeprefix("~")


def cleaned(html: str) -> str:
    mail = EmailMessage()
    mail["Content-Type"] = "multipart/related"
    for content, kind, name in ((html, "text/html; charset=utf-8", "body"), ("GIF", "image/gif", "logo")):
        part = EmailMessage()
        part["Content-Type"], part["Content-ID"] = kind, f"<{name}>"
        part.set_payload(content, "utf-8")
        mail.attach(part)
    safe = mime.safe_html(mail.as_bytes(), image_url=lambda image, _: f"/image/{image.index}")
    assert safe is not None
    return safe


def show(page: Page, sink: Sink, name: str, bodies: list[str]) -> None:
    """Show each body in a frame of its own, touch all that is in it, and let the browser parse its own HTML again."""
    for number, body in enumerate(bodies):
        sink.pages[f"/{name}/{number}"] = f"<!doctype html><meta charset=utf-8><title>x</title><body>{body}"
    frames = (f'<iframe sandbox="{SANDBOX}" src="/{name}/{number}"></iframe>' for number in range(len(bodies)))
    sink.pages[f"/{name}"] = WATCH + "".join(frames)
    page.goto(f"{sink.base}/{name}", wait_until="load")
    in_frames = "for (const frame of document.querySelectorAll('iframe')) try { %s(frame.contentDocument) } catch {}"
    for action in ("touch", "parse_again", "touch"):
        page.evaluate(f"() => {{ {in_frames % action} }}")
        settle(page)


def settle(page: Page) -> None:
    """Wait until what fires last has fired: an image that does not load, whose handler fetches something."""
    page.evaluate(
        """() => new Promise(done => {
            const canary = document.body.appendChild(new Image());
            canary.onerror = () => fetch('/canary').then(() => requestAnimationFrame(() => setTimeout(done)));
            canary.src = '/script/canary';
        })"""
    )


def until(page: Page, is_so: Callable[[], bool], seconds: float = 15) -> None:
    deadline = monotonic() + seconds
    while not is_so() and monotonic() < deadline:
        page.wait_for_timeout(50)


def test_nothing_in_a_mail_runs_and_nothing_is_fetched(page, sink):
    bodies = [cleaned(payload(line, number, sink.base)) for number, line in enumerate(PAYLOADS)]

    show(page, sink, "clean", ["".join(bodies[first : first + 10]) for first in range(0, len(bodies), 10)])
    together = "".join(f"<div class=mail>{body}</div>" for body in bodies)
    sink.pages["/together"] = WATCH + together
    page.goto(f"{sink.base}/together")
    page.evaluate("html => { document.body.innerHTML = html; touch(document); parse_again(document) }", together)
    settle(page)

    figures = {"payloads": len(PAYLOADS), "executed": len(sink.ran), "requests": len(sink.fetched)}
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures))
    assert [PAYLOADS[number] for number in sorted(sink.ran | sink.fetched)] == []
    assert len(PAYLOADS) >= 100


@pytest.mark.exhaustive
def test_the_same_payloads_run_and_fetch_where_nobody_cleans_them(page, sink):
    show(page, sink, "raw", [payload(line, number, sink.base) for number, line in enumerate(PAYLOADS)])

    def silent() -> list[str]:
        fired = sink.ran | sink.fetched
        return [line for number, line in enumerate(PAYLOADS) if number not in fired and not line.startswith("~")]

    until(page, lambda: not silent())
    assert silent() == []


OVERLAYS = [
    "position:fixed;top:0;left:0;width:9999px;height:9999px",
    "position:absolute;top:0;left:0;width:9999px;height:9999px;z-index:9",
    "position:relative;top:-300px;height:600px",
    "position:sticky;top:0;margin-top:-300px;height:600px",
    "margin-top:-300px;height:600px",
    "margin:-300px 0 0 -50px;height:600px",
    "margin: calc(0px - 300px) 0 0;height:600px",
    "margin-top:-20em;height:600px;background-color:red",
    "/**/margin-top:-300px;height:600px",
    "/*;*/margin-top:-300px;height:600px",
    "transform:translateY(-300px);height:600px",
    "translate:0 -300px;height:600px",
    "inset:0;position:fixed",
    "po\\sition:fixed;top:0;left:0;width:9999px;height:9999px",
    "position/**/:fixed;top:0;left:0;width:9999px;height:9999px",
]


@pytest.mark.parametrize("style", OVERLAYS)
def test_nothing_in_a_mail_covers_what_is_not_of_it(page, style):
    covers = """html => {
        document.body.innerHTML = '<button>Delete</button><section>' + html + '</section>';
        const ours = document.querySelector('button').getBoundingClientRect();
        return [...document.querySelectorAll('section *')].map(element => element.getBoundingClientRect()).some(
            box => box.top < ours.bottom && box.bottom > ours.top && box.left < ours.right && box.right > ours.left);
    }"""
    html = f'<div style="{style}">x</div>'
    page.goto("about:blank")

    assert page.evaluate(covers, html)
    assert not page.evaluate(covers, cleaned(html))
