"""`config`: export, plan and apply all configuration as one document (req O11)."""

import json
from argparse import Namespace
from typing import Any

from shared.cli import documents
from shared.cli.client import Api, Misused
from shared.cli.terminal import confirmed, printable

CHANGES = 4
"""The exit code of `config plan --check` where something would change."""
_JSON = {"Content-Type": "application/json"}
_SIGNS = {"add": "+", "change": "~", "remove": "-"}


def export(api: Api, given: Namespace) -> int:
    documents.write(given.file, api.get("configuration", contacts=given.contacts))
    return 0


def plan(api: Api, given: Namespace) -> int:
    planned = _planned(api, given, documents.read(given.file))
    return CHANGES if given.check and _changes(planned) else 0


def apply(api: Api, given: Namespace) -> int:
    document = documents.read(given.file)
    planned = _planned(api, given, document)
    if not _changes(planned):
        return 0
    if not (given.yes or confirmed("Apply?")):
        raise Misused("nothing was changed: use --yes where nobody is there to confirm")
    api.post("configuration/apply", params={"digest": planned["digest"]}, data=document, headers=_JSON)
    if not given.json:
        print("done")
    return 0


def _changes(planned: dict[str, Any]) -> bool:
    contacts = planned["contacts"] or {"added": 0, "changed": 0}
    return bool(planned["steps"] or contacts["added"] or contacts["changed"])


def _planned(api: Api, given: Namespace, document: bytes) -> dict[str, Any]:
    planned: dict[str, Any] = api.post("configuration/plan", data=document, headers=_JSON)
    if given.json:
        print(json.dumps(planned, indent=2))
    else:
        _tell(planned)
    return planned


def _tell(planned: dict[str, Any]) -> None:
    for step in planned["steps"]:
        print(printable(f"{_SIGNS[step['action']]} {step['section']} {step['id']} ({step['name']})"))
        if step["action"] == "change":
            for path in {**step["before"], **step["after"]}:
                print(printable(f"    {path}: {step['before'].get(path)} -> {step['after'].get(path)}"))
    if contacts := planned["contacts"]:
        print(f"contacts: {contacts['added']} added, {contacts['changed']} changed, {contacts['unchanged']} unchanged")
    if not _changes(planned):
        print("nothing to change")
