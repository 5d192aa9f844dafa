"""What holds for the whole installation: whether mail becomes tickets at all, and who is told when that breaks."""

from typing import Annotated

from pydantic import Field

from shared.domain.fields import Document, EmailAddress, Name, Settings

INSTALLATION_ID = "installation"


class InstallationSettings(Settings):
    """The settings of the installation as people write them."""

    name: Name = Field(default="Mailroom", description="how alerts call this installation")
    email_to_ticket: bool = Field(
        default=True, description="false stops all polls (req O10): mail waits in its mailboxes until it is true again"
    )
    alert_addresses: Annotated[tuple[EmailAddress, ...], Field(max_length=20)] = Field(
        default=(), description="who gets an e-mail when a mailbox breaks, and when it works again (req O7)"
    )


class Installation(InstallationSettings, Document):
    """The settings as they are stored; there is one document of them."""
