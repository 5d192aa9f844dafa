"""A long run of many mailboxes in all states that mailboxes have, with time compressed and, if wanted, with faults."""
