"""The link by which somebody asks for no more announcements (RFC 8058). It names them, readable to us alone."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from shared.application.services import Services
from shared.domain.errors import NotFound

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_PURPOSE = [b"unsubscribe"]
_MAX_TOKEN = 600


def unsubscribe_url(services: Services, address: str) -> str:
    """The same each time, for the message must be. :raises SecretMissing: there is no key to make it with."""
    encrypted = _ciphers(services)[0].encrypt(address.encode(), _PURPOSE)
    return f"{services.settings.public_url}/hooks/unsubscribe?token={urlsafe_b64encode(encrypted).decode()}"


def address_of(services: Services, token: str) -> str:
    """Whom a link of ours names. :raises NotFound: it is none of ours."""
    from cryptography.exceptions import InvalidTag

    try:
        encrypted = urlsafe_b64decode(token[:_MAX_TOKEN].encode())
    except ValueError as error:
        raise NotFound("this link is not one of ours") from error
    for cipher in _ciphers(services):
        try:
            return cipher.decrypt(encrypted, _PURPOSE).decode()
        except (InvalidTag, ValueError):
            continue
    raise NotFound("this link is not one of ours")


def _ciphers(services: Services) -> "list[AESSIV]":
    """AES-SIV (RFC 5297): without a nonce, so that it is the same each time. The first is of the key in use."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    return [AESSIV(hmac.new(key, _PURPOSE[0], hashlib.sha512).digest()) for key in services.own_ids.signing_keys()]
