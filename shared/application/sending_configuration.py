"""Configured senders, outgoing rules and templates (req M1, M4, M5)."""

from collections.abc import Iterable, Iterator

from shared.application.configuration import Checked, Kind, put, text_at
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.application.templates import check_template, preview
from shared.application.validation import validated
from shared.domain.errors import Invalid, Problem
from shared.domain.outgoing_rules import OutgoingRule, OutgoingRuleSettings
from shared.domain.senders import Sender, SenderSettings
from shared.domain.templates import Rendered, Template, TemplateSettings


def make_primary(services: Services, current: Versioned[Sender]) -> Versioned[Sender]:
    """Have it stand in for all others.

    :raises Invalid: it is not enabled.
    :raises PreconditionFailed: it is not the current version any more.
    """
    if not current.value.enabled:
        raise Invalid([Problem("$.enabled", "must be true before the sender can be the primary one")])
    chosen = current.value.model_copy(update={"made_primary_at": services.clock()})
    return put(services, SENDERS, current, chosen, "made primary")


def _needed_by(services: Services, sender: Sender) -> Iterator[str]:
    """Without any sender nothing would ever be done about what is owed."""
    for mailbox in services.mailboxes.all():
        if mailbox.value.notices.sender_id == sender.id:
            yield f"mailbox {mailbox.value.id}"
    for rule in services.outgoing_rules.all():
        if rule.value.sender_id == sender.id:
            yield f"outgoing rule {rule.value.id}"
    if all(each.value.id == sender.id for each in services.senders.all()):
        for mailbox in services.mailboxes.all():
            if services.tickets.owed(mailbox.value.id, "email", 1):
                yield f"what waits to be sent in mailbox {mailbox.value.id}"


def previewed(data: object) -> Rendered:
    """How a template would look that is still being written. :raises Invalid: with every problem."""
    template, problems = validated(TemplateSettings, data)
    problems += check_template(template) if template else ()
    if problems or template is None:
        raise Invalid(problems)
    return preview(template.kind, template.language, template)


def _template_problems(checked: Checked[Template]) -> Iterable[Problem]:
    template = checked.settings
    if template is None:
        return
    yield from check_template(template)
    if template.mailbox_id and template.mailbox_id not in _ids(checked.services):
        yield Problem("$.mailbox_id", "is no mailbox")
    place = (template.mailbox_id, template.kind, template.language)
    for other in checked.others:
        if (other.mailbox_id, other.kind, other.language) == place:
            yield Problem("$.kind", f"has a template in this language for the same mailboxes: {other.id}")


def _ids(services: Services) -> set[str]:
    return {each.value.id for each in services.mailboxes.all()}


def _rule_problems(checked: Checked[OutgoingRule]) -> Iterable[Problem]:
    named = text_at(checked.data, "sender_id")
    if named and named not in {each.value.id for each in checked.services.senders.all()}:
        yield Problem("$.sender_id", "is no sender")


SENDERS = Kind(
    noun="sender",
    settings=SenderSettings,
    stored=Sender,
    store=lambda services: services.senders,
    read_only=("primary", "warnings"),
    exported=("made_primary_at",),
    needed_by=_needed_by,
)
TEMPLATES = Kind(
    noun="template",
    settings=TemplateSettings,
    stored=Template,
    store=lambda services: services.templates,
    check=_template_problems,
)
OUTGOING_RULES = Kind(
    noun="outgoing rule",
    settings=OutgoingRuleSettings,
    stored=OutgoingRule,
    store=lambda services: services.outgoing_rules,
    check=_rule_problems,
)
