"""What can go wrong, split by who must act and whether waiting helps; callers never read the text.

AppError
├── SettingsError            the deployment is wrong
├── MailboxError             this mailbox or sender does not work until somebody changes something
│   ├── CredentialsRejected
│   ├── SecretMissing
│   ├── SecretsReadOnly
│   ├── AccessDenied
│   ├── FolderMissing
│   ├── CertificateRejected
│   └── SourceMisconfigured
│       └── TargetRefused
├── SourceError              the provider, right now
│   ├── SourceUnavailable    waiting helps
│   │   └── Throttled
│   ├── CursorExpired        list everything again; the receipts recognise what was taken in
│   └── SourceMisbehaved     it broke its own protocol
├── MessageError             this message only
│   ├── MessageGone          deleted or moved by somebody else meanwhile
│   └── AddressUnusable      it is to be sent to what is no address
├── SendError                this message could not be sent; the sender works
│   ├── MessageRefused       not in this form, now or later
│   │   └── MessageTooLarge
│   └── OutcomeUnknown       it was handed over, and nobody knows whether it was taken
├── StoreError
│   ├── Conflict             somebody was faster
│   ├── StoreRejected        the store does not take this data, now or later
│   ├── WrittenByNewer       what is stored was written by a later version of this application
│   └── StoreUnavailable     waiting helps
├── Unfit                    what a rule, a mapping or a pattern yields here; noted, and the message goes its way
└── RequestError             an API call that cannot be served
    ├── Invalid
    ├── NotFound
    └── PreconditionFailed
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


class AppError(Exception):
    """Base of all errors of this application.

    `code` is stable and machine-readable; `advice` tells the person who must act what to do. Neither
    the text nor the advice ever holds a secret, an address or a subject. `usual_advice` stands where none is given.
    """

    code = "internal_error"
    usual_advice = ""

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(message or self.code)
        self.advice = advice or self.usual_advice


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration or a request, and where (a JSON path such as `$.source.port`)."""

    path: str
    message: str


class SettingsError(AppError):
    """The application's own settings are missing or wrong; `problems` lists all of them."""

    code = "settings_invalid"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems), advice="Correct the app settings and restart the app.")
        self.problems = tuple(problems)


class MailboxError(AppError):
    code = "mailbox_error"


class CredentialsRejected(MailboxError):
    code = "credentials_rejected"


class SecretMissing(MailboxError):
    code = "secret_missing"


class SecretUnusable(SecretMissing):
    """It is there, and has no value that may be read."""


class SecretsReadOnly(MailboxError):
    code = "secrets_read_only"

    def __init__(self) -> None:
        super().__init__(
            "This deployment does not let the app write secrets.",
            advice="Deploy it with allowSecretWrites (it sets ALLOW_SECRET_WRITES, and gives the app's identity the "
            "role for it), or put the secret into Key Vault by other means.",
        )


class AccessDenied(MailboxError):
    code = "access_denied"


class FolderMissing(MailboxError):
    code = "folder_missing"


class CertificateRejected(MailboxError):
    """`reason` is `expired`, `not_yet_valid`, `other_name`, `self_signed`, `unknown_authority`, `too_old` (the
    protocol) or `invalid`.
    """

    code = "certificate_rejected"

    def __init__(self, message: str = "", *, advice: str = "", reason: str = "invalid") -> None:
        super().__init__(message, advice=advice)
        self.reason = reason


class SourceMisconfigured(MailboxError):
    code = "source_misconfigured"


class TargetRefused(SourceMisconfigured):
    """The host is one that must not be reached from here, whoever asks for it."""

    code = "target_refused"


class SourceError(AppError):
    code = "source_error"


class SourceUnavailable(SourceError):
    """`retry_after` is how long the provider asked us to wait, where it did."""

    code = "source_unavailable"
    usual_advice = (
        "It may pass: polls and deliveries try again by themselves. Where it lasts, see whether the service or server "
        "is up, and can be reached from where the app runs."
    )

    def __init__(self, message: str = "", *, advice: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(message, advice=advice)
        self.retry_after = retry_after


class Throttled(SourceUnavailable):
    code = "throttled"
    usual_advice = (
        "It passes: polls and deliveries wait as long as they are asked to, and go on by themselves. Where it comes "
        "back again and again, poll less often, or have the provider raise the limit."
    )


class CursorExpired(SourceError):
    code = "cursor_expired"


class SourceMisbehaved(SourceError):
    code = "source_misbehaved"
    usual_advice = (
        "Polls and deliveries try again by themselves. Where it lasts, check that host and port lead to the right "
        "service, and have those who run it look into its log."
    )


class MessageError(AppError):
    code = "message_error"


class MessageGone(MessageError):
    code = "message_gone"


class AddressUnusable(MessageError):
    code = "address_unusable"


class SendError(AppError):
    code = "send_error"


class MessageRefused(SendError):
    code = "message_refused"


class MessageTooLarge(MessageRefused):
    code = "message_too_large"


class OutcomeUnknown(SendError):
    code = "outcome_unknown"

    def __init__(self) -> None:
        super().__init__(
            "The connection ended before the server said whether it takes the message.",
            advice="Find out whether it has arrived before it is sent again.",
        )


class StoreError(AppError):
    code = "store_error"


class Conflict(StoreError):
    code = "conflict"


class StoreRejected(StoreError):
    code = "store_rejected"


class WrittenByNewer(StoreError):
    code = "written_by_newer"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was written by a newer version of Mailroom", advice="Deploy that version again, or a later one."
        )


class StoreUnavailable(StoreError):
    code = "store_unavailable"


class Unfit(AppError):
    """A value that its field cannot have, or a pattern that is none; the text continues a sentence about it."""

    code = "unfit"


class RequestError(AppError):
    code = "bad_request"


class Invalid(RequestError):
    """The request is understood and wrong; `problems` lists everything that is."""

    code = "invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = tuple(problems)


class NotFound(RequestError):
    code = "not_found"


class PreconditionFailed(RequestError):
    code = "precondition_failed"
