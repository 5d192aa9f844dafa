"""What to fill in for well-known providers (req C7)."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.domain.presets import PRESETS

router = APIRouter(prefix="/api/presets", tags=["mailboxes"])


class Preset(BaseModel):
    """The beginning of a mailbox's `source`."""

    id: str
    name: str
    source: dict[str, Any]
    to_fill_in: tuple[str, ...] = Field(description="JSON paths in the source that people must add")
    warnings: tuple[str, ...]


class Presets(BaseModel):
    presets: list[Preset]


@router.get("")
def list_presets() -> Presets:
    """Sources of well-known providers, with what is left to fill in and the warnings that belong to them."""
    return Presets(presets=[Preset(**asdict(each)) for each in PRESETS])
