"""The door: who is let in, what is stored, and what the sender is told."""

import asyncio
import json
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.support.webhooks import SIGNAL, TOKEN, Gate, Nudges, committed, make_source, open_gate, post_together
from webhooks import keys
from webhooks.addresses import networks, parse_address, sender
from webhooks.door.app import MAX_BODY
from webhooks.models import Alert, Source

__all__ = ["committed"]


@pytest.fixture
def gate(committed: None) -> Iterator[Gate]:
    with open_gate() as gate:
        yield gate


@pytest.fixture
def source(committed: None) -> Source:
    return make_source()


@pytest.mark.django_db
def test_a_token_is_kept_only_as_its_keyed_hash_and_hint() -> None:
    source = make_source()
    stored = [str(value) for value in Source.objects.filter(pk=source.pk).values_list().get()]
    assert not any(TOKEN in value for value in stored)
    assert keys.matches(TOKEN, source.token_hash)
    assert not keys.matches(TOKEN[:-1], source.token_hash)


def test_without_the_pepper_a_hash_tells_nothing(settings: pytest.FixtureRequest) -> None:
    before = keys.digest(TOKEN)
    settings.TOKEN_PEPPER = "another"
    assert keys.digest(TOKEN) != before


def test_what_the_door_answers_is_kept_by_nobody(gate: Gate, source: Source) -> None:
    import httpx

    answers = [gate.post(), gate.post(token="wrong"), httpx.get(gate.address())]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 3


def test_an_alert_is_stored_whole_and_answered_with_its_id(gate: Gate, source: Source) -> None:
    answer = gate.post(b'  {"symbol": "BTCUSDT", "action": "buy"}\n', headers={"Content-Type": "text/plain"})
    alert = Alert.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {"alert": alert.pk}
    assert bytes(alert.body) == b'  {"symbol": "BTCUSDT", "action": "buy"}\n'
    assert (alert.state, alert.content_type, alert.remote_address) == ("received", "text/plain", "127.0.0.1")
    assert alert.source == source
    assert gate.nudges == [alert.pk]


def test_a_trailing_slash_makes_no_difference(gate: Gate, source: Source) -> None:
    assert gate.post(token=TOKEN + "/").status_code == 202


def test_other_paths_go_to_the_application_behind(gate: Gate) -> None:
    import httpx

    assert httpx.get(gate.url + "/").status_code == 418
    assert httpx.get(gate.url + "/webhooks/tradingviews").status_code == 418


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "ü", "a/b"])
def test_no_token_and_a_wrong_token_are_not_found(gate: Gate, source: Source, token: str) -> None:
    answer = gate.post(token=token)
    assert answer.status_code == 404
    assert "set-up page" in answer.json()["error"]
    assert not Alert.objects.exists()


def test_a_revoked_token_is_not_found_a_second_later(gate: Gate, source: Source) -> None:
    assert gate.post().status_code == 202
    Source.objects.update(revoked_at=timezone.now())
    # Even before the door's list of sources is read again, the insert finds that the source is revoked.
    assert gate.post(SIGNAL | {"id": 2}).status_code == 404
    assert Alert.objects.count() == 1


def test_a_new_source_works_at_once(gate: Gate, source: Source) -> None:
    assert gate.post().status_code == 202
    assert gate.post(token="another").status_code == 404
    make_source("second", "another")
    assert gate.post(token="another").status_code == 202


def test_a_rotated_token_works_until_its_grace_is_over(gate: Gate, source: Source) -> None:
    Source.objects.update(
        token_hash=keys.digest("fresh"),
        previous_token_hash=keys.digest(TOKEN),
        previous_until=timezone.now() + timedelta(seconds=60),
    )
    assert gate.post(token="fresh").status_code == 202
    assert gate.post(SIGNAL | {"id": 2}).status_code == 202
    Source.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    asyncio.run(asyncio.sleep(1.05))
    assert gate.post(SIGNAL | {"id": 3}).status_code == 404
    assert gate.post(SIGNAL | {"id": 4}, token="fresh").status_code == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_told_to_post(gate: Gate, method: str) -> None:
    import httpx

    answer = httpx.request(method, gate.address())
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert "POST" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b" \n\t "])
def test_an_empty_message_is_refused_with_an_example(gate: Gate, source: Source, body: bytes) -> None:
    answer = gate.post(body)
    assert answer.status_code == 400
    assert "{{ticker}}" in answer.json()["error"]


