"""The operations on webhook subscriptions: settings, tests, and what could not be delivered (req M7)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from shared.application import subscriptions, webhooks
from shared.application.configuration import find
from shared.application.outbox import Owed
from shared.application.services import Services
from shared.application.subscriptions import SUBSCRIPTIONS
from shared.domain import webhooks as domain
from shared.domain.fields import DocumentId
from shared.domain.health import SenderState
from shared.entrypoints.http.audit import acts
from shared.entrypoints.http.configured import add_operations
from shared.entrypoints.http.requests import Ready, ready

router = APIRouter(prefix="/api/subscriptions", tags=["subscriptions"], dependencies=[Depends(ready)])

Id = Annotated[DocumentId, Path()]


class ReceiverHealth(BaseModel):
    """Whether it takes events; nothing is posted until `paused_until`."""

    failures_in_a_row: int
    error: str
    paused_until: datetime | None


class Subscription(domain.Subscription):
    """A subscription, and how its receiver is doing."""

    receiver: ReceiverHealth


class Subscriptions(BaseModel):
    subscriptions: list[Subscription]


class AllUndelivered(BaseModel):
    """Oldest first."""

    undelivered: list[Owed]


class Redelivery(BaseModel):
    redelivered: int = Field(description="how many webhooks are tried again")


@router.get("")
def list_subscriptions(services: Ready) -> Subscriptions:
    states = {each.sender_id: each for each in services.sender_states.all()}
    found = [each.value for each in services.subscriptions.all()]
    return Subscriptions(subscriptions=[_with(each, states.get(webhooks.state_id(each.id))) for each in found])


@router.post("/{subscription_id}/test")
def test_subscription(subscription_id: Id, services: Ready) -> subscriptions.DeliveryTest:
    """Post an event of the type `mailroom.test`, also where the subscription is disabled."""
    return subscriptions.deliver_test(services, _found(services, subscription_id))


@router.get("/{subscription_id}/undelivered")
def list_undelivered(subscription_id: Id, services: Ready) -> AllUndelivered:
    """What has failed at least once and was not delivered since."""
    return AllUndelivered(undelivered=subscriptions.undelivered(services, _found(services, subscription_id)))


@router.post(
    "/{subscription_id}/redeliver",
    status_code=202,
    dependencies=[acts("subscription", "redelivered")],
)
def redeliver(subscription_id: Id, services: Ready) -> Redelivery:
    """Have all that is undelivered tried again now, and for another three days."""
    return Redelivery(redelivered=subscriptions.redeliver(services, _found(services, subscription_id)))


def _shown(services: Services, subscription: domain.Subscription) -> Subscription:
    return _with(subscription, webhooks.receiver_state(services, subscription.id))


def _with(subscription: domain.Subscription, state: SenderState | None) -> Subscription:
    state = state or SenderState(subscription.id)
    health = ReceiverHealth(failures_in_a_row=state.failures, error=state.error, paused_until=state.open_until)
    return Subscription(**dict(subscription), receiver=health)


def _found(services: Services, subscription_id: str) -> domain.Subscription:
    return find(services, SUBSCRIPTIONS, subscription_id).value


add_operations(router, SUBSCRIPTIONS, Subscription, _shown)
