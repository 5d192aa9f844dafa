"""What the first invocation of each kind costs in a fresh process; on Flex Consumption each kind has its own."""

import json
import os
import subprocess
import sys
from statistics import median

from local.world import World
from shared.bootstrap import compose
from shared.settings import read_settings

_ROUNDS = 5
_TIMED = """
import time
started = time.perf_counter()
{subject}
print(time.perf_counter() - started)
"""
_APP = """
import function_app
functions = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}
"""
_EVERYTHING = """
import azure.functions, fastapi, azure.data.tables, azure.storage.blob, azure.storage.queue, azure.identity
import azure.keyvault.secrets, imapclient, jwt, msal, nh3
"""
_FIRST_TIMER = f"{_APP}\nfunctions['schedule_polls'](None)"
_FIRST_POLL = f"""{_APP}
import azure.functions as func
functions['poll_mailbox'](func.QueueMessage(body=REQUEST))
"""
_FIRST_HTTP = f"""{_APP}
import asyncio, azure.functions as func
request = func.HttpRequest('GET', 'http://localhost/api/health', headers={{'Host': 'localhost'}}, body=b'')
assert asyncio.run(functions['api'](request, None)).status_code == 200
"""


def cold_start(world: World) -> dict[str, float]:
    """Milliseconds, imports included; and the share that importing the app has of importing everything at once."""
    mailbox = world.imap_mailbox([b"Message-ID: <cold@start>\r\nSubject: first\r\n\r\nhello"])
    compose(read_settings(world.environment)).mailboxes.add(mailbox)
    request = json.dumps({"mailbox_id": mailbox.id, "reason": "demand", "correlation_id": "bench"})
    figures = {
        "import_ms": _milliseconds(_APP, world),
        "import_of_everything_ms": _milliseconds(_EVERYTHING, world),
        "first_timer_ms": _milliseconds(_FIRST_TIMER, world),
        "first_poll_ms": _milliseconds(_FIRST_POLL.replace("REQUEST", repr(request.encode())), world),
        "first_http_ms": _milliseconds(_FIRST_HTTP, world),
    }
    return {**figures, "import_ratio": figures["import_ms"] / figures["import_of_everything_ms"]}


def _milliseconds(subject: str, world: World) -> float:
    return median(_once(subject, world) for _ in range(_ROUNDS))


def _once(subject: str, world: World) -> float:
    command = [sys.executable, "-c", _TIMED.format(subject=subject)]
    environment = {**os.environ, **world.environment}
    ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return 1000 * float(ended.stdout)
