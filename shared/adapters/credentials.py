"""What signs in to a mail server: under which name, with which secret, and what to do if it is refused."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.adapters.refusals import CommandRefused, advice
from shared.adapters.services import SourceServices
from shared.domain.errors import AppError, CredentialsRejected
from shared.domain.sign_in import GoogleServiceSignIn, MicrosoftAppSignIn, PasswordSignIn, Purpose
from shared.domain.sources import AnySignIn


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

    def prove(self, attempt: Callable[[str], None]) -> None:
        """Sign in with the secret, and once more where the one that is refused is not the newest (req S3)."""
        for is_last in (False, True):
            secret = self.secret()
            try:
                attempt(secret)
            except (CredentialsRejected, CommandRefused) as refusal:
                if is_last or not self._has_newer(secret):
                    raise self._rejected(refusal) from refusal
            else:
                return

    def _has_newer(self, refused: str) -> bool:
        """Whether there is another secret when it is read afresh: then it is worth another try (req S3)."""
        if isinstance(self.sign_in, PasswordSignIn):
            self.services.secrets.forget(self.sign_in.password_secret)
        else:
            self.services.tokens.forget(self.sign_in)
        return self.secret() != refused

    def _rejected(self, refusal: AppError) -> CredentialsRejected:
        """`refusal` brings its own advice where the server said more than no."""
        what = "user name or the password" if isinstance(self.sign_in, PasswordSignIn) else "access token"
        own = isinstance(refusal, CredentialsRejected) and refusal.advice
        usual = advice(self.sign_in.kind, "sign_in_to_send" if self.purpose == "smtp" else "sign_in")
        return CredentialsRejected(f"The server rejects the {what}.", advice=own or usual)


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
