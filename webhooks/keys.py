"""Tokens and keys: made at random, shown once, stored only as keyed hashes."""

import hashlib
import hmac
import secrets

from django.conf import settings

HINT_LENGTH = 4


def digest(secret: str) -> str:
    """Return the keyed hash under which `secret` is stored, 64 hexadecimal characters.

    HMAC-SHA256 with a pepper that is not in the database: a copy of the table alone can't be searched.
    """
    return hmac.digest(settings.TOKEN_PEPPER.encode(), secret.encode(errors="replace"), "sha256").hex()


def matches(secret: str, stored: str) -> bool:
    """Return whether `secret` has the hash `stored`, in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def new_token() -> str:
    """Return a fresh URL-safe token of 256 random bits."""
    return secrets.token_urlsafe(32)


def hint(token: str) -> str:
    """Return the last characters, by which people tell tokens apart."""
    return token[-HINT_LENGTH:]


def derived_token(purpose: str) -> str:
    """Return the token that belongs to `purpose`, computed from the SECRET_KEY each time and stored nowhere."""
    mac = hmac.new(settings.SECRET_KEY.encode(), f"webhooks.keys.{purpose}".encode(), hashlib.sha256)
    return mac.hexdigest()
