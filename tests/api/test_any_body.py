"""Whatever is sent, the answer says what is wrong with it, and nothing breaks."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.desk import Desk, mail

_WORDS = (
    "open", "public", "internal", "incident", "high", "SUP-1", "group", "addresses", "ann@example.org",
    "support@example.com", "\x00", "a\r\nb", "é@ü.de",
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["address", "name", "content", "kind", "addresses", "impact"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
_COMMENT = {"kind": "public", "text": "x"}
_ANNOUNCEMENT = {"subject": "x", "text": "x", "audience": {"kind": "addresses", "addresses": ["ann@example.org"]}}
_NAMES = {
    ("PATCH", "/api/tickets/SUP-1"): (
        {},
        "subject status assignee group category priority type service company custom tags cc",
    ),
    ("POST", "/api/tickets/SUP-1/comments"): (_COMMENT, "kind text html attachments cc author sender status"),
    ("POST", "/api/tickets/SUP-1/merge"): ({}, "tag"),
    ("POST", "/api/tickets/SUP-1/links"): ({}, "tag"),
    ("POST", "/api/announcements?plan=true"): (_ANNOUNCEMENT, "mailbox subject text html audience sender required"),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(("operation", "body"), _NAMES.items(), ids=[path for _, path in _NAMES])
def test_any_json_is_served_or_refused_with_its_problems(api: TestClient, desk: Desk, operation, body):
    desk.take_in(mail().as_bytes())
    complete, names = body
    known: dict[str, Any] = {**complete, **({"mailbox": desk.id} if "audience" in complete else {})}

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(names.split()), _VALUES, max_size=4))
    def served_or_refused(changes: dict[str, Any]) -> None:
        answer = api.request(*operation, json={**known, **changes}, headers={"If-Match": "*"})
        assert answer.status_code in (200, 201, 400, 422), answer.text
        assert answer.status_code != 422 or answer.json()["problems"]

    served_or_refused()
