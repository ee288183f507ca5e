"""The live desk: hints, the hub that renders once for everybody, and the socket."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import OperationalError, connections, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from algotrendy.permissions import Role
from algotrendy.testing import wait_until
from brokers.desk_state import set_desk_state
from dashboard.live import consumers, fragments, publisher
from dashboard.live import hub as live_hub
from dashboard.live.dependencies import related
from dashboard.live.hub import Hub, produce
from dashboard.live.messages import HINTS_CHANNEL, FragmentMessage, Message
from dashboard.live.publisher import Publisher
from dashboard.live.updates import MAX_PENDING, Subscriber, Update, changes, next_update, rows_of
from tests.support import pages as make

Json = dict[str, Any]


def message(topic: str, content: str) -> FragmentMessage:
    return {
        "type": "fragment", "topic": topic, "version": 0, "target": f"#{topic}", "swap": "innerMorph",
        "content": content,
    }  # fmt: skip


class Source:
    """Something to render: counts how often, and can fail."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.calls: list[str] = []
        self.fails = False

    def __call__(self, topic: str) -> Message | None:
        self.calls.append(topic)
        if self.fails:
            raise OperationalError("server closed the connection")
        content = self.contents.get(topic)
        return None if content is None else message(topic, content)


async def next_of(subscriber: Subscriber, kind: str, seconds: float = 3) -> Json:
    """Return the next message of a type."""
    async with asyncio.timeout(seconds):
        while True:
            for text in await subscriber.take():
                found: Json = json.loads(text)
                if found["type"] == kind:
                    return found


async def next_content(subscriber: Subscriber, seconds: float = 3) -> Json:
    """Return the next state of a region, whole or as the patch of one that has no rows."""
    async with asyncio.timeout(seconds):
        while True:
            for text in await subscriber.take():
                found: Json = json.loads(text)
                if found["type"] == "fragment":
                    return found
                if found["type"] == "patch":
                    return found | {"content": "".join(found["parts"])}


def with_hub(source: Source, play: Callable[[Hub], Awaitable[None]]) -> None:
    """Run `play` with a hub in a loop of its own."""

    async def run() -> None:
        hub = Hub(source)
        try:
            await play(hub)
        finally:
            await hub.stop()

    asyncio.run(run())