def test_the_largest_message_is_taken_and_a_larger_one_is_not(gate: Gate, source: Source) -> None:
    assert gate.post(b"x" * MAX_BODY).status_code == 202
    answer = gate.post(b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413
    assert "64 KB" in answer.json()["error"]
    assert Alert.objects.count() == 1


def test_a_body_without_announced_length_is_capped_while_it_comes(gate: Gate, source: Source) -> None:
    request = (
        f"POST /webhooks/tradingview/{TOKEN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    with socket.create_connection(("127.0.0.1", gate.port)) as link:
        link.sendall(request)
        for _ in range(5):
            link.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert link.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_length_that_lies_is_refused_before_anything_is_read(gate: Gate, source: Source) -> None:
    request = (
        f"POST /webhooks/tradingview/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc".encode()
    )
    with socket.create_connection(("127.0.0.1", gate.port)) as link:
        link.sendall(request)
        assert link.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_sender_that_hangs_up_leaves_nothing_behind(gate: Gate, source: Source) -> None:
    request = f"POST /webhooks/tradingview/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode()
    with socket.create_connection(("127.0.0.1", gate.port)) as link:
        link.sendall(request)
    assert gate.post().status_code == 202
    assert Alert.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe not text",
        b"NUL \x00 byte",
        b"[" * 60_000,
        b'{"price": NaN}',
        b'{"price": 1e400}',
        b'{"a":' * 10_000,
        json.dumps({str(number): number for number in range(4_000)}).encode(),
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_what_cannot_be_read_is_kept_whole(gate: Gate, source: Source, body: bytes) -> None:
    assert gate.post(body).status_code == 202
    assert bytes(Alert.objects.get().body) == body


def test_many_alerts_at_once_get_ids_of_their_own(gate: Gate, source: Source) -> None:
    answers = asyncio.run(post_together(gate, [json.dumps(SIGNAL | {"id": n}).encode() for n in range(200)]))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["alert"] for answer in answers}) == 200
    assert Alert.objects.count() == 200


# --- the same alert again


@pytest.mark.parametrize(
    ("body", "differ"),
    [
        (SIGNAL | {"id": "abc-1"}, True),
        (SIGNAL | {"timenow": "2025-10-15T10:00:00Z", "order_id": "Long"}, True),
        (SIGNAL, False),
    ],
    ids=["explicit id", "time of firing", "whole body"],
)
def test_the_same_alert_four_times_in_parallel_is_stored_once(
    gate: Gate, source: Source, body: dict, differ: bool
) -> None:
    # Bodies that differ elsewhere: equal ones would be one alert by their bytes alone.
    bodies = [json.dumps(body | ({"comment": f"no. {number}"} if differ else {})).encode() for number in range(4)]
    answers = asyncio.run(post_together(gate, bodies))
    alert = Alert.objects.get()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert {answer.json()["alert"] for answer in answers} == {alert.pk}
    assert [answer.json().get("duplicate", False) for answer in answers].count(True) == 3
    assert alert.duplicates == 3


def test_the_same_alert_again_later_is_known(gate: Gate, source: Source) -> None:
    first, second = gate.post(SIGNAL | {"id": 7}), gate.post(SIGNAL | {"id": 7, "price": "51000"})
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json() == {"alert": first.json()["alert"], "duplicate": True}
    assert Alert.objects.get().duplicates == 1


def test_the_same_alert_of_another_source_is_another_alert(gate: Gate, source: Source) -> None:
    make_source("second", "another")
    assert [gate.post(token=token).status_code for token in (TOKEN, "another")] == [202, 202]


def test_equal_alerts_more_than_a_minute_apart_are_both_meant(gate: Gate, source: Source) -> None:
    gate.post()
    Alert.objects.update(received_at=timezone.now() - timedelta(seconds=61), idempotency_key=_a_minute_ago())
    assert gate.post().status_code == 202


def test_equal_alerts_within_a_minute_are_one_over_the_turn_of_the_minute(gate: Gate, source: Source) -> None:
    gate.post()
    Alert.objects.update(received_at=timezone.now() - timedelta(seconds=55), idempotency_key=_a_minute_ago())
    assert gate.post().json()["duplicate"] is True


def _a_minute_ago() -> str:
    base, _, minute = Alert.objects.get().idempotency_key.rpartition(":")
    return f"{base}:{int(minute) - 1}"


def test_an_alert_that_is_being_decided_does_not_hold_up_others(gate: Gate, source: Source) -> None:
    from django.db import transaction

    first = gate.post(SIGNAL | {"id": 1})
    with transaction.atomic():
        Alert.objects.select_for_update().get()
        again = gate.post(SIGNAL | {"id": 1})
        other = gate.post(SIGNAL | {"id": 2})
    assert again.json() == {"alert": first.json()["alert"], "duplicate": True}
    assert other.status_code == 202
    gate.post(SIGNAL | {"id": 2})
    assert list(Alert.objects.order_by("id").values_list("duplicates", flat=True)) == [1, 1]


