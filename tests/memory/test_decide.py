"""A signal becomes one decision with all its evidence, its orders and an outcome to follow."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.models import Connection, Order
from market.models import Instrument, Quote
from memory.models import Decision, Tally
from memory.selectors import decision_detail
from memory.services import decide
from memory.signals import decided
from memory.trade_signal import TradeSignal
from tests.support.agent import signal_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def signal() -> TradeSignal:
    btc = Instrument.objects.create(symbol="BTCUSDT")
    now = timezone.now()
    Quote.objects.create(
        instrument=btc, price=100, timeframe=5, kind="simulated", market_time=now, received_at=now
    )
    return signal_now(Connection.objects.create(name="paper"), btc, price=Decimal(101), tags={"rsi": "31.5"})


def test_a_followed_signal_orders_an_entry_with_stop_and_target(signal) -> None:
    decision = decide(signal)
    roles = [link.order.role for link in decision.order_links.order_by("leg")]
    assert (decision.action, roles) == ("BUY", ["entry", "stop", "target"])
    assert decision.outcome.state == "open"
    assert decision.outcome.kind == "real"
    assert decision.as_of == Quote.objects.get().market_time


def test_the_evidence_holds_every_number(signal) -> None:
    Tally.objects.create(source="ema", instrument=signal.instrument, side="long", wins=30, cases=50)
    Tally.objects.create(source="other", instrument=signal.instrument, side="long", wins=0, cases=10)
    evidence = decide(signal).evidence
    assert [(level["name"], level["wins"], level["cases"]) for level in evidence["levels"]] == [
        ("desk", 30, 60),
        ("source", 30, 50),
        ("instrument and side", 30, 50),
    ]
    assert evidence["levels"][-1]["mean"] == evidence["confidence"]
    assert evidence["low"] < evidence["confidence"] < evidence["high"]
    assert evidence["signal"] == {"rsi": "31.5", "price": "101"}
    assert {check["name"] for check in evidence["checks"]} >= {"daily_loss", "order_size", "position_size"}
    assert evidence["quote"]["price"] == "100.0000000000"


def test_a_shadow_source_decides_but_never_orders(signal) -> None:
    decision = decide(replace(signal, policy="shadow"))
    assert (decision.action, decision.outcome.kind) == ("BUY", "counterfactual")
    assert not Order.objects.exists()


def test_one_signal_is_decided_once(signal) -> None:
    decide(signal)
    with pytest.raises(IntegrityError), transaction.atomic():
        decide(signal)
    assert Decision.objects.count() == 1


def test_a_second_signal_sees_the_order_of_the_first_on_its_way(signal) -> None:
    decide(signal)
    closing = decide(replace(signal, key="alert-2", intent="flat"))
    assert closing.action == "CLOSE"
    link = closing.order_links.get()
    assert (link.order.role, link.order.side, link.order.reduce_only) == ("exit", "sell", True)


def test_without_a_price_it_holds_and_says_so(signal) -> None:
    Quote.objects.all().delete()
    decision = decide(signal)
    assert (decision.action, decision.refused, decision.outcome.state) == ("HOLD", True, "void")


def test_orders_leave_only_after_the_commit(signal, django_capture_on_commit_callbacks) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        decide(signal)
        assert Order.objects.filter(state="pending").count() == 3
    assert callbacks


def test_a_decision_is_read_with_a_constant_number_of_queries(signal, django_assert_num_queries) -> None:
    decision = decide(signal)
    with django_assert_num_queries(5):
        detail = decision_detail(decision.pk)
        assert detail is not None
        for link in detail.order_links.all():
            list(link.order.fills.all())
            assert link.order.connection.name == "paper"


def test_a_decision_is_announced_once_after_the_commit(
    signal, monkeypatch, django_capture_on_commit_callbacks
) -> None:
    announced: list[int] = []

    def receive(decision_id: int, **_: object) -> None:
        announced.append(decision_id)

    monkeypatch.setattr("algotrendy.events.nudge", lambda *_: True)
    decided.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            decision = decide(signal)
            assert announced == []
    finally:
        decided.disconnect(receive)
    assert announced == [decision.pk]
