"""What configurations are made of: what every kind of them has, and the kinds of their values, each with what it must
be in words.
"""

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WrapValidator,
)
from pydantic_core import PydanticCustomError


class Model(BaseModel):
    """What all parts of the configuration share: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def told(expected: str) -> WrapValidator:
    """Say in words what is expected instead of what did not match."""

    def validated(value: Any, validate: Callable[[Any], Any]) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise PydanticCustomError("expected", f"must be {expected}") from None

    return WrapValidator(validated)


def _known_secret(name: str, info: ValidationInfo) -> str:
    """Ask whoever validates, where they pass `secret_exists` as context; what is stored is read without."""
    if info.context and not info.context["secret_exists"](name):
        raise PydanticCustomError("secret_unknown", "names no secret that is there and enabled in Key Vault")
    return name


def _not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise PydanticCustomError("too_short", "must have at least one item")
    return values


NotEmpty = AfterValidator(_not_empty)
"""`min_length` counts the items that are valid, and so tells of a second problem where the only item is wrong."""


SecretName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$"),
    told("the name of a secret in Key Vault (letters, digits and hyphens), never the secret itself"),
    AfterValidator(_known_secret),
]
"""The name of a secret in Key Vault (its rule for names), never a value."""


def secret_names(settings: BaseModel) -> Iterator[str]:
    """The names of all secrets in a configuration: fields that hold one are called so."""
    for name, value in settings:
        if isinstance(value, BaseModel):
            yield from secret_names(value)
        elif name.endswith("secret") and isinstance(value, str):
            yield value


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(name: str, info: ValidationInfo) -> str:
    """Asked when somebody saves it; what is stored is read without."""
    if info.context is not None and _CONTROLS.search(name):
        raise PydanticCustomError("expected", "must be on one line, without control characters")
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line)]

EmailAddress = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^@\s\x00-\x1f\x7f<>\"(),:;\\\[\]]+@[^@\s\x00-\x1f\x7f<>\"(),:;\\\[\]]+$", max_length=254
    ),
    told("one e-mail address without a display name"),
]

Account = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=254),
    told("the account that signs in, without control characters"),
]

Host = Annotated[
    str,
    StringConstraints(pattern=r"^([\w.-]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*)$", max_length=253),
    told("a host name or an IP address, without scheme, port, user or path"),
]

Port = Annotated[int, Field(ge=1, le=65535)]

Guid = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
    told("the application (client) id of the app registration, a GUID"),
]


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        fits = False
    if not fits or parts.username or parts.fragment:
        raise PydanticCustomError("https", "must be an https:// address with a possible port, no user and no fragment")
    return url


HttpsUrl = Annotated[str, StringConstraints(max_length=500), AfterValidator(_https)]

FolderPath = Annotated[str, StringConstraints(min_length=1, max_length=500)]


def _split(value: Any) -> Any:
    """One text with `,` or `;` between the folders is a list as well (req F2)."""
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split("[,;]", value) if part.strip())
    return tuple(value) if isinstance(value, list) else value


Folders = Annotated[
    tuple[FolderPath, ...],
    BeforeValidator(_split),
    Field(
        min_length=1, max_length=20, description="paths with `/` between segments; a list, or one text with `,` or `;`"
    ),
]


def _certificates_only(pem: str) -> str:
    if "-----BEGIN CERTIFICATE-----" not in pem or "PRIVATE KEY" in pem:
        raise PydanticCustomError("pem", "must be certificates in PEM form, without a private key")
    return pem


class Tls(Model):
    """How the connection is secured (req T1-T3). TLS is 1.2 or later in every mode."""

    mode: Literal["none", "starttls_if_available", "starttls", "tls"] = "tls"
    verify: bool = Field(default=True, description="false accepts any certificate; health then warns")
    ca_certificate: Annotated[str, AfterValidator(_certificates_only)] | None = Field(
        default=None, max_length=20_000, description="PEM of a private certificate authority to trust as well"
    )


class Proxy(Model):
    """A proxy between Mailroom and the mail server (req C11)."""

    kind: Literal["http", "socks5"]
    host: Host
    port: Port
    username: Account | None = None
    password_secret: SecretName | None = None


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
