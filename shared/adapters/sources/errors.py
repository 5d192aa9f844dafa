"""What a provider refuses for a reason that only the caller can make sense of."""

from shared.domain.errors import SourceMisbehaved, SourceUnavailable


class Refused(SourceMisbehaved):
    """An API refuses this one thing."""

    def __init__(self, text: str, *, is_gone: bool, status: int = 0) -> None:
        super().__init__(text)
        self.is_gone = is_gone
        self.status = status


class TimedOut(SourceUnavailable):
    """The provider gave up on its own back end: the service is busy, or it is this one item."""


class CommandRefused(SourceUnavailable):
    """A mail server said no and gave no code that says why; the connection goes on."""
