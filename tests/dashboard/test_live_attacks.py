"""What one viewer asks of the live socket must stop nobody else's page."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from asgiref.testing import ApplicationCommunicator
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from hypothesis import given
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout

from dashboard.live import broken, consumers, fragments, seats, topics
from dashboard.live import hub as live_hub
from dashboard.live.away import is_away
from dashboard.live.dependencies import ids_of
from dashboard.live.hub import Hub, produce
from dashboard.live.messages import Message
from dashboard.live.updates import Subscriber
from dashboard.selectors import health
from tests.dashboard.test_live import communicator, message, next_content, run_socket
from tests.support import pages as make

HOSTILE_KEYS = ["\0", "a\0b", "²", "٣", "１", "-1", "0", "+1", "1e3", "1_0", " 1", "9" * 19, "9" * 30, "9" * 5000,
                "\ud800", "\x1b[2J", "\u202e", "x" * 5000]  # fmt: skip
BY_ID = sorted(name for name, declared in topics.DECLARED.items() if declared.keys == "id")


@pytest.fixture(autouse=True)
def _nothing_broken() -> None:
    broken._broken.clear()


@pytest.mark.parametrize("key", HOSTILE_KEYS)
@pytest.mark.parametrize("name", BY_ID)
def test_a_key_that_is_no_id_is_no_topic(name: str, key: str) -> None:
    asked = f"topics=status,{name}:{quote(key, errors='surrogatepass')}".encode()
    assert consumers.topics_of(asked) == {"status"}
    assert ids_of({f"{name}:{key}"}, topics.DECLARED[name]) == set()


@pytest.mark.parametrize("name", ["broker", "model", "chart", "predictions"])
@pytest.mark.parametrize("key", ["\0", "a\0b", "\ud800", "\x1b[2J", "\u202e", "x" * 5000, "\n"])
def test_a_key_that_is_no_name_is_no_topic(name: str, key: str) -> None:
    asked = f"topics=status,{name}:{quote(key, errors='surrogatepass')}".encode()
    # What is no UTF-8 was replaced when the address was read.
    assert all("\0" not in topic and topic.isprintable() for topic in consumers.topics_of(asked))
    with pytest.raises(fragments.UnknownTopic):
        fragments.find(f"{name}:{key}")


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(name for name, declared in topics.DECLARED.items() if declared.keyed))
@given(key=st.text(min_size=1, max_size=40))
def test_whatever_key_is_taken_can_be_rendered(name: str, key: str) -> None:
    for topic in consumers.topics_of(f"topics={name}:{quote(key, errors='surrogatepass')}".encode()):
        produce(topic)


def refused_by(error: Exception, sqlstate: str | None) -> Exception:
    cause = psycopg.Error("x")
    cause.sqlstate = sqlstate
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (OperationalError("server closed the connection"), True),
        (refused_by(OperationalError("terminating connection"), "57P01"), True),
        (refused_by(OperationalError("could not extend file"), "53100"), True),
        (refused_by(OperationalError("canceled"), "57014"), False),
        (refused_by(OperationalError("deadlock"), "40P01"), False),
        (InterfaceError("connection already closed"), True),
        (PoolTimeout("no connection after 5 s"), True),
        (DataError("text fields cannot contain NUL"), False),
        (IntegrityError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_only_a_database_that_cannot_be_asked_is_away(error: Exception, away: bool) -> None:
    assert is_away(error) is away


def with_hub(produce: Callable[[str], Message | None], play: Callable[[Hub], Awaitable[None]]) -> None:
    async def run() -> None:
        hub = Hub(produce)
        try:
            await play(hub)
        finally:
            await hub.stop()

    asyncio.run(run())


@pytest.mark.parametrize("error", [DataError("a NUL"), ValueError("a bug"), RuntimeError("x"), RecursionError()])
def test_a_region_that_fails_makes_nobody_stale_and_is_reported(
    services: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(live_hub, "related", lambda changed, watched: set())
    texts = iter(range(1000))

    def produce(topic: str) -> Message | None:
        if topic == "broker:hostile":
            raise error
        return message(topic, str(next(texts)))

    async def play(hub: Hub) -> None:
        hostile, honest = Subscriber(frozenset({"broker:hostile"})), Subscriber(frozenset({"status"}))
        hub.join(hostile)
        hub.join(honest)
        for _ in range(3):
            await next_content(honest)
            hub.mark(["status", "broker:hostile"])
        assert not hub.is_stale
        assert [region.topic for region in broken.regions()] == ["broker:hostile"]
        assert type(error).__name__ in health.live_part().text
        await hub.leave(hostile)
        assert broken.regions() == []
        assert health.live_part().state == "ok"

    with_hub(produce, play)


def test_what_cannot_be_followed_stops_no_page(services: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def related(changed: set[str], watched: set[str]) -> set[str]:
        raise ValueError("a bug")

    monkeypatch.setattr(live_hub, "related", related)

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status", "order:1"}))
        hub.join(subscriber)
        assert {(await next_content(subscriber))["topic"] for _ in range(2)} == {"status", "order:1"}
        assert not hub.is_stale

    with_hub(lambda topic: message(topic, "x"), play)


def test_a_loop_of_the_hub_goes_on_after_something_unforeseen(
    services: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_hub, "related", lambda changed, watched: set())
    monkeypatch.setattr(live_hub, "AWAY_SECONDS", 0.01)
    failures = iter([True])
    due = Hub._is_due

    def fails_once(hub: Hub, topic: str) -> bool:
        if next(failures, False):
            raise RuntimeError("unforeseen")
        return due(hub, topic)

    monkeypatch.setattr(Hub, "_is_due", fails_once)

    async def play(hub: Hub) -> None:
        subscriber = Subscriber(frozenset({"status"}))
        hub.join(subscriber)
        while not hub._latest:
            hub.mark(["status"])
            await asyncio.sleep(0.01)

    with_hub(lambda topic: message(topic, "x"), play)


def test_hundreds_of_regions_of_one_person_do_not_hold_up_the_status_line(
    services: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status line is rendered again after every round, and no object is left out for ever."""
    monkeypatch.setattr(live_hub, "related", lambda changed, watched: set())
    monkeypatch.setattr(fragments, "pause_of", lambda topic: 0)
    rendered: list[str] = []

    async def play(hub: Hub) -> None:
        crowd = Subscriber(frozenset(f"decision:{n}" for n in range(1, 201)))
        hub.join(crowd)
        hub.join(Subscriber(frozenset({"status"})))
        while len(set(rendered)) < 201:
            hub.mark(["status"])
            await asyncio.sleep(0)

    def produce(topic: str) -> Message | None:
        rendered.append(topic)
        return message(topic, str(len(rendered)))

    with_hub(produce, play)
    at = [place for place, topic in enumerate(rendered) if topic == "status"]
    assert max(later - earlier for earlier, later in itertools.pairwise(at)) <= live_hub.OBJECTS_AT_ONCE + 1