@pytest.fixture
def source(services: None, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(live_hub, "related", lambda changed, watched: set())
    return Source()


def test_a_subscriber_gets_a_hello_and_a_snapshot(source: Source) -> None:
    source.contents = {"status": "now"}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        first = json.loads((await subscriber.take())[0])
        assert first["type"] == "hello"
        assert first["epoch"] == hub.epoch
        assert (await next_content(subscriber))["content"] == "now"

    with_hub(source, play)


def test_a_region_is_rendered_once_for_a_hundred_sockets(source: Source) -> None:
    source.contents = {"status": "one"}

    async def play(hub: Hub) -> None:
        crowd = [Subscriber(frozenset({"status"})) for _ in range(100)]
        for subscriber in crowd:
            hub.join(subscriber)
        for subscriber in crowd:
            await next_content(subscriber)
        await asyncio.sleep(0.3)
        source.calls.clear()
        source.contents["status"] = "two"
        hub.mark(["status"])
        versions = {(await next_content(subscriber))["version"] for subscriber in crowd}
        assert len(versions) == 1
        assert source.calls == ["status"]

    with_hub(source, play)


def test_a_burst_of_hints_is_a_few_renderings_and_ends_with_the_last_state(source: Source) -> None:
    source.contents = {"status": "0"}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        source.calls.clear()
        for n in range(1, 201):
            source.contents["status"] = str(n)
            hub.mark(["status"])
            await asyncio.sleep(0.001)
        async with asyncio.timeout(3):
            while (await next_content(subscriber))["content"] != "200":
                pass
        assert len(source.calls) < 25

    with_hub(source, play)


def test_a_region_with_a_pause_is_rendered_at_its_start_and_its_end(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "pause_of", lambda topic: 0.4)
    source.contents = {"status": "0"}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        began = time.monotonic()
        for n in range(1, 31):
            source.contents["status"] = str(n)
            hub.mark(["status"])
            await asyncio.sleep(0.01)
        while (await next_content(subscriber))["content"] != "30":
            pass
        # A busy machine takes longer over the thirty changes, and may fit in a pause more.
        pauses = (time.monotonic() - began) / 0.4
        assert len(source.calls) <= 3 + pauses

    with_hub(source, play)


def test_what_did_not_change_is_not_sent_again_even_if_it_is_older(source: Source) -> None:
    source.contents = {"status": '<p><time class="age nowrap" datetime="x">3 s</time></p>'}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        source.contents["status"] = '<p><time class="age nowrap" datetime="x">9 s</time></p>'
        hub.mark(["status"])
        with pytest.raises(TimeoutError):
            await next_content(subscriber, 0.4)

    with_hub(source, play)


def test_nobody_pays_for_topics_that_nobody_watches(source: Source) -> None:
    source.contents = {"status": "x", "orders": "y"}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        hub.mark(["orders", "trades", "decision:7"])
        await asyncio.sleep(0.2)
        assert "orders" not in source.calls

    with_hub(source, play)


def test_a_slow_socket_skips_states_instead_of_falling_behind() -> None:
    async def play() -> None:
        subscriber = Subscriber(frozenset({"a"}))
        for n in range(1000):
            subscriber.offer("a", Update(n, str(n)))
            subscriber.offer(f"b{n}", Update(n, "x"))
        texts = await subscriber.take()
        assert len(texts) == MAX_PENDING
        assert "999" in texts

    asyncio.run(play())


def rebuilt(patch: Json, rows: list[str]) -> str:
    """Do what the page does with a patch."""
    parts = [[part] if isinstance(part, str) else rows[part[0] : part[1] + 1] for part in patch["parts"]]
    return "".join(itertools.chain.from_iterable(parts))


TABLES = st.lists(st.integers(min_value=0, max_value=30), unique=True, max_size=20)


@given(TABLES, TABLES, st.integers(min_value=0, max_value=30))
def test_a_patch_makes_the_new_region_of_the_old(old: list[int], new: list[int], changed: int) -> None:
    def table(ids: list[int], word: str) -> str:
        rows = "".join(f'<tr id="r-{n}"><td>{word if n == changed else n} 🙂</td></tr>\n' for n in ids)
        return f"<table>{rows}</table>"

    first = next_update(message("t", table(old, "a")), 1, None)
    assert first is not None
    second = next_update(message("t", table(new, "b")), 2, first)
    if second is None:
        assert table(old, "a") == table(new, "b")
        return
    assert rebuilt(json.loads(second.after(1)), rows_of(table(old, "a"))) == table(new, "b")
    assert json.loads(second.after(None))["content"] == table(new, "b")


def test_a_patch_leaves_out_rows_that_only_grew_older() -> None:
    old = ['<tr id="r-1"><time class="age nowrap" datetime="x">3 s</time></tr>', '<tr id="r-2">two</tr>']
    new = ['<tr id="r-0">zero</tr>', '<tr id="r-1"><time class="age nowrap" datetime="x">9 s</time></tr>']
    assert changes(old, new) == ['<tr id="r-0">zero</tr>', (0, 0)]


def test_a_new_row_costs_a_row_and_whoever_missed_a_version_gets_everything(source: Source) -> None:
    rows = [f'<tr id="r-{n}">{"x" * 500}{n}</tr>' for n in range(50)]
    source.contents = {"orders": "".join(rows)}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"orders"}))
        hub.join(subscriber)
        await next_content(subscriber)
        source.contents["orders"] = '<tr id="r-new">new</tr>' + "".join(rows[:-1])
        hub.mark(["orders"])
        assert (await next_of(subscriber, "patch"))["parts"] == ['<tr id="r-new">new</tr>', [0, 48]]
        for word in ("one", "two"):
            source.contents["orders"] = f'<tr id="r-new">{word}</tr>'
            hub.mark(["orders"])
            await asyncio.sleep(0.3)
        assert (await next_of(subscriber, "fragment"))["content"] == '<tr id="r-new">two</tr>'

    with_hub(source, play)


def test_sockets_are_told_while_the_database_is_away_and_when_it_is_back(source: Source) -> None:
    source.contents = {"status": "before"}

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        source.fails = True
        hub.mark(["status"])
        assert (await next_of(subscriber, "state"))["state"] == "stale"
        late = Subscriber(frozenset({"status"}))
        hub.join(late)
        assert (await next_of(late, "state"))["state"] == "stale"
        source.fails = False
        source.contents["status"] = "after"
        found = [await next_of(late, "state"), await next_content(subscriber)]
        assert found[0]["state"] == "live"
        assert found[1]["content"] == "after"

    with_hub(source, play)


