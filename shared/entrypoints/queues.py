"""The queue triggers."""

import json

import azure.functions as func

from shared.entrypoints.services import ready_services

blueprint = func.Blueprint()


@blueprint.queue_trigger(arg_name="message", queue_name="polls", connection="DATA_STORAGE")
def poll_mailbox(message: func.QueueMessage) -> None:
    """Poll one mailbox within the time budget, or import a part of its older mail; puts itself back on the queue when
    more is waiting.
    """
    from shared.application import imports
    from shared.application.poll import poll
    from shared.application.ports.platform import PollRequest

    if services := ready_services():
        request = PollRequest(**json.loads(message.get_body()))
        handle = imports.work if request.import_id else poll
        handle(services, request)


@blueprint.queue_trigger(arg_name="message", queue_name="deliveries", connection="DATA_STORAGE")
def deliver(message: func.QueueMessage) -> None:
    """Make e-mails and webhooks of the events of one mailbox and send what is due, or try one of them again."""
    from shared.application import deliver as delivering
    from shared.application.ports.platform import DeliveryRequest

    if services := ready_services():
        delivering.deliver(services, DeliveryRequest(**json.loads(message.get_body())))
