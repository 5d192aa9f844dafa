"""What SMTP servers refuse, by their codes (RFC 5321 section 4.2, RFC 3463, RFC 4954 section 6), and what to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.domain.errors import (
    AccessDenied,
    AppError,
    CredentialsRejected,
    MessageRefused,
    MessageTooLarge,
    SourceMisbehaved,
    SourceMisconfigured,
    SourceUnavailable,
    Throttled,
)

Step = Literal["connect", "start TLS", "sign in", "name the sender", "name a recipient", "hand over the message"]

ADVICE_ON_PROTOCOL = "Check that host and port are those of an SMTP server."
_SEND_AS = (
    "Let the account that signs in send as the sender's address (in Exchange: Add-RecipientPermission with SendAs), or "
    "use the account's own address."
)
_ADDRESS = "Check the sender's address, and that this server sends for its domain and for the account."
_SIGN_IN = "Choose a way to sign in, and a TLS mode that encrypts; without one, have the server let this app send."
_OTHER_WAY = "Make an app password for the account and store it as the secret, or sign in with OAuth 2."
_SMTP_AUTH = (
    "Turn SMTP AUTH on for the mailbox (Set-CASMailbox -SmtpClientAuthenticationDisabled $false) and look for security "
    "defaults and access policies that forbid it; where a password signs in, use OAuth 2 instead."
)
_LARGE = "Send it without its attachments, or have the server take larger messages."
_BLOCKED = "Ask the administrator of the mail server why it blocks this app or its account."

_Meaning = tuple[type[AppError], str, str]

_BY_STATUS: Mapping[str, _Meaning] = {
    "4.7.12": (CredentialsRejected, "The account must set a new password.", "Set a new password and store it."),
    "5.1.7": (AccessDenied, "The server does not take the sender's address.", _ADDRESS),
    "5.1.8": (AccessDenied, "The server does not send for this address, or has blocked it.", _ADDRESS),
    "5.2.2": (MessageRefused, "The recipient's mailbox is full.", ""),
    "5.2.3": (MessageTooLarge, "The message is too large for the server.", _LARGE),
    "5.2.252": (AccessDenied, "The account may not send as this address.", _SEND_AS),
    "5.3.4": (MessageTooLarge, "The message is too large for the server.", _LARGE),
    "5.4.5": (Throttled, "The account has sent as much as its provider allows.", "Send less, or raise the limit."),
    "5.6.7": (MessageRefused, "The server takes no addresses beyond ASCII.", "Use an address in ASCII."),
    "5.7.9": (CredentialsRejected, "The provider takes no account passwords.", _OTHER_WAY),
    "5.7.30": (
        CredentialsRejected,
        "Exchange Online takes no passwords for sending any more.",
        "Sign in with Microsoft or as an app.",
    ),
    "5.7.57": (AccessDenied, "The server sends only for those who sign in.", _SIGN_IN),
    "5.7.60": (AccessDenied, "The account may not send as this address.", _SEND_AS),
    "5.7.139": (
        AccessDenied,
        "Exchange lets the account send no mail by SMTP.",
        _SMTP_AUTH,
    ),
    "5.7.708": (AccessDenied, "Exchange Online lets the tenant send no mail.", _BLOCKED),
    "5.7.750": (AccessDenied, "Exchange Online lets the domain send no mail.", _BLOCKED),
}
_BY_CODE: Mapping[int, _Meaning] = {
    530: (AccessDenied, "The server sends only for those who sign in, or only over TLS.", _SIGN_IN),
    534: (CredentialsRejected, "The server takes no such sign-in for this account.", _OTHER_WAY),
    535: (CredentialsRejected, "The server rejects the sign-in.", ""),
    538: (
        SourceMisconfigured,
        "The server takes this sign-in only over TLS.",
        "Choose a TLS mode that encrypts the connection.",
    ),
    552: (MessageTooLarge, "The message is too large for the server.", _LARGE),
    553: (AccessDenied, "The account may not send as this address.", _SEND_AS),
}
_BY_STEP: Mapping[Step, _Meaning] = {
    "connect": (AccessDenied, "The server lets this app not connect.", _BLOCKED),
    "start TLS": (SourceMisconfigured, "The server does not start TLS.", "Use the mode `tls` with its own port."),
    "sign in": (
        SourceMisconfigured,
        "The server does not take this way to sign in.",
        "Choose the method `auto`, or another way to sign in.",
    ),
    "name the sender": (AccessDenied, "The server does not take the sender's address.", _ADDRESS),
    "name a recipient": (MessageRefused, "The server does not take the recipient.", ""),
    "hand over the message": (MessageRefused, "The server refuses the message.", ""),
}


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: bytes

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def status(self) -> str:
        """That of RFC 3463; made from the code where the server gives none."""
        given = re.match(rb"([245]\.\d{1,3}\.\d{1,3})\b", self.text)
        return given[1].decode() if given else f"{self.code // 100}.0.0"

    @property
    def is_about_the_sender(self) -> bool:
        """Whether a recipient was refused for a reason that is none of theirs. Postfix says of each recipient that it
        does not take the sender.
        """
        return self.code in (421, 530) or self.status == "5.7.57" or (self.code, self.status) == (553, "5.7.1")


def refusal(step: Step, reply: Reply) -> AppError:
    """Who must act on a refusal. The server's own words stay out of it: they may name people."""
    where = f" ({reply.code} {reply.status})"
    if reply.code < 400:
        return SourceMisbehaved(f"The server gives a strange answer{where}.", advice=ADVICE_ON_PROTOCOL)
    meaning = _BY_STATUS.get(reply.status) or _BY_CODE.get(reply.code)
    if meaning is None and reply.code < 500:
        kind = Throttled if reply.status.startswith(("4.3.2", "4.5.3", "4.7.")) else SourceUnavailable
        return kind(f"The server cannot {step} now{where}.")
    error, text, advice = meaning or _BY_STEP[step]
    return error(text.removesuffix(".") + where + ".", advice=advice)
