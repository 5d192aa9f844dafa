"""Everything that describes the deployment, as rules look at it; and the same with one thing changed."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

import yaml

from tests.infra.bicep import Declaration, Expression, Template

ROOT = Path(__file__).parents[2]
_PATTERNS = ("infra/**/*.*", ".github/**/*.yml", "azure.yaml", "host.json", ".python-version", "docs/runbook.md")


class Deployment:
    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    @classmethod
    def of_this_project(cls) -> "Deployment":
        paths = [path for pattern in _PATTERNS for path in ROOT.glob(pattern)]
        return cls({path.relative_to(ROOT).as_posix(): path.read_text() for path in paths})

    def changed(self, path: str, old: str, new: str) -> "Deployment":
        assert self.texts[path].count(old) >= 1, f"{old!r} is not in {path} any more"
        return Deployment({**self.texts, path: self.texts[path].replace(old, new, 1)})

    @cached_property
    def templates(self) -> dict[str, Template]:
        return {path: Template(path, text) for path, text in self.texts.items() if path.endswith(".bicep")}

    @property
    def main(self) -> Template:
        return self.templates["infra/main.bicep"]

    @cached_property
    def workflows(self) -> dict[str, dict]:
        found = ((path, text) for path, text in self.texts.items() if path.startswith(".github/workflows/"))
        return {PurePosixPath(path).stem: yaml.safe_load(text) for path, text in found}

    @property
    def azd(self) -> dict:
        return yaml.safe_load(self.texts["azure.yaml"])

    @property
    def host_json(self) -> dict:
        return json.loads(self.texts["host.json"])

    def resources(self, kind: str) -> Iterator[tuple[str, Declaration]]:
        """The resources of a type (without its version), each with the path of its file."""
        for path, template in self.templates.items():
            for each in template.all("resource").values():
                if each.target.split("@")[0] == kind:
                    yield path, each

    def resource(self, kind: str, name: str | None = None) -> dict:
        """The body of the only resource of a type, or of the only one with that name."""
        bodies = [each.body for _, each in self.resources(kind)]
        (body,) = [body for body in bodies if name in (None, body["name"])]
        return body

    def module(self, name: str) -> dict:
        """What main.bicep gives to a module."""
        return self.main.all("module")[name].body["params"]

    def resolve(self, path: str, template: Template, target: str) -> Template:
        folder = PurePosixPath(path).parent
        parts: list[str] = []
        for part in (folder / target).parts:
            parts.pop() if part == ".." else parts.append(part)
        return self.templates["/".join(parts)]

    @cached_property
    def settings(self) -> set[str]:
        """Names of all app settings that are written."""
        appended = self.resource("Microsoft.Web/sites/config", "appsettings")["properties"]
        assert isinstance(appended, Expression)
        return {*self.module("app")["settings"], *re.findall(r"(?<=[{\n])\s*(\w+):", appended)}

    @cached_property
    def alerts(self) -> list[dict]:
        return self.templates["infra/modules/alerts.bicep"].all("variable")["rules"].body

    @cached_property
    def roles(self) -> dict[str, str]:
        return self.templates["infra/roles.bicep"].all("variable")["roles"].body
