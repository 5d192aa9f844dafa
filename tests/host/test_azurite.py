from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient, TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import COMMAND, Azurite, run_azurite
from tests.servers import require


def test_every_service_answers_as_soon_as_it_has_started(azurite: Azurite):
    with (
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        TableServiceClient.from_connection_string(azurite.connection_string) as tables,
    ):
        assert blobs.url.startswith(azurite.blob_endpoint)
        assert queues.url.startswith(azurite.queue_endpoint)
        assert tables.url.startswith(azurite.table_endpoint)
        assert blobs.get_service_properties()
        assert queues.get_service_properties()
        assert tables.get_service_properties()


def test_data_in_a_folder_survives_a_restart(tmp_path: Path):
    require(COMMAND.exists(), "Azurite (npm ci --prefix local)")
    with run_azurite(tmp_path) as first, _table(first) as table:
        table.create_table()

    with run_azurite(tmp_path) as second, _table(second) as table, pytest.raises(ResourceExistsError):
        table.create_table()


def _table(storage: Azurite) -> TableClient:
    return TableClient.from_connection_string(storage.connection_string, "survivors")


def test_a_missing_server_skips_on_a_desk_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require(found=False, what="a server")

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        require(found=False, what="a server")
