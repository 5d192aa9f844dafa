"""Run a functions app until SIGINT or SIGTERM: python -m local.host --app DIR --port N --state DIR"""

import argparse
import logging
import os
import signal
import sys
import time
from pathlib import Path

from local.host.engine import HostError
from local.host.host import ENGINES, FunctionsHost

_STOP = (signal.SIGINT, signal.SIGTERM)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines()
        return " | ".join(line.strip() for line in lines if line.strip(" ^~"))


def log_to_stderr() -> None:
    """One line for each record, a traceback included."""
    handler = logging.StreamHandler()
    line = _OneLine("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    line.converter = time.gmtime
    handler.setFormatter(line)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs tell of every request
    logging.getLogger("host").setLevel(logging.INFO)  # the app may silence all loggers but its own


def main() -> int:
    host = _host()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # in all threads to come; sigwait takes them
    try:
        host.start()
    except HostError:
        logging.getLogger("host").exception("cannot start")
        return 1
    signal.sigwait(_STOP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
    if not host.stop():
        os._exit(1)  # a function that does not end must not keep the process
    return 0


def _host() -> FunctionsHost:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 is any free one")
    parser.add_argument("--state", type=Path, required=True, help="folder where timers are remembered")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="converters")
    parser.add_argument("--key", help="function key; without one nobody can call functions that ask for it")
    parser.add_argument("--master-key", help="opens everything, the admin endpoint too")
    given = parser.parse_args()
    return FunctionsHost(
        given.app, given.state, engine=given.engine, port=given.port, key=given.key, master_key=given.master_key
    )


if __name__ == "__main__":
    log_to_stderr()
    sys.exit(main())
