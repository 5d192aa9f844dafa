from dataclasses import dataclass

from tests.scripted import ScriptedServer

MESSAGE = "Subject: Scripted\r\n\r\nHello\r\n"


@dataclass
class ScriptedPop3(ScriptedServer):
    usual = {  # noqa: RUF012 - nobody changes it
        "": "+OK\r\n",
        "CAPA": "+OK\r\nTOP\r\nUIDL\r\nUSER\r\n.\r\n",
        "UIDL": "+OK\r\n1 a\r\n.\r\n",
        "LIST": f"+OK\r\n1 {len(MESSAGE)}\r\n.\r\n",
        "RETR": f"+OK\r\n{MESSAGE}.\r\n",
        "TOP": f"+OK\r\n{MESSAGE}.\r\n",
    }
    start_tls = ("STLS", "+OK begin")

    greeting: str = "+OK ready\r\n"
