"""What signs in to a mail server: under which name, with which secret, and what to do if it is refused."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.adapters.sources.services import SourceServices
from shared.domain.errors import AppError, CredentialsRejected
from shared.domain.sign_in import GoogleServiceSignIn, MicrosoftAppSignIn, PasswordSignIn, Purpose
from shared.domain.sources import AnySignIn

_ADVICE = {
    "password": (
        "Check the user name and the secret's value; many providers ask for an app password where the account is"
        " protected by a second factor, and some take no passwords at all."
    ),
    "microsoft_app": (
        "Register the app's service principal in Exchange Online (New-ServicePrincipal), give it full access to the"
        " mailbox (Add-MailboxPermission), and check that IMAP or POP is on for the mailbox (Set-CASMailbox)."
    ),
    "microsoft_user": (
        "Check that the account that signed in may open the mailbox, and that IMAP or POP is on for it; then sign in"
        " again."
    ),
    "google_user": "Check that the account is the one that signed in, and that IMAP or POP is on for it in Gmail.",
    "google_service": (
        "Grant the service account the scope https://mail.google.com/ by domain-wide delegation, and check that IMAP or"
        " POP is on for the mailbox."
    ),
    "oauth2": "Check that the account is the one that signed in, and that the scopes include mail access.",
}
_ADVICE_ON_SENDING = {
    "microsoft_app": (
        "Give the app the permission SMTP.SendAsApp with consent, register its service principal in Exchange Online"
        " (New-ServicePrincipal), let it send as the address (Add-RecipientPermission with SendAs), and check that SMTP"
        " AUTH is on for the mailbox (Set-CASMailbox -SmtpClientAuthenticationDisabled $false)."
    ),
    "microsoft_user": (
        "Check that the account that signed in may send as the address, and that SMTP AUTH is on for it; then sign in"
        " again."
    ),
    "google_user": "Check that the account is the one that signed in.",
    "google_service": "Grant the service account the scope https://mail.google.com/ by domain-wide delegation.",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    sign_in: AnySignIn
    user: str
    purpose: Purpose
    services: SourceServices
    is_for_another: bool = False

    def secret(self) -> str:
        """The password or an access token. :raises AppError: it cannot be had."""
        if isinstance(self.sign_in, PasswordSignIn):
            return self.services.secrets.get(self.sign_in.password_secret)
        return self.services.tokens.token(self.sign_in, self.purpose)

    def prove(self, attempt: Callable[[str], None], refused: type[AppError] = CredentialsRejected) -> None:
        """Sign in with the secret, and once more where the one that is refused is not the newest (req S3). `refused` is
        what else the attempt says so with.
        """
        for is_last in (False, True):
            secret = self.secret()
            try:
                attempt(secret)
            except (CredentialsRejected, refused) as refusal:
                if is_last or not self._has_newer(secret):
                    raise self._rejected(refusal) from refusal
            else:
                return

    def _has_newer(self, refused: str) -> bool:
        """Whether there is another secret when it is read afresh: then it is worth another try (req S3)."""
        if isinstance(self.sign_in, PasswordSignIn):
            self.services.secrets.forget(self.sign_in.password_secret)
        else:
            self.services.tokens.forget(self.sign_in, self.purpose)
        return self.secret() != refused

    def _rejected(self, refusal: AppError) -> CredentialsRejected:
        """`refusal` brings its own advice where the server said more than no."""
        what = "user name or the password" if isinstance(self.sign_in, PasswordSignIn) else "access token"
        usual = _ADVICE | _ADVICE_ON_SENDING if self.purpose == "smtp" else _ADVICE
        advice = (isinstance(refusal, CredentialsRejected) and refusal.advice) or usual[self.sign_in.kind]
        return CredentialsRejected(f"The server rejects the {what}.", advice=advice)


def credentials(
    address: str, sign_in: AnySignIn, target: str | None, purpose: Purpose, services: SourceServices
) -> Credentials:
    r"""For the account of the mailbox or sender with this address or, with `target`, for another mailbox that it may
    open: with a password as `account\target`, with a token under the target's name.
    """
    if isinstance(sign_in, PasswordSignIn):
        user = f"{sign_in.account}\\{target}" if target else sign_in.account
    else:
        account = None if isinstance(sign_in, MicrosoftAppSignIn) else sign_in.account
        user = target or account or address
    if isinstance(sign_in, GoogleServiceSignIn):
        sign_in = sign_in.model_copy(update={"account": user})  # the token is for whom it acts
    return Credentials(sign_in, user, purpose, services, is_for_another=target is not None)
