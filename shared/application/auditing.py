"""Every change that somebody asks for is on record before it is made (req O6); so none is without its record, whatever
breaks off in between. A record that cannot be stored keeps the change from being made.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from shared.application.services import Services
from shared.domain.audit import AuditEntry, AuditOutcome, Values, differences
from shared.domain.errors import AppError, SourceUnavailable, StoreError, StoreUnavailable

_UNKNOWN = (StoreUnavailable, SourceUnavailable)
"""Whether the change was made, nobody knows: its record stays as it was begun."""


@contextmanager
def audited(
    services: Services,
    kind: str,
    subject: str,
    action: str,
    *,
    before: Values | None = None,
    after: Values | None = None,
    personal: Collection[str] = (),
    refusals: tuple[type[Exception], ...] = (AppError,),
) -> Iterator[None]:
    """Around a change by `services.caller`; `before` and `after` may hold more than what differs between them."""
    was, now = differences(before or {}, after or {}, personal)
    entry = AuditEntry(secrets.token_hex(8), services.clock(), services.caller, action, kind, subject, was, now)
    services.audit.add(entry)
    try:
        yield
    except _UNKNOWN:
        raise
    except refusals:
        _settle(services, entry, AuditOutcome.REFUSED)
        raise
    _settle(services, entry, AuditOutcome.MADE)


def _settle(services: Services, entry: AuditEntry, outcome: AuditOutcome) -> None:
    with suppress(StoreError):  # what was made is made; the record says that it was begun
        services.audit.settle(entry, outcome)
