"""`python -m local.simulators --port N --ca FILE [--state DIR]`: run the simulated services until interrupted."""

import argparse
import signal
import threading
from pathlib import Path

from local.simulators import Simulators


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.simulators", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--ca", type=Path, required=True, help="where the certificate to trust is written")
    parser.add_argument("--state", type=Path, help="folder that keeps mailboxes and secrets; without it they are lost")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Simulators(arguments.ca, arguments.state, arguments.port) as simulators:
        print(f"Simulated Entra ID, Graph and Key Vault at {simulators.url}", flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
