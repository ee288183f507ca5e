"""The JSON API: who may read and change what, and what an answer holds."""

import json
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from brokers.contract import Execution, VenueOrder
from brokers.models import Connection, Desk
from brokers.orders.reports import record
from market.models import Instrument, Quote
from memory.services import decide
from memory.trade_signal import TradeSignal
from webhooks import services
from webhooks.models import Alert, ApiKey, Source

pytestmark = pytest.mark.django_db
LISTS = ["alerts", "decisions", "orders", "fills", "trades", "positions", "equity", "desk"]


def key(scope: str = "read") -> dict[str, str]:
    _, secret = services.create_key(name=f"{scope} key", scope=scope)
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def reader() -> dict[str, str]:
    return key()


def history(number: int) -> Alert:
    """One alert that was decided, ordered and filled."""
    now = timezone.now()
    btc, _ = Instrument.objects.get_or_create(symbol="BTCUSDT")
    paper, _ = Connection.objects.get_or_create(name="paper")
    source, _ = Source.objects.get_or_create(name="ema", slug="ema", token_hash="x", connection=paper)
    Quote.objects.get_or_create(
        instrument=btc,
        defaults={"price": 100, "timeframe": 5, "kind": "simulated", "market_time": now, "received_at": now},
    )
    decision = decide(
        TradeSignal(
            key=f"alert-{number}",
            source="ema",
            policy="follow",
            connection=paper,
            instrument=btc,
            intent="long",
            price=Decimal(100),
            quantity=None,
            sizing="risk",
            risk_pct=Decimal("0.01"),
            notional=None,
            allow_short=True,
            stale=False,
            stale_reason="",
            good_until=None,
            received_at=now,
        )
    )
    entry = decision.orders.get(role="entry")
    fill = Execution(
        f"t{number}", entry.client_order_id, "BTCUSDT", "buy", entry.quantity, Decimal(100), Decimal("0.05"), now
    )
    record(paper, VenueOrder(entry.client_order_id, f"v{number}", "filled", executions=(fill,)))
    return Alert.objects.create(
        source=source,
        idempotency_key=str(number),
        body=b'{"symbol": "BTCUSDT"}',
        received_at=now,
        state="decided",
        decision=decision,
        instrument=btc,
        intent="long",
        decided_at=now,
    )


def test_an_alert_answers_with_its_decision_orders_and_fills_nested(client: Client, reader) -> None:
    alert = history(1)
    answer = client.get(f"/api/v1/alerts/{alert.pk}", headers=reader).json()
    assert (answer["state"], answer["symbol"], answer["body"]) == ("decided", "BTCUSDT", '{"symbol": "BTCUSDT"}')
    decision = answer["decision"]
    assert (decision["action"], decision["outcome"]["state"]) == ("BUY", "open")
    assert [order["role"] for order in decision["orders"]] == ["entry", "stop", "target"]
    entry = decision["orders"][0]
    assert entry["state"] == "filled"
    assert [fill["price"] for fill in entry["fills"]] == ["100"]
    assert decision["evidence"]["base"]["mean"] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("name", LISTS)
def test_without_a_key_everything_is_refused(client: Client, name: str) -> None:
    assert client.get(f"/api/v1/{name}").status_code == 401
    assert client.get(f"/api/v1/{name}", headers={"authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize("name", LISTS)
def test_a_revoked_key_is_refused(client: Client, reader, name: str) -> None:
    services.revoke_key(key=ApiKey.objects.get())
    assert client.get(f"/api/v1/{name}", headers=reader).status_code == 401


@pytest.mark.parametrize("name", LISTS)
def test_a_read_key_reads_in_a_constant_number_of_queries(
    client: Client, reader, name: str, django_assert_max_num_queries
) -> None:
    for number in range(1, 4):
        history(number)
    client.get(f"/api/v1/{name}", headers=reader)
    with django_assert_max_num_queries(8):
        answer = client.get(f"/api/v1/{name}", headers=reader)
    assert answer.status_code == 200


def test_pages_follow_one_another_by_id(client: Client, reader) -> None:
    made = [history(number).pk for number in range(1, 5)]
    first = client.get("/api/v1/alerts?limit=3", headers=reader).json()
    rest = client.get(f"/api/v1/alerts?limit=3&before={first[-1]['id']}", headers=reader).json()
    assert [row["id"] for row in first + rest] == made[::-1]


@pytest.mark.parametrize("path", ["alerts/999", "decisions/999", "orders/999"])
def test_what_does_not_exist_is_a_404_with_a_sentence(client: Client, reader, path: str) -> None:
    answer = client.get(f"/api/v1/{path}", headers=reader)
    assert answer.status_code == 404
    assert "no such" in answer.json()["detail"]


def post(client: Client, headers, **body):
    return client.post("/api/v1/desk", json.dumps(body), content_type="application/json", headers=headers)


def test_a_read_key_may_not_halt_the_desk(client: Client, reader) -> None:
    assert post(client, reader, state="halted").status_code == 403
    assert not Desk.objects.filter(state="halted").exists()


def test_a_trade_key_halts_but_does_not_resume(client: Client) -> None:
    trader = key("trade")
    answer = post(client, trader, state="halted", reason="news")
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "halted", "news")
    assert post(client, trader, state="active").status_code == 403
    refused = post(client, trader, state="reducing")
    assert (refused.status_code, "allow_exits" in refused.json()["detail"]) == (409, True)
    assert post(client, trader, state="active", allow_exits=True).status_code == 403
    assert Desk.objects.get().state == "halted"
    assert post(client, key("admin"), state="active").json()["state"] == "active"


def test_a_trade_key_lets_exits_leave_a_halted_desk_when_it_says_so(client: Client, reader) -> None:
    trader = key("trade")
    post(client, trader, state="halted")
    assert post(client, reader, state="reducing", allow_exits=True).status_code == 403
    answer = post(client, trader, state="reducing", allow_exits=True)
    assert (answer.status_code, answer.json()["state"]) == (200, "reducing")


def test_an_unknown_state_is_refused_by_name(client: Client) -> None:
    answer = post(client, key("admin"), state="paused")
    assert answer.status_code == 422
    assert "halted" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize("reason", ["\0", "a\0b", "\ud800", "\x1b[2J", "x" * 5000])
def test_the_desk_is_halted_whatever_the_reason_is(client: Client, reason: str) -> None:
    answer = post(client, key("trade"), state="halted", reason=reason)
    assert answer.status_code == 200, answer.content
    assert answer.json()["state"] == "halted"
    assert "\0" not in answer.json()["reason"]


def test_a_parameter_that_does_not_exist_is_refused_by_name(client: Client, reader) -> None:
    answer = client.get("/api/v1/orders?symbl=BTCUSDT", headers=reader)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "symbl"]


@pytest.mark.parametrize("path", ["nosuch", "alerts/x", "alerts/1/x"])
def test_an_address_that_does_not_exist_is_answered_in_json(client: Client, reader, path: str) -> None:
    answer = client.get(f"/api/v1/{path}", headers=reader)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_every_operation_names_all_its_answers(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert set(operation["responses"]) >= {"200", "400", "401", "405", "422"}, (method, path)
            assert ("{" not in path) or "404" in operation["responses"]


def test_the_api_describes_itself(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert "/api/v1/alerts/{alert_id}" in document["paths"]
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_money_is_text_and_using_a_key_is_noted(client: Client, reader) -> None:
    history(1)
    position = client.get("/api/v1/positions", headers=reader).json()[0]
    assert isinstance(position["quantity"], str)
    assert ApiKey.objects.get().last_used_at is not None
