"""The desk's own pages: who may see them, what they cost, and what they say when there is nothing."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django.utils import timezone

from brokers.models import Connection, Desk, Order, Position, Trade
from dashboard.selectors.accounts import account_of
from dashboard.selectors.ledger import record
from dashboard.urls import urlpatterns
from market.models import Instrument
from memory.models import Decision, DecisionOrder
from tests.support import pages as make

pytestmark = pytest.mark.django_db

PAGES = ["/", "/trades", "/orders", "/brokers", "/desk/state", "/brokers/paper"]
OPEN_TO_ALL = {"theme", "welcome", "choose_password"}
# Each page with its frame, and room for one more query.
BUDGETS = {"/": 26, "/trades": 20, "/orders": 20, "/brokers": 24, "/desk/state": 18, "/brokers/paper": 24}


@pytest.fixture
def paper() -> Connection:
    return Connection.objects.get_or_create(name="paper")[0]


@pytest.fixture
def viewer() -> Client:
    return make.signed_in(make.person("viewer"))


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def protected() -> list[URLPattern]:
    return [found for found in urlpatterns if found.name and found.name not in OPEN_TO_ALL]


@pytest.mark.parametrize("route", protected(), ids=lambda route: str(route.name))
def test_every_page_asks_for_a_role(route: URLPattern) -> None:
    assert getattr(route.callback, "required_role", None), f"{route.name} is open to everybody"


@pytest.mark.parametrize("address", PAGES)
def test_a_stranger_is_sent_to_sign_in(client: Client, paper: Connection, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize("address", PAGES)
def test_somebody_without_a_role_sees_nothing(paper: Connection, address: str) -> None:
    answer = make.signed_in(make.person()).get(address)
    assert answer.status_code == 403
    assert b"viewer" in answer.content


@pytest.mark.parametrize("address", PAGES)
def test_a_viewer_reads_every_page_of_an_empty_desk(viewer: Client, paper: Connection, address: str) -> None:
    text_of(viewer, address)


def test_the_desk_keeps_the_instrument_that_was_looked_at(viewer: Client) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        make.market(symbol)
    assert 'data-symbol="ETHUSDT"' in text_of(viewer, "/?instrument=ETHUSDT")
    make.decided(make.source(), Instrument.objects.get(symbol="BTCUSDT"))
    # By the rail, which names none; and what is not there is not shown.
    assert 'data-symbol="ETHUSDT"' in text_of(viewer, "/")
    assert 'data-symbol="BTCUSDT"' in text_of(make.signed_in(make.person("viewer", name="other")), "/")


def test_halt_comes_back_to_the_very_page_it_was_pressed_on() -> None:
    trader = make.signed_in(make.person("trader"))
    assert 'name="next" value="/trades?side=short&amp;result=won"' in text_of(
        trader, "/trades?side=short&result=won"
    )


def test_money_is_not_read_out_whenever_it_moves(viewer: Client, paper: Connection) -> None:
    text = text_of(viewer, "/")
    bar = text.split('id="live-status"')[1].split("</header>")[0]
    spoken = re.search(r'data-announce="([^"]*)"', bar)
    assert spoken
    assert spoken[1] == "The desk is active."
    # The only region that is read out is empty until a state changes.
    assert re.findall(r'role="status"[^>]*>([^<]*)<', bar) == [""]
    Desk.objects.update(state="halted")
    assert 'data-announce="The desk is halted."' in text_of(viewer, "/")


@pytest.mark.parametrize("address", PAGES)
def test_no_page_has_inline_script_or_style(viewer: Client, paper: Connection, address: str) -> None:
    text = text_of(viewer, address)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)


def test_an_empty_desk_says_what_will_appear_and_the_next_step(viewer: Client, paper: Connection) -> None:
    text = text_of(viewer, "/")
    assert "No open positions" in text
    assert "No decisions yet" in text
    assert "No prices yet" in text
    assert reverse("sources") in text


def test_the_old_address_leads_to_the_desk(viewer: Client) -> None:
    for address in ("/dashboard", "/dashboard/"):
        assert viewer.get(address)["Location"] == "/"


def test_each_page_has_its_landmarks_and_marks_itself_in_the_rail(viewer: Client, paper: Connection) -> None:
    text = text_of(viewer, "/orders")
    for landmark in ("<nav ", "<main ", "<header ", "<footer "):
        assert landmark in text
    assert re.search(r'href="/orders"[^>]*aria-current="page"', text)


def full_desk(instrument: Instrument, count: int) -> None:
    """Add `count` decisions with a filled entry, a stop at the venue and a trade each; the last one is held."""
    account = Connection.objects.get(name="paper")
    sender = make.source(f"Sender {instrument}", connection=account)
    for _ in range(count):
        taken = make.decided(sender, instrument)
        entry = make.decision_of(taken).orders.filter(role="entry").first()
        if entry is None:
            continue
        trade = make.fill(entry).trade
        Trade.objects.filter(pk=trade.pk).update(
            state="closed", closed_at=timezone.now(), pnl=Decimal("1.5"), fees=Decimal("0.1"), exit_price=101
        )
        Order.objects.filter(parent=entry).update(state="canceled", closed_at=timezone.now())


@pytest.mark.parametrize("address", PAGES)
def test_a_page_costs_the_same_with_many_rows(
    viewer: Client, paper: Connection, address: str, settings: Any
) -> None:
    settings.DEBUG = False
    instrument = make.market(bars=200)
    full_desk(instrument, 2)
    viewer.get(address)
    with CaptureQueriesContext(connection) as few:
        viewer.get(address)
    full_desk(make.market("ETHUSDT", bars=200), 12)
    with CaptureQueriesContext(connection) as many:
        viewer.get(address)
    assert len(many) == len(few)
    assert len(few) <= BUDGETS[address], [query["sql"][:90] for query in few.captured_queries]


def test_positions_tell_their_profit_and_offer_the_way_out(viewer: Client, paper: Connection) -> None:
    instrument = make.market()
    held = Position.objects.create(connection=paper, instrument=instrument, quantity=2, average_price=99)
    text = text_of(viewer, "/")
    assert "+2.00 ▲" in text
    assert "Close BTCUSDT at market" in text
    assert reverse("position_close", args=[held.pk]) in text


def test_the_chart_opens_with_what_was_decided_last(viewer: Client, paper: Connection) -> None:
    make.market("AAAUSDT")
    make.decided(make.source(), make.market("ZZZUSDT"))
    assert 'data-symbol="ZZZUSDT"' in text_of(viewer, "/")
    assert 'data-symbol="AAAUSDT"' in text_of(viewer, "/?instrument=AAAUSDT")
    assert 'data-symbol="AAAUSDT"' in text_of(viewer, "/?instrument=NOSUCH")


def test_the_stream_leads_to_the_permalinks(viewer: Client, paper: Connection) -> None:
    taken = make.decided(make.source(), make.market())
    text = text_of(viewer, "/")
    decision = make.decision_of(taken)
    assert reverse("decision", args=[decision.pk]) in text
    assert decision.action in text


def test_trades_can_be_filtered_by_instrument_side_and_result(viewer: Client, paper: Connection) -> None:
    full_desk(make.market(), 2)
    assert "Trade #" not in text_of(viewer, "/trades?result=lost").replace("<h1>Trades", "")
    assert 'id="trade-' not in text_of(viewer, "/trades?result=lost")
    assert 'id="trade-' in text_of(viewer, "/trades?result=won")
    assert 'id="trade-' in text_of(viewer, "/trades?side=long&instrument=BTCUSDT")
    assert "No such trades" in text_of(viewer, "/trades?instrument=NOSUCH")


def test_a_trade_leads_to_its_decision_and_its_orders(viewer: Client, paper: Connection) -> None:
    full_desk(make.market(), 1)
    trade = Trade.objects.get()
    link = DecisionOrder.objects.filter(order__role="entry").first()
    assert link is not None
    for address in ("/trades", f"/trades/{trade.pk}"):
        assert reverse("decision", args=[link.decision_id]) in text_of(viewer, address)
    assert reverse("order", args=[link.order_id]) in text_of(viewer, f"/trades/{trade.pk}")


def test_a_record_counts_what_it_rests_on(paper: Connection) -> None:
    assert record().win_rate is None
    full_desk(make.market(), 3)
    found = record()
    assert (found.count, found.won) == (Trade.objects.count(), Trade.objects.count())


def test_orders_in_doubt_come_first_with_what_to_do(viewer: Client, paper: Connection) -> None:
    instrument = make.market()
    for state in ("unknown", "needs_review"):
        Order.objects.create(
            connection=paper, instrument=instrument, client_order_id=state[:18], role="entry", side="buy",
            quantity=1, state=state, reason="the venue did not answer", market="simulated",
        )  # fmt: skip
    text = text_of(viewer, "/orders")
    assert text.index("Orders in doubt") < text.index('id="live-orders"')
    assert "the desk is asking the venue" in text
    assert "Compare with the venue" in text


def test_an_order_tells_its_life(viewer: Client, paper: Connection) -> None:
    taken = make.decided(make.source(), make.market())
    entry = make.decision_of(taken).orders.get(role="entry")
    assert "Waits to be sent" in text_of(viewer, f"/orders/{entry.pk}")
    make.fill(entry)
    text = text_of(viewer, f"/orders/{entry.pk}")
    for word in ("Planned", "Sent to the venue", "Accepted by the venue", "Fill ", "Filled"):
        assert word in text
    assert reverse("decision", args=[taken.decision_id]) in text


def test_older_orders_follow_page_by_page_without_a_gap(viewer: Client, paper: Connection) -> None:
    instrument = make.market()
    Order.objects.bulk_create(
        Order(connection=paper, instrument=instrument, client_order_id=f"n{n}", role="entry", side="buy",
              quantity=1, state="canceled", market="simulated", closed_at=timezone.now())
        for n in range(120)
    )  # fmt: skip
    seen: list[int] = []
    address: str | None = "/orders"
    while address:
        text = text_of(viewer, address)
        seen += [int(pk) for pk in re.findall(r'<tr id="order-(\d+)"', text)]
        found = re.search(r'rel="next" href="(\?before=\d+)"', text)
        address = f"/orders{found[1]}" if found else None
    assert seen == sorted(Order.objects.values_list("pk", flat=True), reverse=True)


@pytest.mark.parametrize("address", ["/orders/999999", "/trades/999999", "/brokers/nowhere"])
def test_what_is_not_there_answers_404(viewer: Client, address: str) -> None:
    assert viewer.get(address).status_code == 404


def test_a_broker_shows_costs_in_words_and_compares_on_request(viewer: Client, paper: Connection) -> None:
    make.market()
    text = text_of(viewer, "/brokers/paper")
    assert "Fee per execution" in text
    assert "Both sides agree" not in text
    assert "Both sides agree" in text_of(viewer, "/brokers/paper?compare=1")


def test_the_theme_is_kept_in_a_cookie(viewer: Client) -> None:
    answer = viewer.post("/theme", {"theme": "dark"}, headers={"Referer": "https://elsewhere.example/"})
    assert answer["Location"] == "/"
    assert 'data-theme="dark"' in text_of(viewer, "/trades")
    viewer.post("/theme", {"theme": '"><script>'})
    assert 'data-theme="dark"' in text_of(viewer, "/trades")


def test_live_money_is_announced_on_every_page(viewer: Client, paper: Connection) -> None:
    assert "LIVE MONEY" not in text_of(viewer, "/trades")
    Connection.objects.create(name="real", venue="ccxt", mode="live")
    text = text_of(viewer, "/trades")
    assert "LIVE MONEY" in text
    assert 'data-money="live"' in text


def test_a_stale_feed_is_said_where_the_number_is(viewer: Client, paper: Connection) -> None:
    feed = make.market().feed
    assert feed is not None
    feed.last_candle_at = timezone.now() - timedelta(minutes=3)
    feed.save()
    text = text_of(viewer, "/trades")
    assert "no candle for 3 min" in text
    assert "stale" in text


def test_decisions_are_not_changed_by_looking(viewer: Client, paper: Connection) -> None:
    make.decided(make.source(), make.market())
    before = list(Decision.objects.values())
    for address in PAGES:
        viewer.get(address)
    assert list(Decision.objects.values()) == before


@pytest.mark.parametrize("mode", list(Connection.Mode))
def test_only_fills_of_a_paper_account_are_called_computed(paper: Connection, mode: str) -> None:
    account = account_of(paper)
    paper.mode = mode  # in memory: no venue of ours has live accounts yet
    text = render_to_string("fragments/broker.html", {"account": account})
    assert "Fee per execution" in text
    assert ("computed, not real" in text) == (mode == Connection.Mode.PAPER)
