"""Text that only this desk can read: encrypted with a key of SECRET_KEY, which is not in the database."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.utils.encoding import force_bytes


def seal(purpose: str) -> MultiFernet:
    """Return the cipher for `purpose`; SECRET_KEY_FALLBACKS still open what was sealed with them."""
    return MultiFernet([_key(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str | bytes, purpose: str) -> Fernet:
    digest = hmac.new(force_bytes(secret), purpose.encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
