"""The settings of the installation: one document, which has its defaults until somebody changes it."""

from contextlib import suppress
from datetime import UTC, datetime

from shared.application.configuration import Kind, find
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.errors import Conflict
from shared.domain.installation import INSTALLATION_ID, Installation, InstallationSettings

_UNTOUCHED = Installation(id=INSTALLATION_ID, created_at=datetime.fromtimestamp(0, UTC))


def installation(services: Services) -> Installation:
    """As it was some seconds ago."""
    return next(iter(services.installation.cached()), _UNTOUCHED)


def for_editing(services: Services) -> Versioned[Installation]:
    """As it is now; there from the first time that somebody asks."""
    if services.installation.get(INSTALLATION_ID) is None:
        with suppress(Conflict):
            services.installation.add(_UNTOUCHED)
    return find(services, INSTALLATION, INSTALLATION_ID)


def _begin_again(services: Services, changed: Installation) -> None:
    """When polling is switched on, every mailbox is due, and not late."""
    if changed.email_to_ticket and not for_editing(services).value.email_to_ticket:
        services.schedule.begin([each.value.id for each in services.mailboxes.all()], services.clock())


INSTALLATION = Kind(
    noun="installation",
    settings=InstallationSettings,
    stored=Installation,
    store=lambda services: services.installation,
    saving=_begin_again,
)
