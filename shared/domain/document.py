"""What every kind of stored configuration has: an id, a beginning and a version of its schema."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from shared.domain.fields import Model, Name

DocumentId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""Made from the name when it is first saved; it never changes, because other rows and other documents name it."""


class Settings(Model):
    """Configuration as people write it."""

    schema_version: Literal[1] = 1
    name: Name


class Document(Settings):
    """Configuration as it is stored."""

    id: DocumentId
    created_at: AwareDatetime
