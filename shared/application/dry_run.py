"""What would become of the messages that are waiting now, one by one; nothing is stored, marked or moved (req O5)."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from pydantic import Field

from shared.application.arrivals import Item, arrivals
from shared.application.connection_test import GivenFirst, Unsaved
from shared.application.continuations import Continuation
from shared.application.explain import Explanation, explain, explanation
from shared.application.intake import of_one_message
from shared.application.ports.connections import FetchFailure, Page, Source
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.errors import CursorExpired, MessageError, MessageGone
from shared.domain.mailbox import Mailbox, MailboxSettings
from shared.domain.message import Cursor, InboundMessage, Listed, MessageRef
from shared.domain.processing import header_names
from shared.domain.settlement import Keep
from shared.domain.ticket import Outcome

_MOST = 50
_EMPTY_PAGES = 20


class _Asked(Unsaved):
    limit: int = Field(default=20, ge=1, le=_MOST)
    continuation: str | None = Field(default=None, description="as the answer before has it", max_length=60_000)


class DryRun(_Asked):
    """With `mailbox`, as if the mailbox had these settings instead of its own."""

    mailbox: MailboxSettings | None = None


class UnsavedDryRun(_Asked):
    """Of a mailbox as it is being written, and secrets for it. What comes before its `start_from` does not wait."""

    mailbox: MailboxSettings


@dataclass(frozen=True, slots=True)
class WouldBe:
    """What would become of each, in the order in which a poll would take them in; with a continuation where more may be
    waiting.
    """

    messages: list[Explanation]
    continuation: str | None


def dry_run(services: Services, mailbox: Mailbox, data: object) -> WouldBe:
    """From where the next poll begins, with what it would try again. :raises Invalid: the data are no such request."""
    asked = read(DryRun, data)
    state, _ = services.tickets.state(mailbox.id)
    if asked.mailbox:
        mailbox = Mailbox(**dict(asked.mailbox), id=mailbox.id, created_at=mailbox.created_at)
    return _walked(services, mailbox, asked, _Place(state.cursor, is_first=True), [each.ref for each in state.deferred])


def dry_run_unsaved(services: Services, data: object) -> WouldBe:
    """:raises Invalid: the data are no such request."""
    asked = read(UnsavedDryRun, data)
    mailbox = Mailbox(**dict(asked.mailbox), id="unsaved", created_at=services.clock())
    return _walked(services, mailbox, asked, _Place(None), [])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk goes on: behind so many messages of the page at the cursor. What was deferred comes first."""

    cursor: Cursor | None
    skip: int = 0
    is_first: bool = False


_PLACE = Continuation[_Place](_Place, "$.continuation")


def _walked(
    services: Services, mailbox: Mailbox, asked: _Asked, place: _Place, deferred: Sequence[MessageRef]
) -> WouldBe:
    """A connection that settles nothing opens folders for reading only, where the protocol can tell."""
    place = _PLACE.read(asked.continuation) if asked.continuation else place
    reader = mailbox.model_copy(update={"settlement": Keep()})
    secrets = GivenFirst(asked.secrets, services.secrets) if asked.secrets else None
    with closing(services.open_source(reader, secrets)) as source:
        again = [Listed(ref) for ref in deferred] if place.is_first else []
        page, place = _page(source, place, asked.limit, has_more=bool(again))
        listed = [*again, *(each for each in page.messages if each.ref not in deferred)]
        wanted = listed[place.skip : place.skip + asked.limit]
        found = [_would_be(services, mailbox, item) for item in arrivals(source.fetch(wanted), header_names(mailbox))]
    if place.skip + asked.limit < len(listed):
        return WouldBe(found, _PLACE.write(replace(place, skip=place.skip + asked.limit)))
    return WouldBe(found, _PLACE.write(_Place(page.cursor)) if page.more else None)


def _page(source: Source, place: _Place, limit: int, *, has_more: bool) -> tuple[Page, _Place]:
    """The page at this place, or the next one with anything on it, as far as it is near."""
    for _ in range(_EMPTY_PAGES):
        try:
            page = source.changes(place.cursor, limit)
        except CursorExpired:
            place = replace(place, cursor=None)
            page = source.changes(None, limit)
        if page.messages or has_more or not page.more:
            break
        place = _Place(page.cursor)
    return page, place


def _would_be(services: Services, mailbox: Mailbox, item: Item) -> Explanation:
    if isinstance(item, FetchFailure):
        is_gone = isinstance(item.error, MessageGone)
        return explanation(InboundMessage(), Outcome.IGNORED if is_gone else Outcome.DEFERRED, item.error.code)
    try:
        with of_one_message():
            return explain(services, mailbox, [item])[0]
    except MessageError as error:
        return explanation(item.message, Outcome.DEFERRED, error.code)
