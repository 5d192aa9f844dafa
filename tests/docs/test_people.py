"""The examples of the page about people are what the product takes."""

import json
import re
from pathlib import Path

from shared.application.contact_files import csv_lines
from shared.application.validation import validated
from shared.domain.contact import Contact
from shared.domain.people import People

PAGE = Path("docs/people.md").read_text()


def block(kind: str, holding: str) -> str:
    return next(each for each in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) if holding in each)


def test_the_settings_are_accepted_and_name_every_option():
    settings = json.loads(block("json", '"people"'))["people"]

    assert validated(People, settings)[1] == []
    assert settings.keys() == People.model_fields.keys()


def test_the_file_is_imported_without_a_problem():
    lines = [*csv_lines(block("csv", "address").encode(), "utf-8")]

    assert [validated(Contact, line.data)[1] for line in lines] == [[], []]


def test_the_problem_is_the_one_that_is_answered():
    example = json.loads(block("json", '"path"'))
    (line,) = csv_lines(b"address,role\n\nkim@example.com,boss\n", "utf-8")

    found = [line.problem(each) for each in validated(Contact, line.data)[1]]

    assert [{"path": each.path, "message": each.message} for each in found] == [example]


def test_every_field_of_a_contact_is_described():
    assert [name for name in Contact.model_fields if f"`{name}`" not in PAGE] == []
