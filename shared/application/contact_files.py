"""Files of contacts: JSON, and CSV as spreadsheets write it: with `,`, `;` or tabs, in whatever charset (req P1)."""

import csv
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence

from shared.application.contacts import Line
from shared.domain.contact import Contact
from shared.domain.errors import Invalid, Problem
from shared.mime.charsets import codec

_COLUMNS = tuple(Contact.model_fields)
_EMPTY: dict[str, object] = {"role": "requester", "groups": [], "bounced_at": None, "unsubscribed_at": None}


def csv_lines(content: bytes, charset: str) -> Iterator[Line]:
    """The lines below the one that names the columns, without empty ones.

    :raises Invalid: they cannot be told apart.
    """
    records = _records(_text(content, charset))
    first, names = next(records, (1, []))
    if isinstance(names, str):
        raise Invalid([Problem(f"line {first}", names)])
    columns = [name.strip().casefold() for name in names]
    wrong = [*_wrong_columns(columns)]
    if "address" not in columns or len(set(columns)) < len(columns):
        raise Invalid([Problem(f"line {first}", each) for each in wrong])
    yield from (Line(f"line {first}", wrong=each) for each in wrong)
    for number, cells in records:
        place = f"line {number}"
        if isinstance(cells, str):
            yield Line(place, wrong=cells)
        elif len(cells) != len(columns):
            yield Line(place, wrong=f"has {len(cells)} cells, but there are {len(columns)} columns")
        else:
            yield Line(
                place, {name: _value(name, cell) for name, cell in zip(columns, cells, strict=True) if name in _COLUMNS}
            )


def _wrong_columns(columns: Sequence[str]) -> Iterator[str]:
    if "address" not in columns:
        yield "must name the columns, and one of them must be `address`"
    for index, name in enumerate(columns):
        if name in columns[:index]:
            yield f"names column {name[:40]!r} twice"
        elif name not in _COLUMNS:
            yield f"names column {name[:40]!r}, which is none of {', '.join(_COLUMNS)}"


def _text(content: bytes, charset: str) -> str:
    name = "utf_16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else codec(charset)
    if name is None:
        raise Invalid([Problem("header.Content-Type", "names a charset that is not known")])
    try:
        text = content.decode(name).removeprefix("\ufeff")
        text.encode()  # UTF-7 can spell half a character
    except UnicodeError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        advice = "save the file as UTF-8, or name its charset in the Content-Type"
        raise Invalid([Problem(f"line {line}", f"is no text in {charset}: {advice}")]) from error
    return text


def _records(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """The cells of each line that has any, or what is wrong with it. Its number is where it begins."""
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        yield number, f"cannot be read, nor what follows: {error}"


def _value(column: str, cell: str) -> object:
    """As JSON has it."""
    cell = cell.strip()
    if not cell:
        return _EMPTY.get(column, "")
    match column:
        case "role":
            return cell.casefold()
        case "groups":
            return [name.strip() for name in re.split("[,;|]", cell) if name.strip()]
        case _:
            return cell


def json_lines(data: object) -> Iterator[Line]:
    """:raises Invalid: it is no list."""
    if not isinstance(data, list):
        raise Invalid([Problem("$", "must be a list of contacts")])
    return (Line(f"$[{index}]", each) for index, each in enumerate(data))
