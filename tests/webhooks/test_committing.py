"""Doors side by side: who adds alerts waits for who adds alerts, and no equal one slips between."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connections
from psycopg.errors import LockNotAvailable

from algotrendy.locks import key, lock_in_transaction
from tests.support.locks import held_elsewhere, until_somebody_waits
from tests.support.webhooks import committed, make_source
from webhooks.door import committer
from webhooks.door.committer import Incoming
from webhooks.door.database import Connection, Database, Unavailable, parameters
from webhooks.door.idempotency import identify
from webhooks.models import ADD_ALERTS_LOCK, Alert, Source

__all__ = ["committed"]
BODY = b"BUY BTCUSDT"
NOON = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)  # just after the turn of a minute


@pytest.fixture
def source(committed: None) -> Source:
    return make_source()


@pytest.mark.django_db
def test_the_lock_of_adding_has_a_number_of_its_own() -> None:
    assert key(ADD_ALERTS_LOCK) == committer._ADD_ALERTS


def incoming(source: Source, at: datetime, body: bytes = BODY) -> Incoming:
    now, before = identify(body, at)
    return Incoming(source.pk, now, before, body, "text/plain", "127.0.0.1", at)


def insert(*alerts: Callable[[], Incoming], options: str = "") -> dict[Any, int]:
    """Store alerts as a door does, on a connection of its own."""

    async def run() -> dict[Any, int]:
        async with await psycopg.AsyncConnection.connect(**parameters()) as connection:
            if options:
                await connection.execute(options)  # type: ignore[call-overload]
            return await committer._insert(connection, [make() for make in alerts])

    return asyncio.run(run())


@pytest.mark.parametrize("second", [5, 30])
def test_a_door_that_adds_waits_for_another_that_does(source: Source, second: int) -> None:
    at = NOON.replace(second=second)
    with held_elsewhere(lambda: lock_in_transaction(ADD_ALERTS_LOCK)), pytest.raises(LockNotAvailable):
        insert(lambda: incoming(source, at), options="SET lock_timeout = '200ms'")
    assert not Alert.objects.exists()


def test_an_equal_alert_that_another_door_is_still_adding_is_seen_at_the_turn_of_the_minute(
    source: Source,
) -> None:
    earlier = NOON - timedelta(seconds=10)

    def add() -> None:
        lock_in_transaction(ADD_ALERTS_LOCK)
        Alert.objects.create(
            source_id=source.pk, idempotency_key=identify(BODY, earlier)[0], body=BODY, received_at=earlier
        )

    def poll() -> None:
        try:
            until_somebody_waits()
        finally:
            connections.close_all()  # of this thread alone

    async def both(end: Callable[[], None]) -> dict[Any, int]:
        waiting = asyncio.create_task(asyncio.to_thread(insert, lambda: incoming(source, NOON)))
        await asyncio.to_thread(poll)
        await asyncio.to_thread(end)
        return await waiting

    with held_elsewhere(add) as end:
        assert asyncio.run(both(end)) == {}
    assert Alert.objects.count() == 1


def test_between_the_query_for_an_equal_alert_and_the_insert_nobody_else_can_add(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    ids = committer._ids

    async def watched(connection: Connection, query: Any, values: Any) -> dict[Any, int]:
        with psycopg.connect(**parameters()) as other:
            taken = other.execute("SELECT pg_try_advisory_xact_lock(%s)", [key(ADD_ALERTS_LOCK)]).fetchone()
            seen.append(bool(taken and taken[0]))
        return await ids(connection, query, values)

    monkeypatch.setattr(committer, "_ids", watched)
    assert len(insert(lambda: incoming(source, NOON))) == 1
    assert seen == [False]


def test_only_near_the_turn_of_the_minute_a_transaction_is_opened(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    ids = committer._ids

    async def watched(connection: Connection, query: Any, values: Any) -> dict[Any, int]:
        seen.append(connection.info.transaction_status.name)
        return await ids(connection, query, values)

    monkeypatch.setattr(committer, "_ids", watched)
    insert(lambda: incoming(source, NOON))
    insert(lambda: incoming(source, NOON.replace(second=10), b"SELL BTCUSDT"))
    assert seen == ["INTRANS", "IDLE"]


def alerts_of(count: int, size: int) -> list[Incoming]:
    answer: Any = None
    return [Incoming(1, f"k{n}", "", b"x" * size, "", None, NOON, answer) for n in range(count)]


def test_a_batch_is_bounded_in_number_and_in_bytes() -> None:
    async def sizes(waiting: list[Incoming]) -> list[int]:
        store = committer.Committer(None, lambda _: None)  # type: ignore[arg-type]
        store._waiting = waiting
        batches = []
        while store._waiting:
            batches.append(len(store._next_batch()))
        return batches

    assert asyncio.run(sizes(alerts_of(2_500, 1))) == [1_000, 1_000, 500]
    quarter = committer.MAX_BATCH_BYTES // 4
    assert asyncio.run(sizes(alerts_of(9, quarter))) == [4, 4, 1]
    assert asyncio.run(sizes(alerts_of(2, committer.MAX_BATCH_BYTES + 1))) == [1, 1]


def test_an_alert_that_postgresql_refuses_fails_alone(source: Source) -> None:
    stored: list[int] = []

    async def run() -> list[Any]:
        database = Database()
        store = committer.Committer(database, stored.append)
        alerts = [incoming(source, NOON, body) for body in (b"BUY A", b"BUY B", b"BUY C")]
        alerts[1].content_type = "text\0plain"  # no text of PostgreSQL
        answers = await asyncio.gather(*map(store.accept, alerts), return_exceptions=True)
        await store.close()
        await database.close()
        return list(answers)

    first, refused, last = asyncio.run(run())
    ids = list(Alert.objects.order_by("id").values_list("id", flat=True))
    assert ([first.alert_id, last.alert_id], len(ids)) == (ids, 2)
    assert isinstance(refused, Unavailable)
    assert stored == ids


def test_repeats_of_an_alert_that_is_held_are_counted_later_and_not_waited_for(source: Source) -> None:
    alert = Alert.objects.create(source_id=source.pk, idempotency_key="k", body=BODY, received_at=NOON)

    async def count() -> None:
        async with await psycopg.AsyncConnection.connect(**parameters()) as connection:
            await connection.execute("SET statement_timeout = '30s'")
            await committer._add_counts(connection, {alert.pk: 1})

    hold = Alert.objects.select_for_update().filter(pk=alert.pk).get
    with held_elsewhere(hold), pytest.raises(LockNotAvailable):
        asyncio.run(count())
    asyncio.run(count())
    alert.refresh_from_db()
    assert alert.duplicates == 1
