"""Testing a connection stage by stage, for what is saved or still being written (req O3, O4)."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared.application.notices_written import confirmation
from shared.application.ports.connections import CheckStage
from shared.application.ports.platform import SecretStore
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.errors import AddressUnusable, Invalid, Problem
from shared.domain.fields import EmailAddress, secret_names, told
from shared.domain.mailbox import Mailbox, MailboxSettings
from shared.domain.senders import Sender, SenderSettings


class Unsaved(BaseModel):
    """With the values of secrets that are not in Key Vault yet: used for this test only, and never stored or logged."""

    model_config = ConfigDict(extra="forbid")

    secrets: Annotated[dict[str, SecretStr], told("an object with the names and values of secrets")] = Field(
        default_factory=dict, description="values by the name that the configuration gives them"
    )


class ConnectionTest(Unsaved):
    """A mailbox as it is being written, and secrets for it."""

    mailbox: MailboxSettings


class SenderTest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    confirm_to: EmailAddress | None = Field(default=None, description="who gets a message if all goes well; or nobody")


class UnsavedSenderTest(Unsaved, SenderTest):
    """A sender as it is being written, and secrets for it."""

    sender: SenderSettings


class GivenFirst:
    """The secrets of the request before those of the vault."""

    def __init__(self, given: Mapping[str, SecretStr], vault: SecretStore) -> None:
        self._given = dict(given)
        self._vault = vault

    def get(self, name: str) -> str:
        return self._given[name].get_secret_value() if name in self._given else self._vault.get(name)

    def put(self, name: str, value: str, expires_at: datetime | None = None) -> None:
        """A refresh token that was renewed takes the place of the one given."""
        if name in self._given:
            self._given[name] = SecretStr(value)
        else:
            self._vault.put(name, value, expires_at)

    def expires_at(self, name: str) -> datetime | None:
        return self._vault.expires_at(name)

    def forget(self, name: str) -> None:
        self._vault.forget(name)


def check_unsaved(services: Services, data: object) -> list[CheckStage]:
    """:raises Invalid: the data is no such test."""
    test = read(ConnectionTest, data)
    mailbox = Mailbox(**dict(test.mailbox), id="unsaved", created_at=services.clock())
    return check(services, mailbox, GivenFirst(test.secrets, services.secrets))


def check(services: Services, mailbox: Mailbox, secrets: SecretStore | None = None) -> list[CheckStage]:
    _read_afresh(services, mailbox)
    with closing(services.open_source(mailbox, secrets)) as source:
        return list(source.check())


def check_unsaved_sender(services: Services, data: object) -> list[CheckStage]:
    """:raises Invalid: the data is no such test."""
    test = read(UnsavedSenderTest, data)
    sender = Sender(**dict(test.sender), id="unsaved", created_at=services.clock())
    return _checked(services, sender, test.confirm_to, GivenFirst(test.secrets, services.secrets))


def check_sender(services: Services, sender: Sender, data: object) -> list[CheckStage]:
    """:raises Invalid: the data is no such test."""
    return _checked(services, sender, read(SenderTest, data).confirm_to)


def _checked(
    services: Services, sender: Sender, confirm_to: str | None, secrets: SecretStore | None = None
) -> list[CheckStage]:
    try:
        mail = confirmation(services, sender, confirm_to) if confirm_to else None
    except AddressUnusable as error:
        raise Invalid([Problem("$.confirm_to", "cannot be written to")]) from error
    _read_afresh(services, sender)
    with closing(services.open_sender(sender, secrets)) as connection:
        return list(connection.check(mail))


def _read_afresh(services: Services, tested: Mailbox | Sender) -> None:
    """A test is of what is in Key Vault now, which is what whoever has changed a secret wants to know."""
    for name in secret_names(tested):
        services.secrets.forget(name)