def test_sockets_are_told_when_the_database_is_silent(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_hub, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(live_hub, "AWAY_SECONDS", 0.1)
    answers = threading.Event()

    def produce(topic: str) -> FragmentMessage:
        answers.wait(10)
        return message(topic, "late")

    async def play() -> None:
        hub = Hub(produce)
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        assert (await next_of(subscriber, "state"))["state"] == "stale"
        answers.set()
        async with asyncio.timeout(5):
            while hub.is_stale:
                await asyncio.sleep(0.02)
        await hub.stop()

    asyncio.run(play())


def test_one_broken_region_does_not_stop_the_others(source: Source) -> None:
    def produce(topic: str) -> Message | None:
        if topic == "broken":
            raise ValueError("a bug")
        return message(topic, str(time.monotonic()))

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"broken", "status"}))
        hub.join(subscriber)
        await next_content(subscriber)
        hub.mark(["status", "broken"])
        assert (await next_content(subscriber))["topic"] == "status"

    async def run() -> None:
        hub = Hub(produce)
        await play(hub)
        await hub.stop()

    asyncio.run(run())


def test_the_last_to_leave_stops_the_hub(source: Source) -> None:
    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        assert hub.is_running
        await hub.leave(subscriber)
        assert not hub.is_running

    with_hub(source, play)


def listener(client: redis.Redis) -> Any:
    """Return a subscription to hints. The client must outlive it: a client that is collected hangs up."""
    pubsub = client.pubsub()
    pubsub.subscribe(HINTS_CHANNEL)
    while pubsub.get_message(timeout=2) is None:
        pass
    return pubsub


