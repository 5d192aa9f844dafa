"""Two workers on one mailbox: one of them gives way, and nothing is doubled or skipped."""

from datetime import timedelta

from shared.domain.settlement import MarkRead
from tests.reliability.conftest import Provider, conversation
from tests.reliability.worker import start_poll

ROUNDS = 4
WORKERS = 3


def test_workers_that_poll_the_same_mailbox_at_once_do_not_disturb_each_other(provider: Provider, services):
    for round_ in range(ROUNDS):
        mailbox = provider.mailbox(conversation(), MarkRead())
        services.mailboxes.add(mailbox)

        # Every second round the lease of one looks over to the next: then only the ETag is left to guard.
        later = [timedelta(minutes=10 * worker * (round_ % 2)) for worker in range(WORKERS)]
        running = [start_poll(provider.world.environment, mailbox.id, later=each) for each in later]
        for process, _ in running:
            process.join(60)
        finish, _ = start_poll(provider.world.environment, mailbox.id, later=timedelta(hours=1))
        finish.join(60)

        tickets = services.tickets.tickets(mailbox.id, open_only=False, limit=100, before=None)
        assert [process.exitcode for process, _ in [*running, (finish, None)]] == [0] * (WORKERS + 1)
        assert sorted((ticket.number, ticket.subject, ticket.comment_count) for ticket in tickets) == [
            (1, "first", 2),
            (2, "large", 1),
            (3, "no id", 1),
        ]
        assert all(found.is_read for found in provider.folder(mailbox, provider.inbox))
