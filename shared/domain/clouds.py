"""Microsoft's clouds: where each signs in apps and people, and where it keeps their mail (req C12)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

CloudName = Literal["global", "us_government", "us_government_dod", "china"]


@dataclass(frozen=True, slots=True)
class Cloud:
    """Roots without a slash at the end. `outlook` is Exchange by the name that personal accounts know too: what people
    permit for IMAP, POP3 and SMTP is of it. `federated_audience` is what federated credentials are for.
    """

    login: str
    graph: str
    exchange: str
    outlook: str
    federated_audience: str


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
CLOUDS: Mapping[CloudName, Cloud] = {name: Cloud(**_TABLES[name]) for name in get_args(CloudName)}
