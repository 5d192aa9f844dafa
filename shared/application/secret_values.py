"""Secrets that people write and nobody reads back (req S4)."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

from shared.application.auditing import audited
from shared.application.services import Services
from shared.application.validation import read
from shared.domain.audit import HIDDEN

_MOST_BYTES = 25_600


def _fitting(value: SecretStr) -> SecretStr:
    if not 0 < len(value.get_secret_value().encode()) <= _MOST_BYTES:
        raise PydanticCustomError("size", "must be text of 1 to 25600 bytes, as Key Vault takes it")
    return value


class SecretValue(BaseModel):
    """The new value of a secret."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[SecretStr, AfterValidator(_fitting)]
    expires_at: AwareDatetime | None = Field(default=None, description="when it stops working at its provider")


def store(services: Services, name: str, data: object) -> None:
    """:raises Invalid: the data is no such value."""
    given = read(SecretValue, data)
    with audited(services, "secret", name, "set", after={"value": HIDDEN, "expires_at": given.expires_at}):
        services.secrets.put(name, given.value.get_secret_value(), given.expires_at)
