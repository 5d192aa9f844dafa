"""Turn templates into the words of a message; whatever is wrong with one, the message is sent all the same."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, replace
from functools import lru_cache
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

from shared.application.template_language import MAX_ITEMS, compiled, wrong_in
from shared.domain.errors import Problem
from shared.domain.templates import PART_TYPES, PARTS, Rendered, TemplateKind, TemplateSettings, TemplateValues
from shared.mime.rich_text import html_of_text

MAX_OUTPUT = 1_000_000
"""Characters that a template may become, beside those that a person wrote."""
_MAX_SUBJECT = 500
_MAX_SHORT = 2_000
_TEXTS = Path(__file__).parent / "texts"
BUILT_IN_LANGUAGES = ("en", "de", "es", "fr", "pt", "ru")


class OutputTooLarge(Exception):
    """A template became more than it may."""


def render(kind: TemplateKind, language: str, values: TemplateValues, own: TemplateSettings | None = None) -> Rendered:
    """What the message says. Where the user's own template fails, the built-in one is used and `failed` says why."""
    failed = ""
    if own:
        try:
            return _rendered(own, values)
        except Exception as exc:  # noqa: BLE001 - a template is somebody else's program: nothing it does stops a message
            failed = f"{type(exc).__name__}: {exc}"[:_MAX_SUBJECT]
    return replace(_rendered(_built_in(kind, language), values), failed=failed)


def preview(kind: TemplateKind, language: str, own: TemplateSettings | None = None) -> Rendered:
    """How a message would look."""
    return render(kind, language, sample(kind), own)


@lru_cache
def sample(kind: TemplateKind) -> TemplateValues:
    """Made-up values, as far as this kind of message has them."""
    parts = tomllib.loads((Path(__file__).parent / "sample.toml").read_text(encoding="utf-8"))
    return TemplateValues(**{part: PART_TYPES[part](**_tupled(parts[part])) for part in PARTS[kind]})


def _tupled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _bare(kind: TemplateKind) -> TemplateValues:
    """As few as there may be."""
    parts = {}
    for part in PARTS[kind]:
        needed = [each.name for each in fields(PART_TYPES[part]) if each.default is each.default_factory is MISSING]
        parts[part] = PART_TYPES[part](**dict.fromkeys(needed, ""))
    return TemplateValues(**parts)


def check_template(template: TemplateSettings) -> tuple[Problem, ...]:
    """Everything that is wrong with a template, each with its line; asked before it is saved."""
    parts = (("subject", template.subject), ("text", template.text), ("html", template.html or ""))
    problems = tuple(
        Problem(f"$.{name}", f"line {line}: {reason}")
        for name, source in parts
        for line, reason in wrong_in(source, template.kind, is_html=name == "html")
    )
    return problems or _failures(template.kind, parts)


def _failures(kind: TemplateKind, parts: tuple[tuple[str, str], ...]) -> tuple[Problem, ...]:
    """What goes wrong only when it is tried out, with many values and with hardly any."""
    found = {}
    for values, (name, source) in product((_bare(kind), sample(kind)), parts):
        try:
            _written(source, kind, _names(values), is_html=name == "html")
        except Exception as exc:  # noqa: BLE001 - a template is somebody else's program
            found[name] = Problem(f"$.{name}", f"line {_line(exc)}: {exc}")
    return tuple(found.values())


def _line(exc: Exception) -> int:
    """Where in the template it was raised: Jinja2 puts the template's own lines into the traceback."""
    line, at = 1, exc.__traceback__
    while at:
        line = at.tb_lineno if at.tb_frame.f_code.co_filename == "<template>" else line
        at = at.tb_next
    return line


@lru_cache
def _built_in(kind: TemplateKind, language: str) -> TemplateSettings:
    language = language if language in BUILT_IN_LANGUAGES else BUILT_IN_LANGUAGES[0]
    texts = tomllib.loads((_TEXTS / f"{language}.toml").read_text(encoding="utf-8"))
    return TemplateSettings(name="built-in", kind=kind, language=language, **texts[kind])


def _rendered(template: TemplateSettings, values: TemplateValues) -> Rendered:
    kind, names = template.kind, _names(values)
    subject = " ".join(_written(template.subject, kind, names).split())[:_MAX_SUBJECT]
    text = _written(template.text, kind, names).strip()
    html = _written(template.html, kind, names, is_html=True) if template.html else _html(text, values)
    return Rendered(subject, f"{text}\n", _document(html, template.language))


def _written(source: str, kind: TemplateKind, names: Mapping[str, Any], *, is_html: bool = False) -> str:
    pieces, room = list[str](), MAX_OUTPUT + sum(len(said["text"] + said["html"]) for said in _said(names))
    for piece in compiled(source, kind, is_html=is_html).generate(names):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            raise OutputTooLarge(f"becomes more than {MAX_OUTPUT} characters")
    return "".join(pieces)


def _said(names: Mapping[str, Any]) -> list[Any]:
    return [names[part] for part in ("comment", "message") if part in names]


def _html(words: str, values: TemplateValues) -> str:
    """The HTML of a text; where a person's own words stand in it, theirs."""
    said = values.comment or values.message
    paragraphs = f"\n\n{words}\n\n"
    before, found, after = paragraphs.partition(f"\n\n{said.text.strip()}\n\n") if said else (paragraphs, "", "")
    return "\n".join(filter(None, (html_of_text(before), said.html if said and found else "", html_of_text(after))))


def _document(body: str, language: str) -> str:
    if "<html" in body[:500].lower():
        return body
    head = (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head><meta charset="utf-8"></head>\n<body dir="auto">\n'
    )
    return f"{head}{body}\n</body>\n</html>\n"


def _names(values: TemplateValues) -> dict[str, Any]:
    """The values by the names that templates use, none of them longer than it may be."""
    from markupsafe import Markup

    names = {part: _short(named) for part, named in asdict(values).items() if named is not None}
    for part in ("comment", "message"):
        if (said := getattr(values, part)) is not None:
            names[part] |= {"text": said.text.strip(), "html": Markup(said.html)}  # noqa: S704 - it is sanitised
    for part in ("recipient", "requester"):
        if part in names and any(sign in names[part]["name"] for sign in "@/"):
            names[part]["name"] = ""  # an address or a link that somebody put there for us to send on
    if values.ticket:
        names["ticket"]["fields"] = _Fields(names["ticket"]["fields"])
    return names


class _Fields(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def _short(value: Any) -> Any:
    match value:
        case str():
            return value[:_MAX_SHORT]
        case tuple():
            return tuple(map(_short, value[:MAX_ITEMS]))
        case dict():
            return {name: _short(each) for name, each in value.items()}
    return value
