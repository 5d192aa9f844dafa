"""What an e-mail that is owed says: its bytes, the same at each try."""

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.application.announcing import words
from shared.application.notices import automatic, reply_id
from shared.application.services import Services
from shared.application.templates import BUILT_IN_LANGUAGES, render
from shared.domain.mailbox import Mailbox
from shared.domain.message import Address
from shared.domain.outbox import OutboxEntry
from shared.domain.outgoing import OutgoingAttachment, OutgoingMail, OutgoingMessage
from shared.domain.senders import Sender
from shared.domain.templates import (
    PARTS,
    CommentValues,
    PersonValues,
    TemplateKind,
    TemplateValues,
    TextValues,
    TicketValues,
    own_template,
)
from shared.domain.ticket import Comment, CommentKind, Ticket
from shared.mime import attachment_bytes, parse, safe_html
from shared.mime.compose import compose
from shared.mime.rich_text import html_of_text
from shared.telemetry import Event, emit


def written(
    services: Services, mailbox: Mailbox, sender: Sender, entry: OutboxEntry, ticket: Ticket | None
) -> tuple[OutgoingMail, str]:
    """The message as it goes through this sender, and what went wrong with the template for it, if anything.

    :raises AddressUnusable: it is addressed to what is no address.
    :raises NotFound: what it shall carry is past its retention.
    """
    told, notice = entry.payload, TemplateKind(entry.payload["notice"])
    to, cc = [Address(*each) for each in told["to"]], [Address(*each) for each in told["cc"]]
    comments = _comments(services, mailbox, told)
    comment = next((each for each in comments if each.seq == told.get("seq")), None)
    carried = comment.raw if comment and notice is TemplateKind.REPLY else None
    content = services.raws.get(mailbox.id, carried) if carried else b""
    values = _values(services, mailbox, told, ticket)
    values["recipient"] = _person(to[0]) if len(to) == 1 else PersonValues()
    values["comment"] = _comment(comment, content)
    rendered = render(
        notice,
        told["language"],
        TemplateValues(**{name: values[name] for name in PARTS[notice]}),
        own_template(services.templates.cached(), mailbox.id, notice, told["language"]),
    )
    before = [told["answers"]] if "answers" in told else [*_ids_before(services, mailbox, comments, comment)]
    message = OutgoingMessage(
        message_id=told["message_id"],
        sender=Address(sender.from_address, sender.from_name or mailbox.name),
        to=tuple(to),
        cc=tuple(cc),
        reply_to=_reply_to(mailbox, sender),
        at=datetime.fromisoformat(told["at"]),
        subject=rendered.subject,
        tag=ticket.tag if ticket else "",
        text=rendered.text,
        html=rendered.html,
        language=told["language"],
        references=tuple(before),
        attachments=_attached(content, comment),
        automatic=automatic(notice),
        loop_id=mailbox.id,
        unsubscribe_url=values["message"].url,
    )
    recipients = tuple(people_left(told)[: _most_at_once(sender)])
    mail = OutgoingMail(message.message_id, sender.from_address, recipients, compose(message))
    if not rendered.failed:
        return mail, ""
    emit(Event.TEMPLATE_FAILED, level=logging.WARNING, notice=notice.value)
    return mail, f"the template for it failed ({rendered.failed}), and the built-in text was sent instead"


def confirmation(services: Services, sender: Sender, to: str) -> OutgoingMail:
    """What shows somebody that a sender works (req O4), in the language of the mailboxes that it sends for.

    :raises AddressUnusable: nobody can be written to there.
    """
    mailboxes = services.mailboxes.cached()
    served = [each for each in mailboxes if each.notices.sender_id == sender.id] or mailboxes
    language = next((each.notices.language for each in served), BUILT_IN_LANGUAGES[0])
    kind, named = TemplateKind.CONFIRMATION, PersonValues(sender.from_name or sender.name, sender.from_address)
    own = own_template(services.templates.cached(), None, kind, language)
    rendered = render(kind, language, TemplateValues(named, PersonValues("", to)), own)
    message = OutgoingMessage(
        message_id=f"<{uuid.uuid4().hex}@mailroom.invalid>",
        sender=Address(sender.from_address, sender.from_name),
        to=(Address(to, ""),),
        at=services.clock(),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        language=language,
        reply_to=(Address(sender.reply_to, ""),) if sender.reply_to else (),
        automatic=automatic(kind),
    )
    return OutgoingMail(message.message_id, sender.from_address, (to,), compose(message))


