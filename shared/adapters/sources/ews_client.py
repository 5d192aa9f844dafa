"""Requests to Exchange about one mailbox. exchangelib writes them and reads the answers; it carries none and keeps
nothing: its sessions, retries and caches belong to the whole process, and so does its choice of whom TLS trusts.
"""

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

from exchangelib import Configuration, FailFast, Identity
from exchangelib.errors import ResponseMessageError
from exchangelib.fields import FieldPath
from exchangelib.folders import Folder
from exchangelib.items import Message
from exchangelib.protocol import BaseProtocol
from exchangelib.services.common import EWSAccountService
from exchangelib.services.sync_folder_hierarchy import SyncFolder
from exchangelib.services.sync_folder_items import SyncFolderItems
from exchangelib.version import Version

from shared.adapters.sources.ews_connection import EwsConnection
from shared.adapters.sources.ews_errors import EwsRefused, ews_errors, refusal
from shared.domain.sources import EwsSource

ID_ONLY = "IdOnly"
PAGE = 1000
_USUAL_VERSION = "Exchange2013_SP1"
"""The oldest one that can suppress read receipts; an older server makes the library ask again in its own."""


class _Protocol(BaseProtocol):  # type: ignore[misc]  # the library is not typed
    @property
    def version(self) -> Any:
        return self.config.version


class Sync(SyncFolderItems):  # type: ignore[misc]  # the library is not typed
    def _get_element_container(self, message: Any, name: str | None = None) -> Any:
        """The library reads the new state before it looks whether there is one."""
        if message.get("ResponseClass") == "Error":
            return super(SyncFolder, self)._get_element_container(message, name)
        return super()._get_element_container(message, name)


class EwsClient:
    def __init__(self, connection: EwsConnection, address: str, settings: EwsSource) -> None:
        wanted = settings.version or _USUAL_VERSION
        version = next(each for each in Version.all_versions() if each.api_version == wanted)
        config = Configuration(service_endpoint=connection.url, version=version, retry_policy=FailFast())
        self._connection = connection
        self.protocol = _Protocol(config)
        self._account = SimpleNamespace(
            access_type=settings.access,
            default_timezone=None,
            identity=Identity(primary_smtp_address=address),
            primary_smtp_address=address,
            protocol=self.protocol,
            version=version,
        )

    @property
    def version(self) -> str:
        """The server's build, such as 15.1.2507.6."""
        return str(self._account.version.build)

    def service(self, kind: Any, *, seconds: float = 0, cut_at: int | None = None) -> Any:
        """A service of the library whose requests are carried by our connection: see `EwsConnection.post`."""
        is_about_mailbox = issubclass(kind, EWSAccountService)
        service = kind(account=self._account) if is_about_mailbox else kind(protocol=self.protocol)
        service.ERRORS_TO_CATCH_IN_RESPONSE = ResponseMessageError
        service._get_response = partial(self._carry, service, seconds=seconds, cut_at=cut_at)  # noqa: SLF001 - the seam
        return service

    def _carry(self, service: Any, payload: Any, api_version: str, **options: Any) -> Any:
        body, headers = service.wrap(payload, api_version), service._extra_headers()  # noqa: SLF001 - of the same seam
        service.answer = self._connection.post(body, headers, **options)
        return service.answer

    def call(self, service: Any, **arguments: Any) -> list[Any]:
        """What a service answers, element by element, or `EwsRefused` where one of them is refused.

        :raises AppError: anything that is not about one of them alone.
        """
        if isinstance(service, type):
            service = self.service(service)
        with ews_errors():
            found = list(service._get_elements(service.get_payload(**arguments)))  # noqa: SLF001 - as raw XML
        return [self._checked(each) for each in found]

    def one(self, service: Any, **arguments: Any) -> Any:
        """:raises EwsRefused: it is refused."""
        [found] = self.call(service, **arguments)
        if isinstance(found, EwsRefused):
            raise found
        return found

    def pages(self, service: Any, **arguments: Any) -> Iterator[Any]:
        """The pages of a listing; none where it is empty."""
        offset: int | None = 0
        while offset is not None:
            page, offset = self.one(service, offset=offset, page_size=PAGE, shape=ID_ONLY, **arguments)
            if isinstance(self._checked(page), EwsRefused):
                raise self._checked(page)
            if page is not None:
                yield page

    @staticmethod
    def _checked(found: Any) -> Any:
        if not isinstance(found, Exception):
            return found
        error = refusal(found)
        if isinstance(error, EwsRefused):
            return error
        raise error from found


def item_fields(*names: str) -> list[FieldPath]:
    return [FieldPath(field=Message.get_field_by_fieldname(name)) for name in names]


def folder_fields(*names: str) -> list[FieldPath]:
    return [FieldPath(field=Folder.get_field_by_fieldname(name)) for name in names]