# --- secrets


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbol": "BTCUSDT", "action": "buy", "secret": "hunter2-hunter2"}',
        b'{"symbol": "BTCUSDT", "action": "buy", "auth": {"Passphrase" : "hunter2-hunter2"}}',
        b'{"symbol": "BTCUSDT", "action": "buy", "s\\u0065cret": "hunter2-hunter2"}',
        b'{"symbol": "BTCUSDT", "action": "buy", "api_key": "hunter2-hunter2", broken',
        b"BUY BTCUSDT password=hunter2-hunter2",
        b"symbol: BTCUSDT, action: buy, token: 'hunter2-hunter2'",
    ],
)
def test_a_body_secret_is_checked_and_never_stored(
    gate: Gate, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    make_source(body_secret_hash=keys.digest("hunter2-hunter2"))
    assert gate.post(body).status_code == 202
    alert = Alert.objects.get()
    assert b"hunter2" not in bytes(alert.body)
    assert b"BTCUSDT" in bytes(alert.body)
    assert "hunter2" not in alert.idempotency_key
    assert "hunter2" not in caplog.text


def test_a_secret_is_removed_even_when_the_source_asks_for_none(gate: Gate, source: Source) -> None:
    gate.post(SIGNAL | {"secret": "hunter2-hunter2", "password": 12345678})
    stored = bytes(Alert.objects.get().body)
    assert b"hunter2" not in stored
    assert b"12345678" not in stored


@pytest.mark.parametrize("body", [SIGNAL, SIGNAL | {"secret": "wrong"}, SIGNAL | {"secret": ""}])
def test_a_wrong_or_missing_body_secret_is_forbidden(gate: Gate, body: dict) -> None:
    make_source(body_secret_hash=keys.digest("hunter2-hunter2"))
    answer = gate.post(body)
    assert answer.status_code == 403
    assert "secret" in answer.json()["error"]
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("application/json; secret=hunter2", "application/json"),
        ("text/plain; token=a; charset=utf-8; x=y", "text/plain; charset=utf-8"),
        ("a" * 300, "a" * 100),
    ],
)
def test_of_a_content_type_the_kind_and_the_charset_are_kept(
    gate: Gate, source: Source, header: str, kept: str
) -> None:
    gate.post(headers={"Content-Type": header})
    assert Alert.objects.get().content_type == kept


def test_a_secret_is_found_among_many_of_its_kind(gate: Gate) -> None:
    make_source(body_secret_hash=keys.digest("z-hunter2-hunter2"))
    others = {f"token_{n}": f"a{n}" for n in range(30)}
    assert gate.post(SIGNAL | others | {"api_secret": "z-hunter2-hunter2"}).status_code == 202


def test_a_repeat_is_known_whatever_secret_it_bears(gate: Gate, source: Source) -> None:
    gate.post(SIGNAL | {"secret": "one"})
    assert gate.post(SIGNAL | {"secret": "two"}).json()["duplicate"] is True


# --- where it comes from


def test_an_address_outside_the_allow_list_is_forbidden(gate: Gate) -> None:
    make_source(allowed_networks=["52.89.214.238"])
    answer = gate.post()
    assert answer.status_code == 403
    assert "address" in answer.json()["error"]


def test_an_address_on_the_allow_list_is_let_in(gate: Gate) -> None:
    make_source(allowed_networks=["127.0.0.0/8"])
    assert gate.post().status_code == 202


def test_a_forwarded_address_is_not_believed_without_a_trusted_proxy(gate: Gate) -> None:
    make_source(allowed_networks=["52.89.214.238"])
    assert gate.post(headers={"X-Forwarded-For": "52.89.214.238"}).status_code == 403


@pytest.mark.usefixtures("committed")
def test_a_trusted_proxy_is_believed(settings: pytest.FixtureRequest) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    make_source(allowed_networks=["52.89.214.238"])
    with open_gate() as gate:
        spoofed = gate.post(headers={"X-Forwarded-For": "52.89.214.238, 6.6.6.6"})
        honest = gate.post(headers={"X-Forwarded-For": "6.6.6.6, 52.89.214.238"})
    assert (spoofed.status_code, honest.status_code) == (403, 202)
    assert Alert.objects.get().remote_address == "52.89.214.238"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("1.1.1.1", ["9.9.9.9"], "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        ("10.0.0.1", ["9.9.9.9, 8.8.8.8"], "8.8.8.8"),
        ("10.0.0.1", ["9.9.9.9", "8.8.8.8, 10.0.0.2"], "8.8.8.8"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], None),
        ("::ffff:10.0.0.1", ["9.9.9.9"], "9.9.9.9"),
        (None, ["9.9.9.9"], None),
    ],
)
def test_forwarded_addresses_are_read_from_the_right(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    address = sender(peer, forwarded, networks(("10.0.0.0/8",)))
    assert address == (parse_address(expected) if expected else None)


def test_nudges_of_a_batch_are_one(gate: Gate, source: Source) -> None:
    asyncio.run(post_together(gate, [json.dumps(SIGNAL | {"id": n}).encode() for n in range(100)]))
    assert isinstance(gate.nudges, Nudges)
    assert 1 <= len(gate.nudges) < 100
    assert max(gate.nudges) == Alert.objects.order_by("-id").values_list("id", flat=True)[0]
