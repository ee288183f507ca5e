"""The doors for machines that watch the desk: /healthz, /readyz, /prometheus."""

from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from algotrendy.monitoring import health
from algotrendy.supervisor.disk import Space

OUTSIDE = "203.0.113.7"
PLENTY = Space(Path("/desk"), 10**11)
FULL = Space(Path("/desk"), 1_000_000)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room on the disk, whatever this machine has."""
    monkeypatch.setattr("algotrendy.supervisor.disk.space", lambda data: PLENTY)


def test_healthz_answers_without_asking_anything(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.content == b"ok\n"


@pytest.mark.django_db
def test_readyz_names_each_check(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {"database": "ok", "migrations": "ok", "valkey": "ok", "disk": "ok"},
    }


@pytest.mark.django_db
def test_readyz_is_503_and_says_so_when_the_database_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OperationalError("connection to postgres://user:secret@host failed")

    monkeypatch.setattr(health.connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "OperationalError",
        "migrations": "not asked",
        "valkey": "ok",
        "disk": "ok",
    }
    assert "secret" not in answer.content.decode()


@pytest.mark.django_db
def test_readyz_is_503_when_migrations_are_missing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "unapplied_migrations", lambda: ["market.0002_more"])
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "1 not applied"


@pytest.mark.django_db
def test_readyz_is_503_when_valkey_does_not_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        health, "_valkey", lambda: redis.Redis(unix_socket_path="/nowhere/valkey.sock", retry=None)
    )
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["valkey"] == "ConnectionError"


@pytest.mark.django_db
def test_migrations_are_compared_with_the_database() -> None:
    health._applied_before.clear()
    assert health.unapplied_migrations() == []


@pytest.mark.django_db
def test_figures_are_given_to_a_scraper_on_this_machine(client: Client) -> None:
    answer = client.get("/prometheus")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert "algotrendy_database_up 1.0" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_proxy_on_this_machine_does_not_make_its_callers_local(client: Client, address: str) -> None:
    forwarded = client.get("/prometheus", REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=OUTSIDE)
    assert forwarded.status_code == 403
    assert client.get("/prometheus", REMOTE_ADDR=address).status_code == 200


@pytest.mark.django_db
def test_from_outside_figures_need_the_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(**extra: str) -> int:
        return client.get("/prometheus", REMOTE_ADDR=OUTSIDE, **extra).status_code

    assert status() == 403
    assert status(HTTP_AUTHORIZATION="Bearer ") == 403
    monkeypatch.setenv("ALGOTRENDY_METRICS_TOKEN", "figures-please")
    assert status() == 403
    assert status(HTTP_AUTHORIZATION="Bearer wrong") == 403
    assert status(HTTP_AUTHORIZATION="Bearer figures-please") == 200


@pytest.mark.django_db
def test_the_figures_tell_orders_feeds_and_queue(client: Client) -> None:
    from market.models import Feed

    Feed.objects.create(name="sim", driver="simulator", last_candle_at=timezone.now() - timedelta(seconds=30))
    text = client.get("/prometheus").content.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert 29 < float(figures['algotrendy_feed_age_seconds{driver="simulator",feed="sim"}']) < 60
    assert figures['algotrendy_orders{state="unknown"}'] == "0.0"
    assert figures["algotrendy_queue_age_seconds"] == "0.0"
    assert figures["algotrendy_alerts_filled"] == "0.0"
    assert "algotrendy_accept_seconds_bucket" in text


@pytest.mark.django_db
def test_a_database_that_fails_during_a_scrape_is_a_figure_too(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> float:
        raise OperationalError

    monkeypatch.setattr("webhooks.prometheus.queue_age", fail)
    answer = client.get("/prometheus")
    assert answer.status_code == 200
    assert "algotrendy_database_up 0.0" in answer.content.decode()


@pytest.mark.django_db
def test_readyz_is_503_on_a_full_disk_and_warns_before(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("algotrendy.supervisor.disk.space", lambda data: Space(data, 10**9))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (200, "low")
    monkeypatch.setattr("algotrendy.supervisor.disk.space", lambda data: FULL)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, "full")


@pytest.mark.django_db
def test_the_room_on_the_disk_is_a_figure(client: Client) -> None:
    assert b"algotrendy_disk_free_bytes 1e+11" in client.get("/prometheus").content
