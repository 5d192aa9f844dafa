"""The stages of a POP3 connection test."""

from datetime import datetime

from shared.adapters.sources.checks import Check, Finding
from shared.adapters.sources.pop3_connection import Pop3Connection
from shared.domain.errors import SourceMisconfigured
from shared.domain.mailbox import Mailbox
from shared.domain.providers import retirement
from shared.domain.settlement import Delete, Move


class Pop3Check(Check):
    stages = ("name", "port", "tls", "sign_in", "mailbox", "settlement", "waiting")
    _connection: Pop3Connection

    def __init__(self, mailbox: Mailbox, now: datetime, connection: Pop3Connection) -> None:
        super().__init__(now, retirement(mailbox.source))
        self._mailbox = mailbox
        self._connection = connection

    def sign_in(self) -> Finding:
        self._connection.sign_in()
        return Finding("The server accepts the sign-in.")

    def mailbox(self) -> Finding:
        return Finding(f"The mailbox has {len(self._connection.numbers())} messages.")

    def settlement(self) -> Finding:
        match self._mailbox.settlement:
            case Delete():
                return Finding("Messages are deleted from the server.")
            case Move():
                advice = "Leave messages on the server, or delete them."
                raise SourceMisconfigured("POP3 cannot move messages.", advice=advice)
            case _:
                return Finding("Messages stay on the server, where POP3 cannot mark them.")

    def waiting(self) -> Finding:
        if self._mailbox.start_from:
            return Finding("A first poll would take in 0 messages: what is there then counts as the past.")
        return Finding(f"A first poll would take in {len(self._connection.numbers())} messages.")
