"""What every page shows first, marks and leaves out: the status bar, market marks, bars of confidence."""

import re
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.test import Client

from brokers.models import Connection, Trade
from market.models import Feed, Instrument
from tests.support import pages as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def paper() -> Connection:
    return Connection.objects.get_or_create(name="paper")[0]


@pytest.fixture
def viewer(paper: Connection) -> Client:
    return make.signed_in(make.person("viewer"))


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def status_bar(text: str) -> str:
    return text.partition('class="statusbar"')[2].partition("</header>")[0]


def feed(driver: str, symbol: str) -> Instrument:
    """Return an instrument with prices of a kind."""
    instrument = make.market(symbol)
    instrument.feed = Feed.objects.create(name=driver, driver=driver, timeframe=60)
    instrument.save()
    return instrument


def test_equity_and_the_days_profit_come_first_in_the_status_bar(viewer: Client) -> None:
    bar = status_bar(page(viewer, "/"))
    names = re.findall(r"Equity|Today|PAPER MONEY|Positions|Last alert", bar)
    assert names[:3] == ["Equity", "Today", "PAPER MONEY"]


def test_several_kinds_of_market_share_one_mark_in_the_status_bar(viewer: Client) -> None:
    feed(Feed.Driver.SIMULATOR, "BTCUSDT")
    feed(Feed.Driver.REPLAY, "ETHUSDT")
    bar = status_bar(page(viewer, "/orders"))
    assert bar.count("badge market") == 1
    assert "REPLAY + SIMULATED" in bar


def test_a_broker_in_error_is_in_the_status_bar_of_every_page(viewer: Client, paper: Connection) -> None:
    assert "paper: error" not in status_bar(page(viewer, "/alerts"))
    Connection.objects.filter(pk=paper.pk).update(health=Connection.Health.ERROR)
    assert "paper: error" in status_bar(page(viewer, "/alerts"))


def test_a_trade_is_marked_only_where_its_market_is_not_the_desks(viewer: Client) -> None:
    instrument = feed(Feed.Driver.SIMULATOR, "BTCUSDT")
    order = make.decision_of(make.decided(make.source(), instrument)).orders.get(role="entry")
    trade = make.fill(order).trade
    Trade.objects.filter(pk=trade.pk).update(market="simulated")
    rows = page(viewer, "/trades").partition("<tbody>")[2]
    assert "SIMULATED" not in rows
    Trade.objects.filter(pk=trade.pk).update(market="replay")
    assert "REPLAY" in page(viewer, "/trades").partition("<tbody>")[2]


def test_an_address_that_only_takes_forms_says_so_to_a_browser(viewer: Client) -> None:
    for client in (viewer, Client()):
        answer = client.get("/desk/halt", headers={"Accept": "text/html"})
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert "There is nothing to look at here" in answer.content.decode()
    # A program is told by the status alone.
    for accepted in ({}, {"Accept": "application/json"}):
        assert viewer.get("/desk/halt", headers=accepted).content == b""


def test_a_name_is_cut_at_its_own_end_and_whole_on_hover(viewer: Client) -> None:
    name = "استراتيجية المتوسط المتحرك"
    make.decided(make.source(name), make.market("BTCUSDT"))
    for address in ("/alerts", "/decisions"):
        assert f'<span class="name" dir="auto" title="{name}">{name}</span>' in page(viewer, address)


def bar_of(confidence: float, break_even: float | None) -> str:
    decision = SimpleNamespace(
        confidence=confidence, confidence_low=0.3, confidence_high=0.6, break_even=break_even, enters=True
    )
    return Template("{% load desk %}{% confidence decision %}").render(Context({"decision": decision}))


def test_a_bar_of_confidence_has_a_colour_only_beyond_break_even() -> None:
    assert 'class="value up" x="45.0" y="6" width="5.0"' in bar_of(0.5, 0.45)
    for text in (bar_of(0.4, 0.45), bar_of(0.45, 0.45), bar_of(0.5, None)):
        assert 'class="value quiet"' in text
        assert not re.search(r'class="value (up|down)"', text)


def test_a_mark_of_a_market_is_left_out_only_where_it_is_the_usual() -> None:
    def mark(kind: object, usual: str) -> str:
        template = Template("{% load desk %}{% market_badge kind usual %}")
        return template.render(Context({"kind": kind, "usual": usual}))

    assert mark("simulated", "simulated") == ""
    assert mark("", "simulated") == ""
    assert mark([], "") == ""
    assert "REPLAY" in mark("replay", "simulated")
    assert "SIMULATED" in mark("simulated", "")
    assert "LIVE + SIMULATED" in mark(["live", "simulated"], "simulated")
