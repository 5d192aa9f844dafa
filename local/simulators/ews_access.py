"""Who may use the simulated Exchange: sign-in by Basic, NTLM and Bearer, impersonation and full access."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from local.simulators import ews_ntlm
from local.simulators.entra import EXCHANGE_AUDIENCE, Entra, TokenRefused
from local.simulators.ews_soap import Refusal, fault
from local.simulators.graph_store import Mailboxes
from local.simulators.state import State
from local.simulators.web import Refused, Request, Response

_REALM = {
    "ntlm": "NTLM",
    "basic": 'Basic realm="localhost"',
    "bearer": 'Bearer client_id="00000002-0000-0ff1-ce00-000000000000"',
}
_APP_ROLE = "full_access_as_app"


@dataclass
class Account:
    """A user of the domain CORP. `full_access` lists the mailboxes it may open besides its own, `reads` those in which
    it may change nothing, `impersonates` those that it may act as (the role ApplicationImpersonation with a scope; `*`
    is all of them), `sends_as` the addresses besides its own that messages from it may bear.
    """

    address: str
    password: str
    user: str
    full_access: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    impersonates: list[str] = field(default_factory=list)
    sends_as: list[str] = field(default_factory=list)

    def is_named(self, name: str, domain: str = "") -> bool:
        if not domain and "\\" in name:
            domain, _, name = name.partition("\\")
        return name.lower() == (self.user if domain else self.address) and domain.upper() in ("", "CORP")

    def may_impersonate(self, address: str) -> bool:
        return "*" in self.impersonates or address in self.impersonates


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, `address`, and the mailboxes open to them beside their own."""

    address: str
    full_access: Collection[str] = ()
    reads: Collection[str] = ()
    sends_as: Collection[str] = ()

    def may_change(self, address: str) -> bool:
        return address == self.address or address in self.full_access

    def may_open(self, address: str) -> bool:
        return self.may_change(address) or address in self.reads


class Access:
    """`schemes` are what the server offers; `forbidden` lists accounts for whom EWS is turned off."""

    def __init__(self, state: State, entra: Entra, mailboxes: Mailboxes) -> None:
        self._state = state
        self._entra = entra
        self._mailboxes = mailboxes
        self.schemes = ["ntlm", "basic", "bearer"]
        self.forbidden: set[str] = set()
        self._accounts = [Account(**stored) for stored in state.load("ews.json", [])]

    def add(self, address: str, password: str, user: str | None = None, **options: Any) -> Account:
        """Make an account, or replace it; `options` are the fields of `Account`."""
        account = Account(address.lower(), password, (user or address.partition("@")[0]).lower(), **options)
        self._accounts = [other for other in self._accounts if other.address != account.address] + [account]
        self._state.save("ews.json", [asdict(each) for each in self._accounts])
        return account

    def account(self, address: str) -> Account | None:
        return next((account for account in self._accounts if account.address == address), None)

    def sign_in(self, request: Request) -> Account | None:
        """The account that asks, None for an app. :raises Refused: 401, with the challenge where it goes on."""
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        if not scheme and "account" in request.connection:
            account: Account = request.connection["account"]
            return account
        if scheme.lower() not in self.schemes:
            raise self._unauthorized()
        check = {"basic": self._basic, "ntlm": self._ntlm, "bearer": self._bearer}[scheme.lower()]
        found = check(proof, request)
        if found is not None and found.address in self.forbidden:
            raise Refused(Response(403))
        return found

    def caller(self, account: Account | None, impersonated: str | None) -> Caller:
        """:raises Refused: a fault, where the role or the mailbox is missing."""
        if impersonated is None:
            if account is None:
                said = "ExchangeImpersonation SOAP header must be present for this type of OAuth token."
                raise fault("ErrorImpersonationRequired", said)
            return Caller(account.address, account.full_access, account.reads, account.sends_as)
        if account is not None and not account.may_impersonate(impersonated):
            raise fault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate this user.")
        mailbox = self._mailboxes.get(impersonated)
        if mailbox is None:
            raise fault("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        return Caller(impersonated, sends_as=mailbox.send_as)

    def has_mailbox(self, address: str) -> bool:
        return self._mailboxes.get(address) is not None

    def check_mailbox(self, caller: Caller, address: str, *, to_change: bool = False) -> None:
        """:raises Refusal: the mailbox is not there, or not open to them."""
        if not self.has_mailbox(address):
            raise Refusal("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        if not (caller.may_change if to_change else caller.may_open)(address):
            raise Refusal("ErrorAccessDenied", "Access is denied. Check credentials and try again.")

    def _basic(self, proof: str, _request: Request) -> Account:
        try:
            name, _, password = base64.b64decode(proof, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise self._unauthorized() from error
        for account in self._accounts:
            if account.is_named(name) and account.password == password:
                return account
        raise self._unauthorized()

    def _ntlm(self, proof: str, request: Request) -> Account:
        """The connection is what gets signed in: it must be kept, and needs no header any more afterwards."""
        token = base64.b64decode(proof)
        if ntlm_step(proof) == 1:
            reply, request.connection["challenge"] = ews_ntlm.challenge(token)
            raise self._unauthorized(f"NTLM {base64.b64encode(reply).decode()}")
        answer = ews_ntlm.answer(token, request.connection.pop("challenge", b""))
        for account in self._accounts:
            is_named = account.is_named(answer.user, answer.domain)
            if is_named and answer.proves(account.password, request.connection["certificate"]):
                request.connection["account"] = account
                return account
        raise self._unauthorized()

    def _bearer(self, _proof: str, request: Request) -> Account | None:
        try:
            claims = self._entra.claims(request, EXCHANGE_AUDIENCE)
        except TokenRefused as refused:
            raise self._unauthorized() from refused
        if "scp" not in claims:
            if _APP_ROLE not in claims.get("roles", ()):
                raise Refused(Response(403))
            return None
        user = self.account(str(claims.get("upn", "")).lower())
        if user is None or "EWS.AccessAsUser.All" not in claims["scp"].split():
            raise Refused(Response(403))
        return user

    def _unauthorized(self, challenge: str | None = None) -> Refused:
        offered = challenge or ", ".join(_REALM[scheme] for scheme in self.schemes)
        return Refused(Response(401, headers={"WWW-Authenticate": offered}))


def ntlm_step(proof: str) -> int:
    """Which of the three messages of NTLM it is; 0 where it is none."""
    try:
        token = base64.b64decode(proof, validate=True)
    except binascii.Error:
        return 0
    return int.from_bytes(token[8:12], "little") if token.startswith(b"NTLMSSP\0") else 0