def people_left(told: Mapping[str, Any]) -> list[str]:
    """The addresses that do not have the message yet."""
    return [*(told.get("left") or (address for address, _ in (*told["to"], *told["cc"])))]


def _most_at_once(sender: Sender) -> int | None:
    """None where the provider writes to all whom the message names, whatever the envelope says."""
    return sender.limits.recipients_per_message if sender.transport.kind == "smtp" else None


def _comments(services: Services, mailbox: Mailbox, told: Mapping[str, Any]) -> Sequence[Comment]:
    """What was said in the ticket, where the message shows some of it or must name what it answers."""
    shows = "comment" in PARTS[TemplateKind(told["notice"])]
    if "ticket" not in told or ("answers" in told and not shows):
        return ()
    return services.tickets.comments(mailbox.id, told["ticket"])


def _ids_before(
    services: Services, mailbox: Mailbox, comments: Iterable[Comment], comment: Comment | None
) -> Iterable[str]:
    """The ids of the public comments that came before, oldest first; those made here have that of their e-mail."""
    for each in comments:
        if each.kind is CommentKind.PUBLIC and (comment is None or each.seq < comment.seq):
            number = each.ticket_number
            yield each.message_id or services.own_ids.sign(mailbox, number, reply_id(number, each.seq))


def _reply_to(mailbox: Mailbox, sender: Sender) -> tuple[Address, ...]:
    """Answers come back to the mailbox, whichever sender stands in."""
    address = sender.reply_to or mailbox.address
    return () if address.casefold() == sender.from_address.casefold() else (Address(address, mailbox.name),)


def _attached(content: bytes, comment: Comment | None) -> tuple[OutgoingAttachment, ...]:
    found = (attachment_bytes(content, each.index) for each in comment.attachments if content) if comment else ()
    return tuple(
        OutgoingAttachment(each.name, each.content_type, its_bytes, each.content_id or "")
        for each, its_bytes in filter(None, found)
    )


def _values(services: Services, mailbox: Mailbox, told: Mapping[str, Any], ticket: Ticket | None) -> dict[str, Any]:
    """All but who it goes to, and what is said in the ticket."""
    text = told.get("text", "")
    said = TextValues(told.get("subject", ""), text, html_of_text(text))
    return {
        "mailbox": PersonValues(mailbox.name, mailbox.address),
        "requester": _person(ticket.requester) if ticket else None,
        "ticket": _ticket(services, ticket) if ticket else None,
        "message": words(services, told) if "announcement" in told else said,
    }


def _person(address: Address) -> PersonValues:
    return PersonValues(address.name, address.address)


def _ticket(services: Services, ticket: Ticket) -> TicketValues:
    public = services.settings.public_url
    names = ("subject", "type", "priority", "category", "service", "company", "group", "assignee", "tags")
    return TicketValues(
        tag=ticket.tag,
        url=f"{public}/#/tickets/{ticket.tag}" if public else "",
        status=ticket.status.value,
        fields=ticket.custom,
        **{name: getattr(ticket, name) for name in names},
    )


def _comment(comment: Comment | None, content: bytes) -> CommentValues:
    """Whole and with its formatting, where it was written here; other messages come with what they quote."""
    if comment is None:
        return CommentValues("", "")
    is_ours = bool(content) and comment.message_id is None
    html = safe_html(content, image_url=lambda image, _: f"cid:{image.content_id}") if is_ours else None
    names = tuple(each.name for each in comment.attachments)
    author = comment.author.name or comment.author.address
    text = parse(content).text if is_ours and comment.is_cut else comment.text
    return CommentValues(text, html or html_of_text(text), author, names)