def heard(pubsub: Any, seconds: float) -> Json | None:
    """Return the next hint, or None after `seconds` of silence."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = pubsub.get_message(timeout=0.05)
        if found and found["type"] == "message":
            hint: Json = json.loads(found["data"])
            return hint
    return None


def test_a_burst_of_signals_is_gathered_into_few_hints(valkey: redis.Redis) -> None:
    pubsub = listener(valkey)
    publisher = Publisher()
    for n in range(500):
        publisher.add({f"order:{n % 10}", "orders"})
    topics: set[str] = set()
    count = 0
    while found := heard(pubsub, 0.5):
        topics |= set(found["topics"])
        count += 1
    assert topics == {"orders", *(f"order:{n}" for n in range(10))}
    assert count <= 25
    pubsub.close()


def test_a_hint_neither_waits_nor_raises_when_valkey_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    callers: list[threading.Thread] = []

    def refuse(*_: object, **__: object) -> None:
        callers.append(threading.current_thread())
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(redis.Redis, "from_url", refuse)
    publisher = Publisher()
    for _ in range(100):
        publisher.add({"status"})
    wait_until(lambda: callers, 5, "an attempt to publish")
    assert threading.current_thread() not in callers, "the caller asked the network itself"
    publisher.add({"orders"})
    assert publisher.flush() is False, "what could not be sent waits"


def test_hints_are_sent_from_the_process_and_thread_where_it_happened(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "publisher", Publisher())
    pubsub = listener(valkey)
    thread = threading.Thread(target=publisher.send, args=("status",))
    thread.start()
    thread.join()
    assert heard(pubsub, 5) == {"type": "hint", "topics": ["status"]}
    pubsub.close()


@pytest.mark.django_db
def test_a_change_reaches_the_pages_that_it_concerns() -> None:
    taken = make.decided(make.source(), make.market())
    entry = make.decision_of(taken).orders.get(role="entry")
    watched = {f"decision:{taken.decision_id}", f"alert:{taken.pk}", "decision:999", "source:ema-cross"}
    assert related({f"order:{entry.pk}"}, watched) == watched - {"decision:999"}
    assert related({f"alert:{taken.pk}"}, watched) >= {f"alert:{taken.pk}", "source:ema-cross"}
    assert related({"marks"}, {"chart:BTCUSDT", "stream"}) == {"chart:BTCUSDT"}
    assert related({"brokers"}, {"broker:paper", "chart:BTCUSDT"}) == {"broker:paper"}


def test_topics_that_do_not_exist_are_left_out() -> None:
    asked = b"topics=status,nosuch,order,order%3A7,chart%3ABTCUSDT,status%3A1"
    assert consumers.topics_of(asked) == {"status", "order:7", "chart:BTCUSDT"}
    assert consumers.topics_of(b"") == frozenset()
    many = ",".join(f"order:{n}" for n in range(1, 500)).encode()
    assert len(consumers.topics_of(b"topics=" + many)) == consumers.MAX_TOPICS


def test_the_page_and_the_socket_show_the_same(db: None) -> None:
    html = make.signed_in(make.person("viewer")).get("/trades").content.decode()
    message = produce("trades")
    assert message is not None
    assert message["type"] == "fragment"
    assert message["content"] in html


async def close_connections() -> None:
    await sync_to_async(connections.close_all)()


def communicator(client: Client | None, topics: str = "status") -> WebsocketCommunicator:
    from algotrendy.asgi import application

    cookies = client.cookies if client else {}
    text = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())
    headers = [(b"origin", b"http://localhost"), (b"host", b"localhost"), (b"cookie", text.encode())]
    return WebsocketCommunicator(application, f"/ws/desk/?topics={topics}", headers=headers)


def run_socket(play: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        try:
            await play()
        finally:
            await close_connections()

    asyncio.run(run())


async def receive(socket: WebsocketCommunicator, topic: str) -> Json:
    async with asyncio.timeout(5):
        while True:
            found: Json = json.loads(await socket.receive_from(timeout=5))
            if found.get("topic") == topic:
                return {"content": "".join(found.get("parts", []))} | found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "code"), [(None, 4401), ("", 4403)])
def test_who_may_not_look_is_refused_a_socket(services: None, role: str | None, code: int) -> None:
    client = None if role is None else make.signed_in(make.person(role))

    async def play() -> None:
        connected, answer = await communicator(client).connect(timeout=5)
        assert (connected, answer) == (False, code)

    run_socket(play)


@pytest.mark.django_db(transaction=True)
def test_a_page_of_another_site_gets_no_socket(services: None) -> None:
    client = make.signed_in(make.person("viewer"))

    async def play() -> None:
        socket = communicator(client)
        socket.scope["headers"] = [
            (name, b"https://elsewhere.example" if name == b"origin" else value)
            for name, value in socket.scope["headers"]
        ]
        connected, _ = await socket.connect(timeout=5)
        assert not connected

    run_socket(play)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_pushed_to_a_viewer_with_a_higher_version(valkey: redis.Redis) -> None:
    client = make.signed_in(make.person("viewer"))

    async def play() -> None:
        socket = communicator(client, "status,desk-state")
        assert (await socket.connect(timeout=5))[0]
        first = await receive(socket, "status")
        assert 'data-desk-state="active"' in first["content"]
        await sync_to_async(set_desk_state)(state="halted", by=None, reason="test")
        second = await receive(socket, "status")
        assert 'data-desk-state="halted"' in second["content"]
        assert second["version"] > first["version"]
        assert second["target"] == "#live-status"
        await socket.disconnect()

    run_socket(play)


@pytest.mark.django_db(transaction=True)
def test_a_socket_is_closed_when_its_user_may_no_longer_look(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "CHECK_SECONDS", 0.2)
    user = make.person(Role.VIEWER.group)
    client = make.signed_in(user)

    async def play() -> None:
        socket = communicator(client)
        assert (await socket.connect(timeout=5))[0]
        await receive(socket, "status")
        await sync_to_async(user.groups.clear)()
        async with asyncio.timeout(5):
            while (found := await socket.receive_output(timeout=5))["type"] != "websocket.close":
                pass
        assert found["code"] == consumers.FORBIDDEN
        await socket.disconnect()

    run_socket(play)


@pytest.mark.django_db(transaction=True)
def test_signing_out_elsewhere_closes_the_socket(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "CHECK_SECONDS", 0.2)
    client = make.signed_in(make.person("viewer"))

    async def play() -> None:
        socket = communicator(client)
        assert (await socket.connect(timeout=5))[0]
        await sync_to_async(client.logout)()
        async with asyncio.timeout(5):
            while (found := await socket.receive_output(timeout=5))["type"] != "websocket.close":
                pass
        assert found["code"] == consumers.SIGNED_OUT
        await socket.disconnect()

    run_socket(play)


@pytest.mark.django_db(transaction=True)
def test_hints_of_a_transaction_that_was_rolled_back_are_never_sent(valkey: redis.Redis) -> None:
    pubsub = listener(valkey)
    with transaction.atomic():
        set_desk_state(state="reducing", by=None, reason="test")
        transaction.set_rollback(True)
    assert heard(pubsub, 0.4) is None
    pubsub.close()
