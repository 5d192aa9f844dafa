"""The HTTP trigger: what `function_app.py` gives to Azure, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import asyncio, json, sys
import azure.functions as func
import function_app

functions = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}
indexed = sorted(name for name in ("fastapi", "pydantic", "azure.data") if name in sys.modules)

def get(path, function="api"):
    request = func.HttpRequest(method="GET", url=f"http://localhost{path}", body=b"", headers={"Host": "localhost"})
    answer = asyncio.run(functions[function](request, None))
    return {"status": answer.status_code, "type": answer.mimetype, "body": json.loads(answer.get_body())}

print(json.dumps({"indexed": indexed, "health": get("/api/health"), "tickets": get("/api/tickets?limit=5"),
    "no_utf8": get("/api/mailboxes/%ff"), "callback": get("/hooks/sign-in?state=x", "sign_in_callback")}))
"""


@pytest.fixture(scope="module")
def said() -> dict:
    """What a process tells that has no app settings."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_indexing_the_functions_imports_nothing_that_only_requests_need(said):
    assert said["indexed"] == []


def test_health_is_answered_without_app_settings_and_tells_what_is_missing(said):
    assert said["health"]["status"] == 503
    assert [each["text"].partition(" ")[0] for each in said["health"]["body"]["findings"]] == [
        "POLL_SCHEDULE",
        "DATA_STORAGE__tableServiceUri",
        "DATA_STORAGE__blobServiceUri",
        "DATA_STORAGE__queueServiceUri",
        "KEY_VAULT_URI",
    ]


def test_the_path_and_the_kind_of_the_answer_pass_through_the_trigger(said):
    assert said["tickets"]["status"] == 503
    assert said["tickets"]["type"] == "application/problem+json"
    assert said["tickets"]["body"]["type"] == "urn:mailroom:settings_invalid"


def test_a_path_that_is_no_text_is_not_found(said):
    assert (said["no_utf8"]["status"], said["no_utf8"]["type"]) == (404, "application/problem+json")
    assert said["no_utf8"]["body"]["type"] == "urn:mailroom:not_found"


def test_browsers_come_back_to_a_function_of_its_own(said):
    assert said["callback"]["body"]["type"] == "urn:mailroom:settings_invalid"
