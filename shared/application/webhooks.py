"""Telling other systems of events: who is told, what, and what their answers mean (req M7)."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.application.auditing import audited
from shared.application.configuration import values
from shared.application.ports.connections import WebhookAnswer
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import (
    Conflict,
    MailboxError,
    SourceError,
    SourceMisconfigured,
    SourceUnavailable,
    TargetRefused,
    Unfit,
)
from shared.domain.health import SenderState
from shared.domain.outbox import Delivered, Delivery, EventType, GaveUp, Later, OutboxEntry
from shared.domain.webhooks import (
    CONTENT_TYPE,
    Subscription,
    cloud_event,
    comment_data,
    event_details,
    next_try,
    signed_headers,
    signing_keys,
    ticket_data,
    webhook_id,
)
from shared.telemetry import Event, emit

_TAKES_NOTHING = (429, 502, 503, 504)
"""Answers that are about the receiver, and not about the event."""


def webhook_entries(services: Services, mailbox_id: str, event: OutboxEntry) -> list[OutboxEntry]:
    """What is owed for an event: one webhook for each subscription that wants it."""
    type_ = EventType(event.payload["type"])
    return [
        replace(
            event,
            id=f"{event.id}-{each.id}",
            kind="webhook",
            payload={**event.payload, "event": event.id, "subscription": each.id},
        )
        for each in services.subscriptions.cached()
        if each.wants(type_, mailbox_id)
    ]


def deliver_webhook(services: Services, mailbox_id: str, entry: OutboxEntry) -> Delivery:
    """Try once; `entry.attempts` are the tries before this one. What nobody wants any more counts as delivered.

    :raises StoreUnavailable: nothing was tried.
    """
    found = services.subscriptions.get(entry.payload["subscription"])
    if found is None:
        return Delivered()
    if not found.value.enabled:
        return GaveUp("The subscription is disabled.")
    event = _cloud_event(services, found.value, mailbox_id, entry.payload)
    if event is None:
        return Delivered()
    return _tried(services, found, entry, event)


def _tried(
    services: Services, found: Versioned[Subscription], entry: OutboxEntry, event: Mapping[str, Any]
) -> Delivery:
    state, now = receiver_state(services, found.value.id), services.clock()
    rest = state.open_until - now if state.open_until and state.is_open(now) else None
    if rest and (at := next_try(entry.id, entry.attempts + 1, now, rest)):
        return Later(at, state.error)
    try:
        answer = post(services, found.value, event)
        if answer.status in _TAKES_NOTHING:
            raise SourceUnavailable(described(answer), retry_after=answer.retry_after)
    except TargetRefused as error:
        return GaveUp(str(error))
    except (MailboxError, SourceError) as error:
        failed, asked = error, error.retry_after if isinstance(error, SourceUnavailable) else None
        services.sender_states.change(state.sender_id, lambda state: (state.failed(failed, services.clock()), None))
        return _later(services, entry, str(error), asked)
    if state.failures:
        wake(services, found.value.id)
    return _answered(services, found, entry, answer)


def _answered(
    services: Services, found: Versioned[Subscription], entry: OutboxEntry, answer: WebhookAnswer
) -> Delivery:
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status == 410:
        _disable(services, found)
        return GaveUp(described(answer))
    return _later(services, entry, described(answer), answer.retry_after)


def receiver_state(services: Services, subscription_id: str) -> SenderState:
    """How the receiver is doing: one that takes nothing at all is spared, and holds up nobody else."""
    return services.sender_states.change(state_id(subscription_id), lambda state: (state, state))


def wake(services: Services, subscription_id: str) -> None:
    """Spare the receiver no longer: somebody says, or shows, that it is well."""
    services.sender_states.change(state_id(subscription_id), lambda state: (state.works(), None))


def state_id(subscription_id: str) -> str:
    """Apart from those of senders."""
    return f"webhook|{subscription_id}"


def post(services: Services, subscription: Subscription, event: Mapping[str, Any]) -> WebhookAnswer:
    """:raises MailboxError, SourceError: it could not be signed, or there was no answer."""
    body = json.dumps(event, separators=(",", ":")).encode()
    try:
        keys = signing_keys(services.secrets.get(subscription.signing_secret))
    except Unfit as error:
        raise SourceMisconfigured(f"The signing secret {error}.") from error
    signed = signed_headers(keys, event["id"], services.clock(), body)
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "Mailroom", **signed}
    return services.webhooks.post(subscription.url, headers, body)


def described(answer: WebhookAnswer) -> str:
    if 300 <= answer.status < 400:
        return f"The receiver answered {answer.status}, and redirects are not followed: give the address itself."
    if answer.status == 410:
        return "The receiver answered 410: it wants no more events."
    return f"The receiver answered {answer.status}."


def _later(services: Services, entry: OutboxEntry, error: str, retry_after: timedelta | None) -> Delivery:
    at = next_try(entry.id, entry.attempts + 1, services.clock(), retry_after)
    return Later(at, error) if at else GaveUp(error)


def _disable(services: Services, found: Versioned[Subscription]) -> None:
    gone = found.value.model_copy(update={"enabled": False, "gone_at": services.clock()})
    before, after = values(found.value), values(gone)
    # Whoever changed it meanwhile may know better; else the next answer disables it.
    with suppress(Conflict), audited(services, "subscription", gone.id, "disabled", before=before, after=after):
        services.subscriptions.replace(gone, found.etag)
        emit(Event.SUBSCRIPTION_GONE, subscription=gone.id)


def _cloud_event(
    services: Services, subscription: Subscription, mailbox_id: str, payload: Mapping[str, Any]
) -> dict[str, Any] | None:
    """None where the ticket is gone: there is nothing to be told of it any more."""
    data = {"mailbox_id": mailbox_id, **event_details(payload)}
    number, seq = payload.get("ticket"), payload.get("seq")
    if number is not None:
        ticket = services.tickets.ticket(mailbox_id, number)
        if ticket is None:
            return None
        data["ticket"] = ticket_data(ticket.value, f"{services.settings.public_url}/api/tickets")
    if number is not None and seq is not None:
        comment = next((each for each in services.tickets.comments(mailbox_id, number) if each.seq == seq), None)
        data["comment"] = comment and comment_data(comment, with_text=subscription.include_text)
    id_, api = webhook_id(mailbox_id, payload["event"]), f"{services.settings.public_url}/api"
    return cloud_event(id_, f"{api}/mailboxes/{mailbox_id}", payload["type"], payload["at"], data)
