"""What an editor begins with: well-known providers, and what is ready-made for the text of mail (req C7, K5-K7)."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from shared.domain.incidents import MONITORING_PRESETS, MonitoringPreset
from shared.domain.preprocessing import STRIP_PRESETS, StripPreset
from shared.domain.providers import PRESETS, Preset
from shared.domain.ticket_types import BUILT_IN, TicketTypeSettings

router = APIRouter(prefix="/api/presets", tags=["mailboxes"])


class Presets(BaseModel):
    presets: tuple[Preset, ...]


@router.get("")
def list_presets() -> Presets:
    """Sources of well-known providers, with what is left to fill in and the warnings that belong to them."""
    return Presets(presets=PRESETS)


class ProcessingPresets(BaseModel):
    """A mailbox turns rules on by their ids, or has copies of them as its own; ticket types it names by their ids."""

    preprocessing: tuple[StripPreset, ...]
    incidents: tuple[MonitoringPreset, ...]
    ticket_types: Mapping[str, TicketTypeSettings]


@router.get("/processing")
def list_processing_presets() -> ProcessingPresets:
    """Ready-made rules that strip text or recognise monitoring mail, with their patterns; and built-in ticket types."""
    return ProcessingPresets(preprocessing=STRIP_PRESETS, incidents=MONITORING_PRESETS, ticket_types=BUILT_IN)
