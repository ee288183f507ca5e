"""Sessions of which the database alone gives nobody anything away (`SESSION_ENGINE`).

A row is found by the keyed hash of what the browser's cookie holds. What it keeps, the seed of an authenticator
app that is being set up among it, is sealed: a copy of the database neither signs anybody in nor shows a secret.
"""

import json

from cryptography.fernet import InvalidToken
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from dashboard.accounts.seal import seal
from webhooks import keys

PURPOSE = "dashboard.accounts.sessions"
KEY_LENGTH = 40  # characters, as the column; 160 bits
Data = dict[str, object]


def stored_key(session_key: str) -> str:
    """Return the key of the row of a session."""
    return keys.digest(f"{PURPOSE}|{session_key}")[:KEY_LENGTH]


class SessionStore(DatabaseStore):
    """Django's store in the database, with hashed keys and sealed data."""

    def encode(self, session_dict: Data) -> str:
        """Return what a session holds, sealed."""
        return seal(PURPOSE).encrypt(json.dumps(session_dict).encode()).decode()

    def decode(self, session_data: bytes | str) -> Data:
        """Return what was sealed; nothing if this desk did not seal it."""
        try:
            data: Data = json.loads(seal(PURPOSE).decrypt(session_data))
        except (InvalidToken, ValueError, TypeError):
            return {}
        return data

    def create_model_instance(self, data: Data) -> AbstractBaseSession:
        """Return the row of this session."""
        row = super().create_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    def exists(self, session_key: str) -> bool:
        """Return whether there is such a session."""
        return super().exists(stored_key(session_key))

    def delete(self, session_key: str | None = None) -> None:
        """End a session: this one, or that of a key."""
        wanted = session_key or self.session_key
        if wanted:
            super().delete(stored_key(wanted))

    def _get_session_from_db(self) -> Session | None:
        """Return the row of this session while it lasts; without one the key is of no use."""
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        row = rows.filter(session_key=stored_key(self.session_key or "")).first()
        if row is None:
            self._session_key = None
        return row

    # Django's own asynchronous methods would take the key as it is.

    async def acreate_model_instance(self, data: Data) -> AbstractBaseSession:
        """Return the row of this session."""
        row = await super().acreate_model_instance(data)
        row.session_key = stored_key(row.session_key)
        return row

    async def aexists(self, session_key: str) -> bool:
        """Return whether there is such a session."""
        return await super().aexists(stored_key(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        """End a session: this one, or that of a key."""
        wanted = session_key or self.session_key
        if wanted:
            await super().adelete(stored_key(wanted))

    async def _aget_session_from_db(self) -> Session | None:
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        row = await rows.filter(session_key=stored_key(self.session_key or "")).afirst()
        if row is None:
            self._session_key = None
        return row
