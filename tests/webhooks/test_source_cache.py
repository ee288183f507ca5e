"""The door's snapshot of the sources: fresh within a second, and no alert waits for a fresh one without need."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from webhooks.door import source_cache
from webhooks.door.source_cache import Sender, SourceCache

SENDER = Sender(1, "", None, None)


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Loads:
    """Counts loads; while `held`, a load that began does not end."""

    def __init__(self) -> None:
        self.count = 0
        self.free = asyncio.Event()
        self.free.set()
        self.senders = {"digest": SENDER}

    async def __call__(self) -> dict[str, Sender]:
        self.count += 1
        await self.free.wait()
        return dict(self.senders)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(source_cache, "time", clock)
    return clock


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_snapshot_that_will_soon_be_too_old_is_read_again_beside_its_use(clock: Clock) -> None:
    async def scenario() -> None:
        loads = Loads()
        cache = SourceCache(loads)
        assert await cache.find("digest") is SENDER
        clock.now += 0.6
        loads.free.clear()
        assert await cache.find("digest") is SENDER  # answered although the load has not ended
        await asyncio.sleep(0)
        assert await cache.find("digest") is SENDER
        assert loads.count == 2
        loads.free.set()
        await asyncio.sleep(0.01)
        clock.now += 0.6  # 1.2 s after the first load, .6 s after the second
        loads.free.clear()
        assert await cache.find("digest") is SENDER
        loads.free.set()

    run(scenario)


def test_a_young_snapshot_is_not_read_again(clock: Clock) -> None:
    async def scenario() -> None:
        loads = Loads()
        cache = SourceCache(loads)
        for _ in range(50):
            await cache.find("digest")
            clock.now += 0.009
        await asyncio.sleep(0)
        assert loads.count == 1

    run(scenario)


def test_after_a_second_an_alert_waits_for_a_fresh_snapshot_and_a_revoked_source_is_gone(clock: Clock) -> None:
    async def scenario() -> None:
        loads = Loads()
        cache = SourceCache(loads)
        assert await cache.find("digest") is SENDER
        loads.senders = {}
        clock.now += 1.0
        assert await cache.find("digest") is None

    run(scenario)
