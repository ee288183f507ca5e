"""The market's admin pages: they open, never count a huge table, and leave market data alone."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from algotrendy.admin import NoCountPaginator
from market import services
from market.feeds.runner import make_driver
from market.freshness import replay_speed
from market.models import Candle, Feed, Gap, Instrument, MarketKind, Quote
from market.selectors import simulated_speed
from market.services import NewCandle
from market.signals import feed_switching
from tests.support.market import set_quote

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def market() -> Instrument:
    btc = services.ensure_instrument("BTCUSDT")
    start, one = datetime(2025, 3, 1, tzinfo=UTC), Decimal(1)
    candles = [NewCandle(btc.id, start + timedelta(minutes=n), one, one, one, one, one) for n in range(120)]
    services.store_candles(candles=candles, timeframe=60, kind=MarketKind.IMPORTED)
    set_quote(instrument=btc, price=one, timeframe=60, kind=MarketKind.REPLAY, market_time=start)
    services.assign_feed(feed=Feed.objects.create(name="simulated", driver="simulator"), instruments=[btc])
    Gap.objects.create(instrument=btc, timeframe=60, first_missing=start, next_present=start + timedelta(hours=1))
    return btc


@pytest.mark.parametrize("model", [Candle, Feed, Gap, Instrument, Quote])
def test_every_table_opens_with_few_queries(
    model, staff: User, market: Instrument, django_assert_max_num_queries
) -> None:
    request = RequestFactory().get("/")
    request.user = staff
    page = admin.site.get_model_admin(model)
    with django_assert_max_num_queries(10):
        response = page.changelist_view(request)
        assert response.render().status_code == 200


def test_a_huge_table_is_counted_no_further_than_the_limit(
    market: Instrument, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
) -> None:
    assert NoCountPaginator(Candle.objects.order_by("-pk"), 50).count == 120
    monkeypatch.setattr("algotrendy.admin.COUNTED_AT_MOST", 100)
    with django_assert_num_queries(1) as queries:
        assert NoCountPaginator(Candle.objects.order_by("-pk"), 50).count == 100
    assert "LIMIT 100" in queries[0]["sql"]


def test_nobody_edits_candles_by_hand(staff: User) -> None:
    request = RequestFactory().get("/")
    request.user = staff
    page = admin.site.get_model_admin(Candle)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert page.show_full_result_count is False


@pytest.mark.parametrize(
    "settings", ['{"speed": "fast"}', '{"speed": 0}', '{"speed": "nan"}', '{"speed": [1]}', "[1]"]
)
def test_settings_that_a_feed_cannot_use_are_refused_in_words(client, staff: User, settings: str) -> None:
    feed = Feed.objects.create(name="replay", driver="replay", settings={"speed": 60})
    client.force_login(staff)
    values = {"name": "replay", "driver": "replay", "enabled": "on", "timeframe": 300, "settings": settings}
    page = client.post(f"/admin/market/feed/{feed.pk}/change/", values)
    assert page.status_code == 200
    assert page.context["adminform"].form.errors["settings"]
    assert Feed.objects.get().settings == {"speed": 60}


MARKETS = '"symbols" is the names of the venue by symbol, such as {"BTCUSDT": "BTC/USDT"}.'
UNUSABLE: list[tuple[str, dict[str, Any], str]] = [
    ("simulator", {"seed": "many"}, '"seed" is a whole number.'),
    ("simulator", {"seed": 1.5}, '"seed" is a whole number.'),
    ("simulator", {"speed": -1}, '"speed" is a number above 0.'),
    ("simulator", {"speed": 10**400}, '"speed" is a number above 0.'),
    ("simulator", {"regimes": "no"}, '"regimes" is true or false.'),
    ("simulator", {"history": 200_001}, '"history" is a whole number, at most 200000 candles.'),
    ("replay", {"start": "yesterday"}, '"start" is a time such as "2025-03-01 00:00".'),
    ("replay", {"loop": "off"}, '"loop" is true or false.'),
    ("live", {"exchange": 7}, '"exchange" is the name of an exchange, such as "binance".'),
    ("live", {"symbols": ["BTC/USDT"]}, MARKETS),
    ("live", {"symbols": {"BTCUSDT": 7}}, MARKETS),
    ("live", {"poll": 0}, '"poll" is a number of seconds, at least 1.'),
    ("live", {"poll": "often"}, '"poll" is a number of seconds, at least 1.'),
    ("live", {"delay": -2}, '"delay" is a number of seconds, 0 or more.'),
    ("live", {"delay": None}, '"delay" is a number of seconds, 0 or more.'),
    ("live", {"backfill": 0}, '"backfill" is a whole number from 1 to 200000 candles.'),
    ("live", {"backfill": 10**9}, '"backfill" is a whole number from 1 to 200000 candles.'),
    ("live", {"url": "file:///etc/passwd"}, '"url" is an address that begins with "http://" or "https://".'),
]  # fmt: skip


def errors_of(driver: str, settings: dict[str, Any]) -> dict[str, list[str]]:
    """What the form of a new feed says of its settings."""
    form = admin.site.get_model_admin(Feed).get_form(RequestFactory().get("/"))
    values = {"name": "any", "driver": driver, "enabled": True, "timeframe": 300}
    return dict(form({**values, "settings": json.dumps(settings)}).errors)


@pytest.mark.parametrize(("driver", "settings", "words"), UNUSABLE, ids=map(repr, range(len(UNUSABLE))))
def test_every_setting_that_its_feed_would_refuse_is_refused_where_it_is_written(
    driver: str, settings: dict[str, Any], words: str
) -> None:
    assert errors_of(driver, settings) == {"settings": [words]}
    if driver != "replay":
        with pytest.raises(ValueError, match=re.escape(words)):
            make_driver(Feed(name="any", driver=driver, timeframe=300, settings=settings), lambda: None)


@pytest.mark.parametrize(
    ("driver", "settings"),
    [
        ("simulator", {"seed": "7", "speed": "2.5", "regimes": False, "history": 1, "what": "ever"}),
        ("replay", {"speed": 60, "start": "2025-03-01T00:00:00+00:00", "loop": True}),
        ("live", {"exchange": "kraken", "symbols": {"GOLD": "XAU/USD"}, "poll": 1, "delay": 0, "url": ""}),
        ("live", {"backfill": 200_000, "url": "https://api.example.com"}),
    ],
)
def test_settings_that_a_feed_can_use_are_taken(driver: str, settings: dict[str, Any]) -> None:
    assert errors_of(driver, settings) == {}
    make_driver(Feed(name="any", driver=driver, timeframe=300, settings=settings), lambda: None).close()


@pytest.mark.parametrize("settings", [{"speed": "fast"}, {"speed": 0}, [], "fast"], ids=str)
def test_models_of_a_simulated_market_do_not_fail_because_of_what_is_no_speed(settings: object) -> None:
    Feed.objects.create(name="odd", driver="simulator", timeframe=5, settings=settings)
    assert simulated_speed(5) == 60


@pytest.mark.parametrize(
    ("settings", "speed"), [({"speed": "60"}, 60), ({"speed": "fast"}, 300), ({}, 300), ([], 300)]
)
def test_what_cannot_be_a_speed_replays_at_the_usual_one(settings: object, speed: float) -> None:
    assert replay_speed(settings) == speed


@pytest.mark.parametrize("way", ["page", "list"])
def test_a_feed_is_not_deleted_under_a_position(client, staff: User, market: Instrument, way: str) -> None:
    feed, at = Feed.objects.get(), datetime(2025, 3, 1, tzinfo=UTC)
    set_quote(instrument=market, price=1, timeframe=60, kind=MarketKind.REPLAY, market_time=at)

    def busy(**_: object) -> None:
        raise services.FeedBusy("BTCUSDT has a position: close it first")

    client.force_login(staff)
    page = f"/admin/market/feed/{feed.pk}/delete/" if way == "page" else "/admin/market/feed/"
    form = {"post": "yes", "action": "delete_selected", "_selected_action": [feed.pk]}
    feed_switching.connect(busy)
    try:
        answer = client.post(page, form, follow=True)
    finally:
        feed_switching.disconnect(busy)
    assert "Nothing was deleted: BTCUSDT has a position: close it first" in answer.content.decode()
    assert (Feed.objects.count(), Quote.objects.count()) == (1, 1)
    client.post(page, form)
    assert (Feed.objects.count(), Quote.objects.count()) == (0, 0)  # nothing is decided at a price of no market
