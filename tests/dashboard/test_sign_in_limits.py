"""Guessing passwords: counted per name and per address, where neither noise nor a restart forgets it."""

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client

from dashboard.accounts import attempts
from dashboard.accounts.attempts import AttemptsCache
from tests.support.pages import PASSWORD, person

pytestmark = pytest.mark.django_db
TOO_MANY = "Too many failed login attempts"


@pytest.fixture(autouse=True)
def _nothing_counted(services: None) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def attempt(name: str, password: str = "wrong", address: str = "192.0.2.1", **headers: str) -> str:
    answer = Client(REMOTE_ADDR=address).post(
        "/accounts/login/", {"login": name, "password": password}, headers=headers or None
    )
    return "in" if answer.status_code == 302 else answer.content.decode()


def exhaust(name: str, *addresses: str) -> None:
    for address in addresses:
        assert TOO_MANY not in attempt(name, address=address)


def test_five_failures_lock_a_name_from_every_address_and_the_right_password_too() -> None:
    person("trader")
    exhaust("trader", *(f"192.0.2.{n}" for n in range(5)))
    assert TOO_MANY in attempt("trader", PASSWORD, "198.51.100.1")


@pytest.mark.parametrize(
    "spelling", ["TRADER", "Trader ", "\uff54rader", "trader"], ids=["capitals", "blank", "wide", "same"]
)
def test_another_spelling_of_a_name_is_the_same_name(spelling: str) -> None:
    person("trader")
    exhaust("trader", *(f"192.0.2.{n}" for n in range(5)))
    assert TOO_MANY in attempt(spelling, PASSWORD, "198.51.100.1")


def test_another_host_or_port_in_the_request_is_no_new_limit() -> None:
    person("trader")
    for port in range(5):
        assert TOO_MANY not in attempt("trader", address=f"192.0.2.{port}", host=f"localhost:{port + 1}")
    assert TOO_MANY in attempt("trader", PASSWORD, "198.51.100.1", host="127.0.0.1:99")


def test_ten_failures_lock_an_address_for_every_name() -> None:
    person("trader")
    for number in range(10):
        assert TOO_MANY not in attempt(f"nobody{number}")
    assert TOO_MANY in attempt("trader", PASSWORD)
    assert attempt("trader", PASSWORD, "198.51.100.1") == "in"


def test_addresses_of_one_ipv6_network_count_together() -> None:
    person("trader")
    for number in range(10):
        assert TOO_MANY not in attempt(f"nobody{number}", address=f"2001:db8:0:1::{number:x}")
    assert TOO_MANY in attempt("trader", PASSWORD, "2001:db8:0:1:ffff::1")
    assert attempt("trader", PASSWORD, "2001:db8:0:2::1") == "in"


def test_a_forwarded_address_that_no_trusted_proxy_wrote_is_no_new_limit() -> None:
    for number in range(10):
        attempt(f"nobody{number}", **{"x-forwarded-for": f"203.0.113.{number}"})
    assert TOO_MANY in attempt("trader", PASSWORD, **{"x-forwarded-for": "203.0.113.99"})


def test_behind_a_trusted_proxy_everybody_has_a_limit_of_their_own(settings) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]
    person("trader")
    for number in range(10):
        attempt(f"nobody{number}", **{"x-forwarded-for": f"198.51.100.{number}, 203.0.113.7"})
    assert TOO_MANY in attempt("trader", PASSWORD, **{"x-forwarded-for": "203.0.113.7"})
    assert attempt("trader", PASSWORD, **{"x-forwarded-for": "203.0.113.8"}) == "in"


def test_noise_and_a_restart_of_web_forget_nothing() -> None:
    person("trader")
    exhaust("trader", *(f"192.0.2.{n}" for n in range(5)))
    for number in range(400):
        cache.set(f"noise{number}", [1.0], 300)
    restarted = AttemptsCache(django_settings.REDIS_URL, dict(django_settings.CACHES["default"]))
    keys = [key for key in cache._cache.get_client().scan_iter("sign-in:*") if b"login_failed" in key]
    assert len(keys) == 6, "five addresses and a name"
    assert all(restarted.get(key.decode().split(":", 2)[2]) for key in keys)
    assert TOO_MANY in attempt("trader", PASSWORD, "198.51.100.1")


def test_what_is_counted_is_json_and_ends_by_itself() -> None:
    attempt("trader")
    client = cache._cache.get_client()
    keys = [key for key in client.scan_iter("sign-in:*") if not key.endswith(b":lock")]
    assert keys
    for key in keys:
        assert client.get(key).startswith(b"[")
        assert 0 < client.ttl(key) <= 300


def test_while_valkey_is_away_people_sign_in_and_guessing_is_still_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(redis.Redis, "execute_command", refuse)
    person("trader")
    assert attempt("trader", PASSWORD) == "in"
    person("viewer")
    exhaust("viewer", *(f"192.0.2.{n}" for n in range(5)))
    assert TOO_MANY in attempt("viewer", PASSWORD, "198.51.100.1")
    monkeypatch.undo()


def test_forgetting_attempts_leaves_the_queue_alone(valkey: redis.Redis) -> None:
    valkey.rpush("trade", "a task")
    cache.set("x", [1])
    cache.clear()
    assert cache.get("x") is None
    assert valkey.llen("trade") == 1


def test_values_are_never_unpickled() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        attempts.JsonSerializer().loads(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
