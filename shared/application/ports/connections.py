"""Connections to the servers of others: where mail comes from and goes, who notifies, who lets people sign in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.errors import MessageError
from shared.domain.message import Cursor, Listed, MessageRef, RawMessage
from shared.domain.outgoing import OutgoingMail, SendResult
from shared.domain.settlement import Settled, Settlement
from shared.domain.sign_in import NewSignIn
from shared.domain.watch import Watch


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, oldest first. `cursor` resumes after it; `more` tells that something is waiting there."""

    messages: tuple[Listed, ...]
    cursor: Cursor
    more: bool


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A message that could not be had; `MessageGone` where it is not in the folder any more.

    `content` is None where its bytes could not be fetched.
    """

    ref: MessageRef
    error: MessageError
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its full path with `/` between the segments. `role` is its special use, such as `sent`."""

    path: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class CheckStage:
    """One stage of a connection test: what was tried, how long it took, how it ended and what to do about it."""

    name: str
    ok: bool
    milliseconds: int
    detail: str = ""
    code: str | None = None
    advice: str = ""
    warning: bool = False


class Source(Protocol):
    """Reads one mailbox. Not thread-safe; connects on first use.

    Every method may raise `MailboxError` or `SourceError`; adapters translate foreign exceptions at one seam.
    """

    def changes(self, cursor: Cursor | None, limit: int) -> Page:
        """List at most about `limit` messages after the cursor, oldest first; None starts from the mailbox's
        `start_from`. A message may be listed again; none that arrives is left out.

        :raises CursorExpired: the cursor is of no use any more; start over with None.
        """

    def fetch(self, messages: Sequence[Listed]) -> Iterator[RawMessage | FetchFailure]:
        """The bytes of each message, in order; never marks as read. Messages over the mailbox's size limit are cut
        to their beginning, without downloading the rest. Memory stays bounded however many are asked for.
        """

    def settle(self, refs: Sequence[MessageRef], settlement: Settlement) -> Sequence[Settled]:
        """Settle each message. Idempotent: what is gone or settled already counts as settled."""

    def folders(self) -> Sequence[Folder]:
        """All folders that can be read from or moved to."""

    def check(self) -> Iterator[CheckStage]:
        """Test the connection stage by stage, from the name to the messages waiting; changes nothing in the mailbox.
        Ends after the first stage that failed; never raises.
        """

    def close(self) -> None:
        """Give back connections; the source is not used afterwards."""


class Watcher(Protocol):
    """Has the provider of one mailbox notify us of new mail. Not thread-safe; may raise as a `Source` does."""

    def watch(self, folder: str, client_state: str, until: datetime) -> Watch:
        """Notifications bear the client state; the provider says how long it does so."""

    def renew(self, watch: Watch, until: datetime) -> Watch | None:
        """None: there is no such watch any more."""

    def unwatch(self, watch: Watch) -> None:
        """Idempotent."""

    def close(self) -> None: ...


class SenderConnection(Protocol):
    """Sends through one configured sender. Not thread-safe; connects on first use and stays connected.

    Every method may raise `MailboxError` (the sender does not work until somebody changes something) or `SourceError`
    (waiting helps). Either means that nothing was sent.
    """

    def send(self, mail: OutgoingMail) -> SendResult:
        """Hand the message over, once. Recipients who are refused keep it from nobody else, where the provider has
        recipients beside the message.

        :raises MessageRefused: nothing was sent, and the same message will not be taken later either.
        :raises OutcomeUnknown: it was sent or not: ask `find_sent` before sending it again.
        """

    def find_sent(self, message_id: str) -> bool | None:
        """Whether a message with this Message-ID was sent; None where the provider does not tell."""

    def check(self, confirmation: OutgoingMail | None = None) -> Iterator[CheckStage]:
        """Test the sender stage by stage, from the name to its right to send. Sends nothing but the
        `confirmation`, if all goes well. Ends after the first stage that failed; never raises.
        """

    def close(self) -> None:
        """Give back connections; it is not used afterwards."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a receiver answered: the HTTP status, and how long it asks to wait, where it does."""

    status: int
    retry_after: timedelta | None


class WebhookPoster(Protocol):
    """Posts to addresses that people name; follows no redirects.

    Both methods may raise `MailboxError` (`TargetRefused`: the host must not be reached from here) or `SourceError`.
    """

    def check(self, url: str) -> None:
        """Find the host; ask it nothing."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer: ...


class SignInService(Protocol):
    """Talks to whoever lets people sign in."""

    def url(self, asked: NewSignIn, state: str, challenge: str) -> str:
        """Where the browser goes; it comes back with the state. `challenge` is that of PKCE, S256."""

    def finish(self, asked: NewSignIn, answer: Mapping[str, str], verifier: str) -> str:
        """Store the refresh token that the browser's answer is good for, and tell whose it is, where that is told.

        :raises AppError: there is none.
        """
