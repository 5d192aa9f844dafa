"""The server's side of NTLM (MS-NLMP): a challenge, and the check of the answer against a password that is known."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from spnego._ntlm_raw.crypto import compute_response_v2, ntowfv1, ntowfv2  # the library's acceptor wants an
from spnego._ntlm_raw.messages import (  # environment variable that names a file of passwords
    Authenticate,
    AvId,
    Challenge,
    FileTime,
    Negotiate,
    NegotiateFlags,
    NTClientChallengeV2,
    TargetInfo,
)
from spnego.channel_bindings import GssChannelBindings

_NTLM_V1_BYTES = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client proves itself with; its user name may be an address with an empty domain."""

    challenge: bytes
    message: Authenticate

    @property
    def user(self) -> str:
        return self.message.user_name or ""

    @property
    def domain(self) -> str:
        return self.message.domain_name or ""

    def proves(self, password: str, certificate: bytes) -> bool:
        """Whether it is NTLMv2 with this password, bound to the TLS channel with this certificate (RFC 5929)."""
        response = self.message.nt_challenge_response or b""
        if len(response) <= _NTLM_V1_BYTES:
            return False
        client = NTClientChallengeV2.unpack(response[16:])
        key = ntowfv2(self.user, ntowfv1(password), self.domain)
        expected, _, _ = compute_response_v2(
            key, self.challenge, client.challenge_from_client, client.time_stamp, client.av_pairs
        )
        bound = client.av_pairs.get(AvId.channel_bindings) == _binding(certificate)
        return bound and hmac.compare_digest(expected, response)


def challenge(negotiate: bytes) -> tuple[bytes, bytes]:
    """The answer to a negotiate message, and the eight bytes in it that the client must use."""
    flags = Negotiate.unpack(negotiate).flags & ~NegotiateFlags.oem & ~NegotiateFlags.lm_key & ~NegotiateFlags.version
    flags |= NegotiateFlags.target_info | NegotiateFlags.target_type_domain | NegotiateFlags.unicode
    info = TargetInfo()
    info[AvId.nb_domain_name] = "CORP"
    info[AvId.nb_computer_name] = "EXCHANGE"
    info[AvId.timestamp] = FileTime.now()
    chosen = secrets.token_bytes(8)
    return Challenge(flags, chosen, target_name="CORP", target_info=info).pack(), chosen


def answer(authenticate: bytes, chosen: bytes) -> Answer:
    return Answer(chosen, Authenticate.unpack(authenticate))


def _binding(certificate: bytes) -> bytes:
    data = b"tls-server-end-point:" + hashlib.sha256(certificate).digest()
    return hashlib.md5(GssChannelBindings(application_data=data).pack()).digest()  # noqa: S324 - as the protocol has it
