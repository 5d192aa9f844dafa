"""What a mailbox tells people by itself, from whom, and in which language (req M3, M5, M6)."""

from pydantic import Field

from shared.domain.document import DocumentId
from shared.domain.fields import Model
from shared.domain.limits import AutomaticLimits
from shared.domain.templates import Language


class Notices(Model):
    """The e-mails of a mailbox. None are sent while there are no senders."""

    sender_id: DocumentId | None = Field(
        default=None,
        description="who they are from, unless an outgoing rule chooses another; unset is the primary sender",
    )
    technicians_choose_sender: bool = Field(
        default=True, description="whether a technician may choose the sender of an answer"
    )
    language: Language = Field(default="en", description="where neither a contact nor what they wrote tells another")
    acknowledge: bool = Field(default=True, description="tell requesters of their new tickets")
    notify: bool = Field(default=True, description="tell the technician or the group what has arrived for them")
    closed: bool = Field(default=True, description="tell requesters that their ticket was closed")
    reopened: bool = Field(default=True, description="tell requesters that it was opened again")
    refused: bool = Field(default=False, description="tell people that their message was refused, and not read")
    limits: AutomaticLimits = AutomaticLimits()
