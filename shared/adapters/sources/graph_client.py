"""Requests to Microsoft Graph about one mailbox: signed in, four at a time, patient where that is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from shared.adapters.sources.graph_errors import refusal
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError, SourceMisbehaved
from shared.domain.sign_in import MicrosoftSignIn

BATCH_REQUESTS = 20
_IMMUTABLE_IDS = 'IdType="ImmutableId"'  # asked for with each request, or ids change with every move


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
        return refusal(status, body, wait)

    def get(self, path: str, prefer: str = "", /, **options: str | int) -> dict[str, Any]:
        """`options` are those of OData, without their dollar sign."""
        headers = {"Prefer": f"{_IMMUTABLE_IDS}, {prefer}"} if prefer else {}
        params = {f"${name}": value for name, value in options.items()}
        return self._json("GET", path, headers=headers, params=params)

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
