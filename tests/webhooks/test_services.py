"""Sources, keys, replays, and the commands that scripts use."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.models import Connection
from market.services import ensure_instrument
from tests.support.webhooks import TOKEN, committed, make_source, open_gate
from webhooks import addresses, keys, services
from webhooks.models import Alert, ApiKey, Source

__all__ = ["committed"]

database = pytest.mark.django_db


@pytest.fixture
def paper(db: None) -> Connection:
    return Connection.objects.create(name="paper")


@pytest.fixture
def ann(django_user_model: Any) -> Any:
    return django_user_model.objects.create(username="ann")


def run(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def test_a_new_source_has_a_token_of_its_own_that_is_not_stored(paper: Connection, ann: Any) -> None:
    source, token = services.create_source(name="EMA cross", connection=paper, policy="filter", by=ann)
    assert (source.slug, source.policy, source.created_by) == ("ema-cross", "filter", ann)
    assert keys.matches(token, source.token_hash)
    assert len(token) >= 43
    assert LogEntry.objects.get().change_message == "made the source"


def test_slugs_stay_apart_as_decisions_name_their_source_by_them(paper: Connection) -> None:
    slugs = [services.create_source(name=name, connection=paper)[0].slug for name in ("A b", "a-b", "A  B", "…")]
    assert slugs == ["a-b", "a-b-2", "a-b-3", "source"]


def test_two_sources_may_not_have_one_name(paper: Connection) -> None:
    services.create_source(name="one", connection=paper)
    with pytest.raises(IntegrityError), transaction.atomic():
        services.create_source(name="one", connection=paper)


def test_an_allow_list_that_cannot_be_read_is_refused(paper: Connection) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        services.create_source(name="one", connection=paper, allowed_networks=["nonsense"])


@database
def test_a_rotated_token_goes_on_for_a_day() -> None:
    source = make_source()
    fresh = services.rotate_token(source=source)
    source.refresh_from_db()
    assert keys.matches(fresh, source.token_hash)
    assert keys.matches(TOKEN, source.previous_token_hash)
    assert timedelta(hours=23) < source.previous_until - timezone.now() < timedelta(hours=25)
    assert services.forget_old_tokens() == 0
    assert services.forget_old_tokens(timezone.now() + timedelta(hours=25)) == 1
    source.refresh_from_db()
    assert (source.previous_token_hash, source.previous_until) == ("", None)


@database
def test_a_rotation_without_grace_ends_the_old_token() -> None:
    source = make_source()
    services.rotate_token(source=source, grace=timedelta(0))
    source.refresh_from_db()
    assert (source.previous_token_hash, source.previous_until) == ("", None)


@database
def test_a_change_of_a_source_is_noted_with_what_changed(ann: Any) -> None:
    source = make_source()
    services.update_source(source=source, by=ann, policy="shadow", name="strategy", staleness_seconds=5)
    source.refresh_from_db()
    assert (source.policy, source.staleness_seconds) == ("shadow", 5)
    assert LogEntry.objects.get().change_message == "policy: follow → shadow; staleness limit, s: 60 → 5"
    with pytest.raises(ValueError, match="token_hash"):
        services.update_source(source=source, token_hash="x")


@database
def test_a_revoked_source_stays_revoked_and_sends_nothing() -> None:
    source = make_source()
    services.revoke(source=source)
    first = source.revoked_at
    services.revoke(source=source)
    assert source.revoked_at == first
    with pytest.raises(services.SourceRevoked):
        services.send_test(source=source, symbol="BTCUSDT", action="hold")
    assert not Alert.objects.exists()


@database
def test_a_replay_is_a_new_alert_with_a_key_of_its_own(ann: Any) -> None:
    alert = Alert.objects.create(
        source=make_source(),
        idempotency_key="1",
        body=b"buy",
        received_at=timezone.now(),
        state="failed",
        reason="x",
    )
    again = [services.replay_alert(alert=alert, by=ann) for _ in range(2)]
    assert [each.replay_of for each in again] == [alert, alert]
    assert {each.state for each in again} == {"received"}
    assert LogEntry.objects.count() == 2


@database
def test_the_demos_token_is_derived_and_cannot_be_rotated() -> None:
    source = services.create_demo_source()
    assert services.create_demo_source() == source
    assert keys.matches(services.demo_token(), source.token_hash)
    with pytest.raises(services.NotForDemo):
        services.rotate_token(source=source)


# --- commands


def test_create_source_prints_its_address_as_json(paper: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALGOTRENDY_URL", "set")
    report = json.loads(run("create_source", "My strategy", "--policy", "shadow", "--allow", "1.2.3.4", "--json"))
    source = Source.objects.get()
    assert set(report) == {"url", "slug", "id"}
    assert report["url"].startswith("http://127.0.0.1:8000/webhooks/tradingview/")
    assert keys.matches(report["url"].rpartition("/")[2], source.token_hash)
    assert (report["slug"], report["id"]) == ("my-strategy", source.pk)
    assert (source.policy, source.connection, source.allowed_networks) == ("shadow", paper, ["1.2.3.4"])


@database
def test_create_source_opens_a_paper_account_when_there_is_none() -> None:
    run("create_source", "first", "--sizing", "notional", "--notional", "500", "--secret", "a-long-secret")
    source = Source.objects.get()
    assert source.connection.mode == "paper"
    assert keys.matches("a-long-secret", source.body_secret_hash)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["taken"], "there is a source 'taken' already"),
        (["x", "--connection", "none"], "no such connection; there are: paper"),
        (["x", "--sizing", "notional"], "needs --notional"),
        (["x", "--allow", "nonsense"], "nonsense"),
        (["x", "--policy", "yolo"], "invalid choice"),
    ],
)
def test_create_source_says_what_is_wrong(paper: Connection, arguments: list[str], says: str) -> None:
    services.create_source(name="taken", connection=paper)
    with pytest.raises(CommandError, match=says), transaction.atomic():
        run("create_source", *arguments)


@database
def test_create_key_prints_the_key_as_json() -> None:
    report = json.loads(run("create_key", "script", "--scope", "trade", "--json"))
    key = ApiKey.objects.get()
    assert keys.matches(report["key"], key.key_hash)
    assert key.scope == "trade"
    with pytest.raises(CommandError, match="already"), transaction.atomic():
        run("create_key", "script")


@database
def test_sources_are_listed_rotated_and_revoked() -> None:
    source = make_source("ema")
    listed = json.loads(run("sources", "--json"))
    assert (listed["slug"], listed["last_alert"], listed["revoked"]) == ("ema", None, False)
    assert "never" in run("sources")
    address = run("sources", "--rotate", "ema").strip()
    source.refresh_from_db()
    assert keys.matches(address.rpartition("/")[2], source.token_hash)
    run("sources", "--revoke", "ema")
    assert "revoked" in run("sources")
    with pytest.raises(CommandError, match="no source 'ema'"):
        run("sources", "--revoke", "ema")


def test_send_alert_goes_through_the_door_and_tells_the_decision(
    committed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks import inbox
    from webhooks.management.commands import send_alert

    ensure_instrument("BTCUSDT")
    make_source("ema")
    decided = send_alert._decided

    def decide_first(alert_id: int, seconds: float) -> Any:
        inbox.drain()
        return decided(alert_id, seconds)

    monkeypatch.setattr(send_alert, "_decided", decide_first)
    with open_gate() as gate:
        monkeypatch.setattr(addresses, "local_url", lambda: gate.url)
        report = json.loads(run("send_alert", "--symbol", "BINANCE:BTCUSDT", "--action", "hold", "--json"))
        text = run("send_alert", "--source", "ema", "--body", "gibberish")
        with pytest.raises(CommandError, match="answered 404"):
            run("send_alert", "--url", gate.address("wrong"))
    alert = Alert.objects.get(pk=report["alert"])
    assert (report["state"], report["action"], report["why"]) == ("decided", "HOLD", "the alert asks for nothing")
    assert report["url"].endswith(f"/decisions/{alert.decision_id}")
    assert "is failed. The message says none of buy" in text
    # The token made for the test is gone, and the source's own was not touched.
    source = Source.objects.get()
    assert (source.previous_token_hash, keys.matches(TOKEN, source.token_hash)) == ("", True)


def test_send_alert_says_when_the_desk_is_not_there(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_source("ema")
    monkeypatch.setattr(addresses, "local_url", lambda: "http://127.0.0.1:9")
    with pytest.raises(CommandError, match=r"does not answer at http://127.0.0.1:9/: ConnectError. Is it up\?"):
        run("send_alert")
