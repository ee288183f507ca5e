"""Where allauth counts attempts to sign in: in Valkey, so that no restart of web forgets them.

Entries live as long as their limit; Valkey evicts nothing, so noise from elsewhere pushes none out. While it is
away this process counts by itself: people can still sign in, to halt the desk for one, and nobody guesses freely.
"""

import json
import logging
from collections.abc import Callable
from typing import TypeVar

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

logger = logging.getLogger(__name__)
T = TypeVar("T")
MOST_WHILE_AWAY = 100_000  # names and addresses


class JsonSerializer:
    """Values as JSON: Django's own way is pickle, with which whoever writes to Valkey could run code in web."""

    def dumps(self, value: object) -> bytes:
        """Return `value` as bytes."""
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> object:
        """Return the value in `data`."""
        return json.loads(data)


class AttemptsCache(RedisCache):
    """The few methods that allauth uses, with a memory of its own while Valkey is away."""

    def __init__(self, server: str, params: dict[str, object]) -> None:
        super().__init__(server, params)
        self._meanwhile = LocMemCache("sign-in attempts", {"OPTIONS": {"MAX_ENTRIES": MOST_WHILE_AWAY}})

    def _or_meanwhile(self, in_valkey: Callable[[], T], here: Callable[[], T]) -> T:
        try:
            return in_valkey()
        except (redis.RedisError, OSError) as error:
            logger.warning("attempts to sign in are counted by this process alone: %s", type(error).__name__)
            return here()

    def get(self, key: str, default: object = None, version: int | None = None) -> object:
        """Return the value of `key`."""
        valkey, here = super().get, self._meanwhile.get
        return self._or_meanwhile(lambda: valkey(key, default, version), lambda: here(key, default, version))

    def set(self, key: str, value: object, timeout: float = DEFAULT_TIMEOUT, version: int | None = None) -> None:  # type: ignore[override]
        """Store a value."""
        valkey, here = super().set, self._meanwhile.set
        self._or_meanwhile(
            lambda: valkey(key, value, timeout, version), lambda: here(key, value, timeout, version)
        )

    def add(self, key: str, value: object, timeout: float = DEFAULT_TIMEOUT, version: int | None = None) -> bool:  # type: ignore[override]
        """Store a value unless there is one; return whether it was stored."""
        valkey, here = super().add, self._meanwhile.add
        return bool(
            self._or_meanwhile(
                lambda: valkey(key, value, timeout, version), lambda: here(key, value, timeout, version)
            )
        )

    def delete(self, key: str, version: int | None = None) -> bool:
        """Forget a value."""
        valkey, here = super().delete, self._meanwhile.delete
        return bool(self._or_meanwhile(lambda: valkey(key, version), lambda: here(key, version)))

    def clear(self) -> None:
        """Forget all attempts, and nothing else that lies in Valkey."""
        self._meanwhile.clear()
        client = self._cache.get_client(write=True)
        client.delete(*client.scan_iter(f"{self.key_prefix}:*"), b"")
