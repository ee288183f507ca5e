"""The market's admin pages: they open, never count a huge table, and leave market data alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from algotrendy.admin import NoCountPaginator
from market import services
from market.freshness import replay_speed
from market.models import Candle, Feed, Gap, Instrument, MarketKind, Quote
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
