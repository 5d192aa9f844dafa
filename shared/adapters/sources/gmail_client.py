"""Requests to the Gmail API about one mailbox."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from shared.adapters.sources.gmail_errors import refusal
from shared.adapters.sources.rest_client import RestClient
from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError, SourceMisbehaved
from shared.domain.mailbox import Mailbox
from shared.domain.sign_in import GoogleSignIn

_PAGE = 500
"""The most that a listing gives at once."""


class GmailClient(RestClient):
    service = "Gmail"
    purpose = "gmail"
    waits = (1, 2, 4, 8, 16, 32)  # quotas are per minute: this outlasts one

    def __init__(self, address: str, sign_in: GoogleSignIn, services: SourceServices) -> None:
        self.address = address
        root = f"{services.settings.gmail_endpoint}/gmail/v1"
        acting = sign_in.model_copy(update={"account": sign_in.account or address})
        super().__init__(root, f"{root}/users/{quote(address, safe='@')}", acting, services)

    def refusal(self, status: int, body: Any, wait: timedelta | None) -> AppError:
        return refusal(status, body, wait)

    def get(self, path: str, **options: str | int | Sequence[str]) -> dict[str, Any]:
        return self._json("GET", path, params=options)

    def pages(self, path: str, name: str, **options: str | int | Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list; a page may be empty though it is not the last."""
        page = self.get(path, **options)
        while True:
            yield items(page, name)
            if "nextPageToken" not in page:
                return
            page = self.get(path, pageToken=str(page["nextPageToken"]), **options)

    def present(self, label: str, mailbox: Mailbox) -> Iterator[str]:
        """The ids of what a first listing takes in, newest first. `after` may or may not count its own second."""
        since = {"q": f"after:{int(mailbox.start_from.timestamp()) - 1}"} if mailbox.start_from else {}
        labels = [label, "UNREAD"] if mailbox.intake.unread_only else [label]
        for page in self.pages("/messages", "messages", labelIds=labels, maxResults=_PAGE, **since):
            yield from (item["id"] for item in page)


def items(page: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Where a list would be empty Gmail leaves it out."""
    found = page.get(name, [])
    if not isinstance(found, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) for item in found
    ):
        raise SourceMisbehaved("Gmail answered without a list where there must be one.")
    return found
