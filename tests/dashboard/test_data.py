"""What the charts read: bounded, as of market time, only for viewers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone

from brokers.models import Connection, EquityMark, Order, Position
from dashboard.selectors import chart
from market.models import Candle, Instrument, Quote
from market.signals import price_moved
from memory.models import Decision
from tests.support import pages as make

pytestmark = pytest.mark.django_db
ADDRESSES = ["/data/candles?symbol=BTCUSDT", "/data/markers?symbol=BTCUSDT", "/data/equity"]


@pytest.fixture
def instrument() -> Instrument:
    return make.market(bars=80)


@pytest.fixture
def viewer() -> Client:
    return make.signed_in(make.person("viewer"))


def read(client: Client, address: str) -> dict[str, Any]:
    answer = client.get(address, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("address", [*ADDRESSES, "/data/session"])
def test_scripts_of_strangers_are_told_to_sign_in(client: Client, address: str) -> None:
    assert client.get(address, headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("address", [*ADDRESSES, "/data/session"])
def test_scripts_without_a_role_are_refused(address: str) -> None:
    client = make.signed_in(make.person())
    assert client.get(address, headers={"Accept": "application/json"}).status_code == 403


def test_candles_come_oldest_first_and_bounded(viewer: Client, instrument: Instrument) -> None:
    found = read(viewer, "/data/candles?symbol=btcusdt&count=30")
    times = [row[0] for row in found["candles"]]
    assert len(times) == 30
    assert times == sorted(times)
    assert found["timeframe"] == 5
    assert found["precision"] == 2


def test_candles_are_cut_at_the_moment_asked_for(viewer: Client, instrument: Instrument) -> None:
    every = list(Candle.objects.order_by("open_time"))
    until = int(every[40].open_time.timestamp()) + 3
    found = read(viewer, f"/data/candles?symbol=BTCUSDT&until={until}")
    last = found["candles"][-1][0]
    assert last + 5 <= until < last + 10


def test_nothing_later_than_the_market_s_own_clock_is_drawn(viewer: Client, instrument: Instrument) -> None:
    """Under replay the table holds candles that the market has not reached yet."""
    middle = Candle.objects.order_by("open_time")[40].open_time
    Quote.objects.filter(instrument=instrument).update(market_time=middle)
    found = read(viewer, "/data/candles?symbol=BTCUSDT")
    assert found["candles"][-1][0] + 5 <= middle.timestamp()


def test_no_address_reads_past_the_clock_of_a_replay(viewer: Client, instrument: Instrument) -> None:
    taken = make.decided(make.source(), instrument)
    filled = make.fill(make.decision_of(taken).orders.get(role="entry"))
    middle = Candle.objects.order_by("open_time")[40].open_time
    make.replayed(instrument, middle)
    later = int((timezone.now() + timedelta(days=1)).timestamp())
    candles = read(viewer, f"/data/candles?symbol=BTCUSDT&until={later}")["candles"]
    assert candles[-1][0] + 5 <= middle.timestamp()
    marks = read(viewer, f"/data/markers?symbol=BTCUSDT&start=0&end={later}")["markers"]
    assert {mark["id"] for mark in marks} & {f"d{taken.decision_id}", f"f{filled.pk}"} == set()
    live = chart.live_chart(Instrument.objects.select_related("quote_now").get())
    assert live["markers"] == []


def test_a_replay_that_has_shown_no_price_yet_shows_no_later_candle(
    viewer: Client, instrument: Instrument
) -> None:
    middle = Candle.objects.order_by("open_time")[40].open_time
    make.replayed(instrument, middle)
    Quote.objects.all().delete()
    rows = read(viewer, "/data/candles?symbol=BTCUSDT&timeframe=5")["candles"]
    assert rows[-1][0] + 5 <= middle.timestamp()


@pytest.mark.parametrize(
    "address",
    ["/data/candles?symbol=BTCUSDT&count=0", "/data/candles?symbol=BTCUSDT&count=999999",
     "/data/candles?symbol=BTCUSDT&until=yesterday", "/data/candles?symbol=BTCUSDT&timeframe=-5",
     "/data/equity?hours=999999999", "/data/markers?symbol=BTCUSDT&start=99999999999999"],
)  # fmt: skip
def test_a_parameter_without_sense_is_answered_with_what_is_wrong(
    viewer: Client, instrument: Instrument, address: str
) -> None:
    answer = viewer.get(address)
    assert answer.status_code == 400
    assert "must be a whole number" in answer.json()["error"]


def test_an_instrument_that_is_not_there_is_a_404(viewer: Client) -> None:
    for address in ("/data/candles?symbol=NOSUCH", "/data/candles", "/data/markers?symbol=NOSUCH"):
        assert viewer.get(address).status_code == 404


def test_marks_lead_to_the_pages_that_tell_their_story(viewer: Client, instrument: Instrument) -> None:
    taken = make.decided(make.source(), instrument)
    entry = make.decision_of(taken).orders.get(role="entry")
    filled = make.fill(entry)
    start = int((timezone.now() - timedelta(minutes=9)).timestamp())
    end = int((timezone.now() + timedelta(minutes=1)).timestamp())
    found = read(viewer, f"/data/markers?symbol=BTCUSDT&start={start}&end={end}")
    marks = {mark["id"]: mark for mark in found["markers"]}
    assert marks[f"d{taken.decision_id}"]["url"] == f"/decisions/{taken.decision_id}"
    assert marks[f"f{filled.pk}"]["url"] == f"/orders/{entry.pk}"
    assert marks[f"f{filled.pk}"]["price"] == float(filled.price)
    assert marks[f"d{taken.decision_id}"]["price"] is None
    times = [mark["time"] for mark in found["markers"]]
    assert times == sorted(times)


def test_marks_are_bounded(instrument: Instrument) -> None:
    taken = make.decided(make.source(), instrument)
    like = Decision.objects.get(pk=taken.decision_id)
    copies = []
    for n in range(700):
        copies.append(
            Decision(**{field.attname: getattr(like, field.attname) for field in Decision._meta.concrete_fields})
        )
        copies[-1].pk, copies[-1].signal_key = None, f"copy-{n}"
    Decision.objects.bulk_create(copies)
    now = timezone.now()
    found = chart.markers(instrument, start=now - timedelta(days=1), end=now + timedelta(days=1))
    assert len(found) == chart.MAX_MARKERS


def test_lines_are_drawn_for_what_is_held(instrument: Instrument) -> None:
    account = Connection.objects.create(name="paper")
    Position.objects.create(connection=account, instrument=instrument, quantity=-2, average_price=100)
    for role, kind, price in (("stop", "stop_price", 101), ("target", "limit_price", 98)):
        Order.objects.create(
            connection=account, instrument=instrument, client_order_id=role, role=role, side="buy", quantity=2,
            state="accepted", market="simulated", reduce_only=True, **{kind: Decimal(price)},
        )  # fmt: skip
    lines = {line["kind"]: line for line in chart.price_lines(instrument)}
    assert (lines["entry"]["price"], lines["stop"]["price"], lines["target"]["price"]) == (100, 101, 98)
    assert lines["entry"]["text"] == "short 2"


def test_the_equity_curve_is_thinned_but_ends_with_the_last_mark(viewer: Client) -> None:
    account = Connection.objects.create(name="paper")
    now = timezone.now()
    EquityMark.objects.bulk_create(
        EquityMark(connection=account, at=now - timedelta(seconds=10 * n), equity=100_000 + n, unrealised_pnl=0)
        for n in range(2000)
    )
    found = read(viewer, "/data/equity?hours=3")
    points = found["points"]
    assert 300 < len(points) <= chart.EQUITY_POINTS + 1
    assert [at for at, _ in points] == sorted(at for at, _ in points)
    assert points[-1][1] == 100_000
    assert datetime.fromtimestamp(points[0][0], UTC) >= now - timedelta(hours=3)


def test_a_desk_without_a_connection_has_no_equity(viewer: Client) -> None:
    assert viewer.get("/data/equity").status_code == 404


def test_the_stretches_without_a_mark_of_equity_are_named(viewer: Client) -> None:
    account = Connection.objects.create(name="paper")
    end = timezone.now().replace(microsecond=0)
    ages = [*range(0, 1200, 10), *range(4800, 7200, 10)]
    EquityMark.objects.bulk_create(
        EquityMark(connection=account, at=end - timedelta(seconds=age), equity=100000, unrealised_pnl=0)
        for age in ages
    )
    curve = read(viewer, "/data/equity?hours=2")
    [(start, stop)] = curve["holes"]
    assert stop - start == pytest.approx(3600, abs=2 * curve["spacing"])
    assert {start, stop} <= {point[0] for point in curve["points"]}


@pytest.mark.parametrize(("days", "width"), [(20, 300), (200, 3600)])
def test_marks_that_were_thinned_are_no_holes(viewer: Client, days: int, width: int) -> None:
    account = Connection.objects.create(name="paper")
    start = timezone.now() - timedelta(days=days)
    # The last mark of each stretch is kept: two may be nearly two stretches apart.
    EquityMark.objects.bulk_create(
        EquityMark(
            connection=account,
            at=start + timedelta(seconds=n * width + (n % 2) * (width - 20)),
            equity=100000,
            unrealised_pnl=0,
        )
        for n in range(60)
    )
    assert chart.equity_curve(account, start=start, end=start + timedelta(seconds=60 * width)).holes == []


def test_a_chart_moves_with_the_price_while_its_candle_forms(viewer: Client, instrument: Instrument) -> None:
    last = Candle.objects.order_by("open_time").last()
    assert last is not None
    forming = last.open_time + timedelta(seconds=5)
    Quote.objects.update(price=Decimal("101.25"), market_time=forming + timedelta(seconds=2))
    for chart_data in (read(viewer, "/data/candles?symbol=BTCUSDT"), live(instrument)):
        assert (chart_data["price"], chart_data["forming"]) == (101.25, int(forming.timestamp()))
    Quote.objects.update(market_time=forming)
    assert live(instrument)["forming"] is None
    until = int(forming.timestamp())
    assert read(viewer, f"/data/candles?symbol=BTCUSDT&until={until}")["price"] is None


def live(instrument: Instrument) -> dict[str, Any]:
    return chart.live_chart(Instrument.objects.select_related("quote_now").get(pk=instrument.pk))


def test_a_price_that_moves_between_candles_is_shown_on_the_open_pages(instrument: Instrument) -> None:
    with patch("dashboard.receivers.send") as send:
        price_moved.send(sender=Candle, instrument_id=instrument.pk)
    assert {"chart:BTCUSDT", "positions"} <= set(send.call_args.args)


def test_a_live_chart_carries_its_newest_candles_and_marks(instrument: Instrument) -> None:
    make.decided(make.source(), instrument)
    found = chart.live_chart(Instrument.objects.select_related("quote_now").get())
    assert len(found["candles"]) == 5  # type: ignore[arg-type]
    assert [mark["kind"] for mark in found["markers"]] == ["decision"]  # type: ignore[attr-defined]
