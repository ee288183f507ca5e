"""The live socket of the pages."""

import asyncio
import contextlib
from importlib import import_module
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError
from psycopg_pool import PoolTimeout

from algotrendy.permissions import Role, has_role
from dashboard.live import fragments
from dashboard.live.hub import Hub, hub
from dashboard.live.seats import seats
from dashboard.live.updates import Subscriber

MAX_TOPICS = 24
CHECK_SECONDS = 60.0
SIGNED_OUT = 4401
FORBIDDEN = 4403
BAD_TOPICS = 4400
TOO_MANY = 4429
TOO_MANY_TEXT = "You have too many live pages open: close some."  # at most 123 bytes


def topics_of(query: bytes) -> frozenset[str]:
    """Return the topics that "topics=a,b:1" names; those that can't exist are left out."""
    requested = ",".join(parse_qs(query.decode("latin-1")).get("topics", [])).split(",")
    topics: set[str] = set()
    for topic in requested[:MAX_TOPICS]:
        with contextlib.suppress(fragments.UnknownTopic):
            fragments.find(topic)
            topics.add(topic)
    return frozenset(topics)


class DeskConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Sends the regions that a page shows to signed-in viewers, and checks again who they are every minute."""

    # Messages come from the hub: no subscription of its own in Valkey, which may be away.
    channel_layer_alias = "none"

    _hub: Hub | None = None
    _subscriber: Subscriber | None = None
    _person: int | None = None
    _tasks: tuple[asyncio.Task[None], ...] = ()

    async def connect(self) -> None:
        """Let viewers in. Refused before the handshake ends: 403 for HTTP, 4401 or 4403 for the socket.

        Whoever has too many is let in and sent off: a page hears the code only after the handshake.
        """
        refusal = await self._refusal(self.scope["user"])
        if refusal:
            await self.close(code=refusal)
            return
        self._hub = hub()
        topics = topics_of(self.scope["query_string"])
        if not topics:
            await self.close(code=BAD_TOPICS)
            return
        await self.accept()
        if not seats.take(self.scope["user"].pk, topics):
            await self.close(code=TOO_MANY, reason=TOO_MANY_TEXT)
            return
        self._person = self.scope["user"].pk
        self._subscriber = Subscriber(topics)
        self._hub.join(self._subscriber)
        self._tasks = (
            asyncio.ensure_future(self._pump(self._subscriber)),
            asyncio.ensure_future(self._keep_checking()),
        )

    async def disconnect(self, code: int) -> None:
        """Leave the hub."""
        for task in self._tasks:
            task.cancel()
        if self._hub and self._subscriber and self._person is not None:
            seats.leave(self._person, self._subscriber.topics)
            self._person = None
            await self._hub.leave(self._subscriber)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages only listen; whatever they send is ignored."""

    async def _pump(self, subscriber: Subscriber) -> None:
        while True:
            for text in await subscriber.take():
                await self.send(text_data=text)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            refusal = 0
            # A database that is away is no reason to send anybody off.
            with contextlib.suppress(DatabaseError, PoolTimeout):
                refusal = await self._refusal(await self._user_now())
            if refusal:
                await self.close(code=refusal)
                return

    async def _user_now(self) -> User | AnonymousUser:
        """Return who the session belongs to now: its row, password and account may have changed."""
        store = import_module(settings.SESSION_ENGINE).SessionStore
        user: User | AnonymousUser = await get_user({"session": store(self.scope["session"].session_key)})
        return user

    @staticmethod
    async def _refusal(user: User | AnonymousUser) -> int:
        if not user.is_authenticated:
            return SIGNED_OUT
        allowed = await database_sync_to_async(has_role)(user, Role.VIEWER)
        return 0 if allowed else FORBIDDEN
