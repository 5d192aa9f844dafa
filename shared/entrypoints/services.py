"""The services for a trigger that nobody waits for."""

import logging

from shared.application.services import Services
from shared.bootstrap import services
from shared.domain.errors import SettingsError
from shared.telemetry import Event, emit


def ready_services() -> Services | None:
    """None while the app settings are wrong: it is said in the log and on `/api/health`, and nothing is polled."""
    try:
        return services()
    except SettingsError as error:
        emit(Event.SETTINGS_INVALID, level=logging.CRITICAL, problems=error.problems)
        return None
