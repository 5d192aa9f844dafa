"""Configured webhook subscriptions: what keeps one from working, tests, and what could not be delivered (req M7)."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from shared.application.configuration import Checked, Kind
from shared.application.outbox import Owed, retry
from shared.application.services import Services
from shared.application.side_by_side import for_each
from shared.application.webhooks import described, post, wake
from shared.domain.errors import MailboxError, NotFound, PreconditionFailed, Problem, SourceError, TargetRefused, Unfit
from shared.domain.webhooks import Subscription, SubscriptionSettings, cloud_event, signing_keys

_MOST = 30
"""Webhooks of one event; with the e-mails of it they are stored in one transaction, which has a limit."""


@dataclass(frozen=True, slots=True)
class DeliveryTest:
    """How the receiver took a test; `status` is None where there was no answer."""

    ok: bool
    status: int | None
    detail: str
    advice: str = ""


def deliver_test(services: Services, subscription: Subscription) -> DeliveryTest:
    """Post an event of the type `mailroom.test`, once."""
    time = services.clock().isoformat()
    url = f"{services.settings.public_url}/api/subscriptions/{subscription.id}"
    event = cloud_event(f"evt_{secrets.token_hex(16)}", url, "test", time, {"subscription": subscription.id})
    try:
        answer = post(services, subscription, event)
    except (MailboxError, SourceError) as error:
        return DeliveryTest(False, None, str(error), error.advice)
    return DeliveryTest(200 <= answer.status < 300, answer.status, described(answer))


def undelivered(services: Services, subscription: Subscription) -> list[Owed]:
    """What has failed at least once, oldest first."""

    def of(mailbox_id: str) -> list[Owed]:
        found = (each for each in services.tickets.outbox(mailbox_id) if each.kind == "webhook" and each.error)
        return [Owed.of(mailbox_id, each) for each in found if each.payload["subscription"] == subscription.id]

    found = for_each([each.id for each in services.mailboxes.cached()], of)
    return sorted(chain.from_iterable(found), key=lambda each: each.at)


def redeliver(services: Services, subscription: Subscription) -> int:
    """Have all that has failed tried again now, for as long as the first time; returns how many webhooks these are."""
    wake(services, subscription.id)
    count = 0
    for each in undelivered(services, subscription):
        with suppress(NotFound, PreconditionFailed):  # it was delivered meanwhile
            retry(services, each.mailbox_id, each.id)
            count += 1
    return count


def _problems(checked: Checked[Subscription]) -> Iterator[Problem]:
    if checked.current is None and len(checked.others) >= _MOST:
        yield Problem("$", f"would be one too many: there are {_MOST} subscriptions")
    if not isinstance(checked.settings, SubscriptionSettings):
        return
    services, settings = checked.services, checked.settings
    known = {each.value.id for each in services.mailboxes.all()}
    for index, mailbox_id in enumerate(settings.mailboxes):
        if mailbox_id not in known:
            yield Problem(f"$.mailboxes[{index}]", "is the id of no mailbox")
    if _is_refused(services, settings.url):
        yield Problem("$.url", "leads to this machine or to the platform's own services")
    try:
        signing_keys(services.secrets.get(settings.signing_secret))
    except Unfit as error:
        yield Problem("$.signing_secret", str(error))


def _is_refused(services: Services, url: str) -> bool:
    try:
        services.webhooks.check(url)
    except TargetRefused:
        return True
    except (MailboxError, SourceError):
        return False  # it may be set up later, and a test tells
    return False


SUBSCRIPTIONS = Kind(
    noun="subscription",
    settings=SubscriptionSettings,
    stored=Subscription,
    store=lambda services: services.subscriptions,
    check=_problems,
    read_only=("receiver",),
    saving=lambda services, subscription: wake(services, subscription.id),
)
