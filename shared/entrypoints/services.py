"""The services for a trigger that nobody waits for."""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # indexing the functions must not pay for importing what they need
    from shared.application.services import Services


def ready_services() -> "Services | None":
    """None while the app settings are wrong: it is said in the log and on `/api/health`, and nothing is polled."""
    from shared.bootstrap import services
    from shared.domain.errors import SettingsError
    from shared.telemetry import Event, emit

    try:
        return services()
    except SettingsError as error:
        emit(Event.SETTINGS_INVALID, level=logging.CRITICAL, problems=error.problems)
        return None
