"""Requests to Microsoft Graph about one mailbox, what it refuses, and its folders as far as they are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from shared.adapters.refusals import Refused, TimedOut, advice, busy, meanings
from shared.adapters.services import SourceServices
from shared.adapters.sources.folders import ROOT, FolderTree
from shared.adapters.sources.rest_client import RestClient
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    CursorExpired,
    SourceMisbehaved,
)
from shared.domain.sign_in import MicrosoftSignIn

BATCH_REQUESTS = 20
_ROLES = {
    "inbox": "inbox",
    "archive": "archive",
    "deleteditems": "trash",
    "drafts": "drafts",
    "junkemail": "junk",
    "sentitems": "sent",
}
_PAGE = 100
_SELECT = "id,displayName,childFolderCount"
_IMMUTABLE_IDS = 'IdType="ImmutableId"'  # asked for with each request, or ids change with every move

_CURSOR = ("syncstatenotfound", "syncstateinvalid", "resyncrequired")
_BUSY = (429, 503, 504)


class GraphClient(RestClient):
    """Links that Graph gave are taken as they are, from its own host."""

    service = "Graph"
    purpose = "graph"

    def __init__(self, address: str, sign_in: MicrosoftSignIn, services: SourceServices) -> None:
        root = f"{services.settings.cloud(sign_in.cloud).graph}/v1.0"
        self._user = f"/users/{quote(address, safe='@')}"
        super().__init__(root, root + self._user, sign_in, services)
        self._session.headers["Prefer"] = _IMMUTABLE_IDS

    def refusal(self, status: int, body: Any, wait: timedelta | None) -> AppError:
        """Codes come in any case."""
        code = graph_code(body)
        key = code.casefold()
        if status == 410 or key in _CURSOR:
            return CursorExpired()
        if status in _BUSY and (error := busy("Graph", status, wait, TimedOut)):
            return error
        if meaning := meanings("graph").get(key):
            return meaning.error()
        if status == 401:
            return CredentialsRejected("Graph does not accept the app's token.", advice=advice("same_cloud"))
        if status == 403:
            return AccessDenied(f"Graph denies it ({code}).", advice=advice("graph_permission"))
        is_gone = status == 404 or key == "errorinvalididmalformed"
        return Refused(f"Graph answered {status} {code}".rstrip(), is_gone=is_gone, status=status)

    def get(self, path: str, prefer: str = "", /, **options: str | int) -> dict[str, Any]:
        """`options` are those of OData, without their dollar sign."""
        headers = {"Prefer": f"{_IMMUTABLE_IDS}, {prefer}"} if prefer else {}
        params = {f"${name}": value for name, value in options.items()}
        return self._json("GET", path, headers=headers, params=params)

    def delete(self, path: str) -> None:
        self._json("DELETE", path)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("PATCH", path, json=body)

    def pages(self, path: str, **options: str | int) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page."""
        page = self.get(path, **options)
        while True:
            yield from items(page)
            if "@odata.nextLink" not in page:
                return
            page = self.get(self.link(page, "@odata.nextLink"))

    def batch(self, parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The answers to requests (method, url, body), in their order; each is tried only if the one before worked."""
        sent = [
            {
                "id": str(number),
                "headers": {"Content-Type": "application/json", "Prefer": f"{_IMMUTABLE_IDS}, return=minimal"},
                **part,
                "url": self._user + part["url"],
                **({"dependsOn": [str(number - 1)]} if number else {}),
            }
            for number, part in enumerate(parts)
        ]
        answers = self.post(f"{self.root}/$batch", {"requests": sent}).get("responses")
        by_id = {answer.get("id"): answer for answer in answers or () if isinstance(answer, dict)}
        try:
            return [by_id[request["id"]] for request in sent]
        except KeyError as exc:
            raise SourceMisbehaved("Graph left out answers of a batch.") from exc

    def link(self, page: Mapping[str, Any], name: str) -> str:
        """A link that Graph gave; only its own host may be given the app's token."""
        link = page[name]
        if not isinstance(link, str) or not self.is_own(link):
            raise SourceMisbehaved("Graph gave a link that leads elsewhere.")
        return link

    def is_own(self, link: str) -> bool:
        ours = urlsplit(self.root)
        try:
            theirs = urlsplit(link)
        except ValueError:
            return False
        return (theirs.scheme, theirs.netloc) == ("https", ours.netloc) and theirs.path.startswith(f"{ours.path}/")


def graph_time(moment: datetime) -> str:
    """For a filter. Graph keeps whole seconds, so a moment within one stands for its beginning."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def items(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    value = page.get("value")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SourceMisbehaved("Graph answered without a list where there must be one.")
    return value


def graph_code(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


class Folders(FolderTree):
    well_known = frozenset((*_ROLES, ROOT, "clutter", "conversationhistory", "outbox", "recoverableitemsdeletions"))

    def __init__(self, client: GraphClient) -> None:
        super().__init__()
        self.client = client

    def get(self, path: str) -> dict[str, Any]:
        """The folder as Graph describes it."""
        return _checked(self.client.get(f"/mailFolders/{quote(self.find(path), safe='')}"))

    def still_knows(self, path: str) -> bool:
        """Whether the folder that was found on this path is still there."""
        try:
            self.get(path)
        except Refused as refused:
            if refused.is_gone:
                return False
            raise
        return True

    def _children(self, parent: str) -> Iterator[tuple[str, str, bool]]:
        for item in map(_checked, self.client.pages(_path(parent), select=_SELECT, top=_PAGE)):
            yield item["id"], item["displayName"], bool(item.get("childFolderCount"))

    def _create(self, parent: str, name: str) -> str:
        return str(_checked(self.client.post(_path(parent), {"displayName": name}))["id"])

    def _roles(self) -> dict[str, str]:
        """A well-known folder may be missing, so each is asked for on its own."""
        roles = {}
        for name, role in _ROLES.items():
            try:
                roles[_checked(self.client.get(f"/mailFolders/{name}", select=_SELECT))["id"]] = role
            except Refused:
                continue
        return roles


def _path(folder: str) -> str:
    return f"/mailFolders/{quote(folder, safe='')}/childFolders"


def _checked(item: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(item.get("id"), str) or not isinstance(item.get("displayName"), str):
        raise SourceMisbehaved("Graph described a folder without its id or name.")
    return item
