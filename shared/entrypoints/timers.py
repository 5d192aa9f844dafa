"""The timer triggers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from shared.entrypoints.services import ready_services

if TYPE_CHECKING:  # indexing the functions must not pay for it
    from shared.application.services import Services

blueprint = func.Blueprint()


@blueprint.timer_trigger(schedule="%POLL_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=True)
def schedule_polls(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding wants it
    """Find the mailboxes that are due and put one message each on the `polls` queue."""
    from shared.application.schedule import schedule_polls as schedule

    if services := ready_services():
        schedule(services)


@blueprint.timer_trigger(schedule="%RETENTION_SCHEDULE%", arg_name="timer", run_on_startup=False, use_monitor=True)
def retention(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding wants it
    """Remove what is past its retention."""
    from shared.application.retention import remove_what_is_past

    if services := ready_services():
        remove_what_is_past(services)


@blueprint.timer_trigger(schedule="0 */5 * * * *", arg_name="timer", run_on_startup=False, use_monitor=True)
def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding wants it
    """Pick up what is owed and was left behind, renew what makes push work, and alert people of what broke or works
    again.
    """
    from shared.application import outbox
    from shared.application.alerts import raise_alerts
    from shared.application.imports import wake
    from shared.application.push import look_after_watches

    if services := ready_services():
        _each(services, outbox.sweep, raise_alerts, look_after_watches, wake)


def _each(services: "Services", *tasks: Callable[["Services"], object]) -> None:
    """All of them, also where one fails. :raises ExceptionGroup: with what failed, for the host to log."""
    failed = []
    for task in tasks:
        try:
            task(services)
        except Exception as error:  # noqa: BLE001 - the boundary of a task: the others must not wait for its cure
            failed.append(error)
    if failed:
        raise ExceptionGroup("tasks of the sweep", failed)
