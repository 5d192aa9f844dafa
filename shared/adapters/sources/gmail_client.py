"""Requests to the Gmail API about one mailbox, what it refuses, and its labels, which stand for folders."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from shared.adapters.refusals import Refused, TimedOut, advice, busy, meanings
from shared.adapters.services import SourceServices
from shared.adapters.sources.fetching import chunks
from shared.adapters.sources.folders import folder_missing, split_path
from shared.adapters.sources.rest_client import RestClient
from shared.application.ports.connections import Folder
from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    FolderMissing,
    MessageError,
    SourceMisbehaved,
)
from shared.domain.mailbox import Mailbox
from shared.domain.message import MessageRef
from shared.domain.settlement import Delete, Keep, MarkRead, Move, Settled, Settlement
from shared.domain.sign_in import GoogleSignIn

_QUOTA = ("dailylimitexceeded", "quotaexceeded", "ratelimitexceeded", "userratelimitexceeded")
_ROLES = {"INBOX": "inbox", "DRAFT": "drafts", "SENT": "sent", "SPAM": "junk", "TRASH": "trash"}
_NO_FOLDERS = ("CHAT", "UNREAD")
_SETTLED_AT_ONCE = 1000
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
        reason = _reason(body).casefold()
        if error := busy("Gmail", 429 if reason in _QUOTA else status, wait, TimedOut):
            return error
        if meaning := meanings("gmail").get(reason):
            return meaning.error()
        if status == 401:
            return CredentialsRejected("Gmail does not accept the token.", advice="Sign in again.")
        if status == 403:
            return AccessDenied(f"Gmail denies it ({reason}).", advice=advice("gmail_scope"))
        is_gone = status == 404 or reason == "invalidargument"  # an id that cannot be one
        return Refused(f"Gmail answered {status} {reason}".rstrip(), is_gone=is_gone, status=status)

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


def _reason(body: Any) -> str:
    """That of the first error; anything may be missing or of another kind."""
    try:
        return str(body["error"]["errors"][0]["reason"])
    except (IndexError, KeyError, TypeError):
        return ""


class Labels:
    """Ids by name, with `/` between segments, read when one is first asked for; Gmail's own by id."""

    def __init__(self, client: GmailClient) -> None:
        self.client = client
        self._known: dict[str, str] = {}

    def find(self, path: str, *, create: bool = False) -> str:
        """The label's id; created where it is missing and may be. :raises FolderMissing: naming those that exist."""
        path = "/".join(split_path(path))
        label = self._found(path)
        if label is None:
            self._read()
            label = self._found(path)
        if label is None and create:
            return self._create(path)
        if label is None:
            raise folder_missing(path, [folder.path for folder in self.list()], "label")
        return label

    def list(self) -> list[Folder]:
        self._read()
        return [
            Folder(name, _ROLES.get(label)) for name, label in sorted(self._known.items()) if name not in _NO_FOLDERS
        ]

    def _found(self, path: str) -> str | None:
        return next((label for name, label in self._known.items() if name.casefold() == path.casefold()), None)

    def _read(self) -> None:
        found = items(self.client.get("/labels"), "labels")
        self._known = {str(label.get("name", label["id"])): label["id"] for label in found}

    def _create(self, path: str) -> str:
        try:
            self.client.post("/labels", {"name": path})
        except Refused as refused:
            if refused.status != 409:  # somebody was faster
                advice = "Create the label by hand, or choose another one."
                raise FolderMissing(f"The label `{path}` cannot be created.", advice=advice) from refused
        return self.find(path)

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Iterator[Settled]:
        """Labels change and nothing else: what is deleted lies in the trash, where Gmail keeps it for 30 days."""
        for folder, group in groupby(refs, key=lambda ref: ref.folder):
            change = self._change(folder, settlement)
            for some in chunks(list(group), _SETTLED_AT_ONCE):
                yield from self._changed(some, change) if change else map(Settled, some)

    def _change(self, folder: str, settlement: Settlement) -> Mapping[str, Sequence[str]]:
        match settlement:
            case Keep():
                return {}
            case MarkRead():
                return {"removeLabelIds": ["UNREAD"]}
            case Move(folder=path, create=create):
                return {"addLabelIds": [self.find(path, create=create)], "removeLabelIds": [self.find(folder)]}
            case Delete():
                return {"addLabelIds": ["TRASH"], "removeLabelIds": [self.find(folder)]}

    def _changed(self, refs: Sequence[MessageRef], change: Mapping[str, Sequence[str]]) -> Iterator[Settled]:
        """What is refused is halved until the message that is the reason is alone."""
        try:
            self.client.post("/messages/batchModify", {"ids": [ref.id for ref in refs], **change})
        except Refused as refused:
            if len(refs) == 1:
                yield Settled(refs[0], None if refused.status == 404 else MessageError(str(refused)))
                return
            for half in chunks(refs, (len(refs) + 1) // 2):
                yield from self._changed(half, change)
        else:
            yield from map(Settled, refs)
