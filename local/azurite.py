"""Azurite, the storage emulator from npm, as a child process on loopback."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(__file__).parent / "node_modules" / ".bin" / "azurite"
ACCOUNT = "devstoreaccount1"
# The emulator's published development key; it opens nothing else.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Azurite:
    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};TableEndpoint={self.table_endpoint};"
        )


@contextmanager
def run_azurite(folder: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0)) -> Iterator[Azurite]:
    """Run Azurite for the duration of the block, keeping its data in `folder`, or in memory without one.

    `ports` are those of blobs, queues and tables; 0 is any free one. :raises RuntimeError: it did not start.
    It has a session of its own: Ctrl-C in a terminal must not end it before those that use it.
    """
    persistence = ["--inMemoryPersistence"] if folder is None else ["--location", str(folder)]
    blob, queue, table = map(str, ports)
    command = [str(COMMAND), "--silent", "--disableTelemetry", "--skipApiVersionCheck", *persistence]
    command += ["--blobPort", blob, "--queuePort", queue, "--tablePort", table]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            yield _ready(process)
        finally:
            process.terminate()
            with _killed_if_stuck(process):
                process.communicate()


def _ready(process: subprocess.Popen[str]) -> Azurite:
    """Wait until it says that it listens; it names each service with the port that it got."""
    endpoints: dict[str, str] = {}
    said: list[str] = []
    with _killed_if_stuck(process):
        for line in process.stdout or ():
            said.append(line)
            if "successfully listening at " in line:
                endpoints[line.split()[1]] = f"{line.split()[-1]}/{ACCOUNT}"
            if len(endpoints) == 3:
                return Azurite(endpoints["Blob"], endpoints["Queue"], endpoints["Table"])
    raise RuntimeError(f"Azurite did not start: {''.join(said)}")


@contextmanager
def _killed_if_stuck(process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(_PATIENCE_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
