"""The commands on mailboxes, tickets and quarantine."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.cli.client import Api, Failed, Misused
from shared.cli.terminal import Progress, confirmed, printable, table

_PAGE = 200


def mailboxes(api: Api, given: Namespace) -> int:
    found = api.get("mailboxes")["mailboxes"]
    rows = [{**each["health"], **each, "health": each["health"]["level"]} for each in found]
    _answer(given, found, ("id", "ticket_prefix", "name", "address", "enabled", "health", "last_polled_at"), rows)
    return 0


def test(api: Api, given: Namespace) -> int:
    tested = api.post(f"mailboxes/{api.mailbox(given.mailbox)}/test-connection")
    marks = {(True, False): "ok", (True, True): "warning", (False, False): "FAILED", (False, True): "FAILED"}
    rows = [{**each, "": marks[each["ok"], each["warning"]]} for each in tested["stages"]]
    _answer(given, tested, ("", "name", "milliseconds", "detail"), rows)
    for each in tested["stages"]:
        if each["advice"] and not given.json:
            print(printable(f"{each['name']}: {each['advice']}"))
    return 0 if tested["ok"] else 1


def poll(api: Api, given: Namespace) -> int:
    accepted = api.post(f"mailboxes/{api.mailbox(given.mailbox)}/poll")
    if given.json:
        _json(accepted)
    else:
        print(f"queued; the log has it as {accepted['correlation_id']}")
    return 0


def explain(api: Api, given: Namespace) -> int:
    content = sys.stdin.buffer.read() if given.file == "-" else Path(given.file).read_bytes()
    kind = "application/mbox" if content.startswith(b"From ") else "message/rfc822"
    path = f"mailboxes/{api.mailbox(given.mailbox)}/explain"
    found = api.post(path, data=content, headers={"Content-Type": kind})["messages"]
    if given.json:
        _json(found)
        return 0
    for each in found:
        print(printable(f"{each['subject']}: {each['outcome']} {each['ticket'] or ''} {each['reason']}".rstrip()))
        for step in each["steps"]:
            print(printable("    " + ", ".join(f"{name}: {value}" for name, value in step.items() if value)))
    return 0


def tickets(api: Api, given: Namespace) -> int:
    query = {"mailbox": api.mailbox(given.mailbox)} if given.mailbox else {}
    found = [*_tickets(api, given.limit, {**query, "status": given.status})]
    rows = [{**each, "requester": each["requester"]["address"]} for each in found]
    _answer(given, found, ("tag", "status", "updated_at", "assignee", "requester", "subject"), rows)
    return 0


def _tickets(api: Api, limit: int, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    while limit > 0:
        page = api.get("tickets", **query, limit=min(limit, _PAGE))
        yield from page["tickets"][:limit]
        limit -= len(page["tickets"])
        if not page["continuation"]:
            return
        query = {**query, "continuation": page["continuation"]}


def erase(api: Api, given: Namespace) -> int:
    """Counted first; then it goes on a minute at a time."""
    asked = {"address": given.address}
    _answer(given, *_counted(api.post("erasures", json=asked)))
    if not (given.yes or confirmed("Erase?")):
        raise Misused("nothing was erased: use --yes where nobody is there to confirm")
    while not (erased := api.post("erasures", json={**asked, "plan": False}))["finished_at"]:
        pass
    _answer(given, *_counted(erased))
    return 0


def _counted(erasure: dict[str, Any]) -> tuple[Any, tuple[str, ...], list[dict[str, Any]]]:
    return erasure, ("what", "count"), [{"what": what, "count": count} for what, count in erasure["counts"].items()]


def quarantine(api: Api, given: Namespace) -> int:
    found = api.get(f"mailboxes/{api.mailbox(given.mailbox)}/quarantine")["entries"]
    _answer(given, found, ("id", "at", "attempts", "size", "error_code", "error"), found)
    return 0


def retry(api: Api, given: Namespace) -> int:
    """All of them in rounds: each has as much time as a request may take."""
    path = f"mailboxes/{api.mailbox(given.mailbox)}/quarantine"
    if given.entry:
        tried = [api.post(f"{path}/{quote(given.entry, safe='')}/retry")]
    else:
        tried = _retried(api, path, len(api.get(path)["entries"]))
    _answer(given, tried, ("id", "outcome", "reason", "ticket"), tried)
    return 1 if any(each["outcome"] == "quarantined" for each in tried) else 0


def _retried(api: Api, path: str, total: int) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with Progress("retry") as progress:
        while True:
            answer = api.post(f"{path}/retry")
            known = len(found)
            found |= {each["id"]: each for each in answer["messages"]}
            progress.show(len(found), total)
            if not answer["left"] or len(found) == known:
                return [*found.values()]


def export(api: Api, given: Namespace) -> int:
    """Those that could never be fetched have nothing to export."""
    path = f"mailboxes/{api.mailbox(given.mailbox)}/quarantine"
    listed = [each for each in api.get(path)["entries"] if given.entry in (None, each["id"])]
    if given.entry and not listed:
        raise Failed(f"there is no entry {given.entry}")
    found = [each["id"] for each in listed if each["size"] is not None]
    folder = Path(given.to)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress("export") as progress:
        for done, entry in enumerate(found, 1):
            message = api.call("GET", f"{path}/{quote(entry, safe='')}/message", params={"original": "true"})
            (folder / f"{Path(entry).name}.eml").write_bytes(message.content)
            progress.show(done, len(found))
    print(f"{len(found)} exported to {folder}; {len(listed) - len(found)} could never be fetched")
    return 0


def _answer(given: Namespace, answer: Any, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if given.json:
        _json(answer)
    else:
        table(columns, rows)


def _json(answer: Any) -> None:
    print(json.dumps(answer, indent=2))
