"""Raw messages: small ones travel in a row with what they cause, large ones are blobs under their SHA-256."""

import gzip
import hashlib
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from shared.adapters.storage import rows
from shared.adapters.storage.clients import StorageClients, translated
from shared.adapters.storage.table import Table
from shared.application.ports.tickets import StoredRaw
from shared.domain.errors import NotFound
from shared.domain.ticket import RawPointer

PACKED_LIMIT = 48 * 1024
"""Bytes, compressed; a binary property holds 64 KiB."""


class TableAndBlobRawStore:
    def __init__(self, clients: StorageClients) -> None:
        self._clients = clients
        self._table = Table(clients, "tickets")

    @property
    def _container(self) -> Any:
        return self._clients.raw_container

    def pack(self, mailbox_id: str, content: bytes) -> tuple[RawPointer, StoredRaw | None]:
        packed = _pack(content)
        pointer = RawPointer(hashlib.sha256(content).hexdigest(), len(content), inline=len(packed) <= PACKED_LIMIT)
        if pointer.inline:
            return pointer, StoredRaw(pointer, packed)
        self._upload(mailbox_id, pointer, packed)
        return pointer, None

    def keep(self, mailbox_id: str, content: bytes) -> RawPointer:
        pointer = RawPointer(hashlib.sha256(content).hexdigest(), len(content), inline=False)
        self._upload(mailbox_id, pointer, _pack(content))
        return pointer

    def get(self, mailbox_id: str, pointer: RawPointer) -> bytes:
        with translated():
            try:
                if pointer.inline:
                    row = self._table.client.get_entity(mailbox_id, rows.raw_key(pointer.sha256))
                    return gzip.decompress(row["gzip"])
                blob = self._container.download_blob(blob_name(mailbox_id, pointer))
                return gzip.decompress(blob.readall())
            except ResourceNotFoundError as error:
                raise NotFound("the raw message is past its retention") from error

    def _upload(self, mailbox_id: str, pointer: RawPointer, packed: bytes) -> None:
        with translated():
            self._container.upload_blob(blob_name(mailbox_id, pointer), packed, overwrite=True)


def blob_name(mailbox_id: str, pointer: RawPointer) -> str:
    return f"{mailbox_id}/{pointer.sha256}.eml.gz"


def _pack(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=3, mtime=0)