def test_a_person_gets_so_many_sockets_and_objects_and_others_theirs() -> None:
    taken = seats.Seats()
    page = frozenset({"status"})
    assert all(taken.take(1, page) for _ in range(seats.MAX_SOCKETS))
    assert not taken.take(1, page)
    assert taken.take(2, page)
    taken.leave(1, page)
    assert taken.take(1, page)


def test_a_person_watches_so_many_objects_over_all_sockets() -> None:
    taken = seats.Seats()
    first = frozenset(f"order:{n}" for n in range(1, seats.MAX_OBJECTS + 1))
    assert taken.take(1, first)
    assert taken.take(1, first), "the same objects cost nothing more"
    assert not taken.take(1, frozenset({"order:999"}))
    taken.leave(1, first)
    assert not taken.take(1, frozenset({"order:999"})), "another socket still watches them"
    taken.leave(1, first)
    assert taken.take(1, frozenset({"order:999"}))


async def closed(socket: WebsocketCommunicator) -> Any:
    async with asyncio.timeout(5):
        while (event := await socket.receive_output(timeout=5))["type"] != "websocket.close":
            pass
    return event


@pytest.mark.django_db(transaction=True)
def test_one_socket_too_many_is_closed_with_a_code_and_words(
    services: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "MAX_SOCKETS", 2)
    viewer, other = make.signed_in(make.person("viewer")), make.signed_in(make.person("trader"))

    async def play() -> None:
        sockets = [communicator(viewer) for _ in range(2)]
        for socket in (*sockets, others := communicator(other)):
            assert (await socket.connect(timeout=5))[0]
        surplus = communicator(viewer)
        await surplus.connect(timeout=5)
        refusal = await closed(surplus)
        assert (refusal["code"], "too many" in refusal["reason"]) == (4429, True)
        await sockets[0].disconnect()
        again = communicator(viewer)
        assert (await again.connect(timeout=5))[0]
        assert json.loads(await again.receive_from(timeout=5))["type"] == "hello"
        for socket in (sockets[1], others, again):
            await socket.disconnect()

    run_socket(play)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("topic", ["broker:%00", "model:%00", "trade:%C2%B2", "order:%D9%A3"])
def test_a_hostile_topic_alone_gets_no_socket(services: None, topic: str) -> None:
    viewer = make.signed_in(make.person("viewer"))

    async def play() -> None:
        connected, code = await communicator(viewer, topic).connect(timeout=5)
        assert (connected, code) == (False, consumers.BAD_TOPICS)

    run_socket(play)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/ws/desk/?topics=status", b"http://["),
        ("/ws/desk/?topics=status", b"http://localhost:99999"),
        ("/ws/desk/?topics=status", b"http://localhost:abc"),
        ("/ws/desk/?topics=status", b"http://evil.example"),
        ("/ws/desk/?topics=status", b"\xff"),
        ("/ws/nothing", b"http://localhost"),
        ("/", b"http://localhost"),
        ("/ws/desk/x", b"http://localhost"),
    ],
)
def test_a_socket_from_nowhere_or_to_nowhere_is_refused_and_no_error(path: str, origin: bytes) -> None:
    from algotrendy.asgi import application

    async def play() -> None:
        socket = WebsocketCommunicator(application, path, headers=[(b"origin", origin), (b"host", b"localhost")])
        assert not (await socket.connect(timeout=5))[0]

    run_socket(play)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("query", [b"x=\xff", b"\xed\xa0\x80=1"])
def test_what_django_cannot_even_build_a_request_of_is_kept_by_nobody(query: bytes) -> None:
    from algotrendy.asgi import application

    answers: list[Any] = []

    async def ask() -> None:
        client = ApplicationCommunicator(application, scope | {"query_string": query})
        await client.send_input({"type": "http.request", "body": b""})
        answers.append(await client.receive_output(timeout=5))
        await client.wait(timeout=5)

    scope = {"type": "http", "method": "GET", "path": "/alerts", "headers": [(b"host", b"localhost")]}
    run_socket(ask)
    assert answers[0]["status"] == 400
    assert (b"cache-control", b"no-store, private") in answers[0]["headers"]


def test_the_limits_of_a_person_are_those_that_the_threat_model_names() -> None:
    text = " ".join(Path(settings.BASE_DIR, "docs/THREAT_MODEL.md").read_text().split())
    assert f"{seats.MAX_SOCKETS} sockets and {seats.MAX_OBJECTS} objects a person" in text
