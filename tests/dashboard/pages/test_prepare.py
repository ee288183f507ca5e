"""The first start: what a new desk gets, and a demo that stays away once it was removed."""

import json
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from brokers.models import Connection, Desk, EquityMark, Fill, Order, Position, Trade
from brokers.venues.paper.models import PaperAccount, PaperEvent, PaperOrder
from dashboard import demo
from dashboard.models import Setup
from dashboard.services import prepare_desk
from market.models import Candle, Feed, Instrument
from memory.models import Decision, Outcome, Tally
from tests.support.pages import decided, decision_of, fill, market, person, signed_in, source
from webhooks.models import Alert, Source

pytestmark = pytest.mark.django_db


def everything() -> list[int]:
    models = (User, Desk, Connection, Feed, Instrument, Source)
    return [model.objects.count() for model in models]


def test_a_new_desk_gets_an_admin_a_market_an_account_and_the_demo() -> None:
    assert len(prepare_desk()) == 5
    admin = User.objects.get()
    assert (admin.username, admin.is_superuser, admin.has_usable_password()) == ("admin", True, False)
    assert Feed.objects.get().driver == "simulator"
    assert set(Instrument.objects.filter(feed__name="simulated").values_list("symbol", flat=True)) == {
        "BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT",
    }  # fmt: skip
    assert Connection.objects.get().mode == "paper"
    assert Source.objects.get().is_demo
    assert PeriodicTask.objects.get(name="Retrain models").crontab.hour == "3"


def test_preparing_again_changes_nothing() -> None:
    prepare_desk()
    before = everything()
    assert prepare_desk() == []
    assert everything() == before


def test_a_start_that_dies_in_the_middle_leaves_nothing_half_prepared() -> None:
    """A desk that was prepared before gets no demo: half of a first start would never be made whole."""
    with patch("dashboard.services._demo", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare_desk()
    assert everything() == [0] * len(everything())
    assert len(prepare_desk()) == 5


def test_a_clean_desk_has_no_demo_and_gets_none_later() -> None:
    prepare_desk(clean=True)
    prepare_desk()
    assert not Source.objects.exists()


def test_a_desk_with_a_source_of_its_own_gets_no_demo() -> None:
    source()
    prepare_desk()
    assert not Source.objects.filter(is_demo=True).exists()


def test_what_a_person_removed_or_changed_stays_so() -> None:
    prepare_desk()
    Instrument.objects.update(feed=None)
    User.objects.update(username="ada")
    prepare_desk()
    assert not Instrument.objects.exclude(feed=None).exists()
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]


def test_the_command_tells_what_it_made(capsys) -> None:
    call_command("prepare", clean=True)
    said = capsys.readouterr()
    assert "first user, admin" in said.err
    assert "demo" not in said.err
    assert "/welcome/" in json.loads(said.out)["sign_in_link"]


@pytest.fixture
def lived() -> Source:
    """The demo after it has traded: every kind of row that it leaves."""
    prepare_desk()
    found = Source.objects.select_related("connection").get(is_demo=True)
    btc = Instrument.objects.get(symbol="BTCUSDT")
    Instrument.objects.filter(pk=btc.pk).delete()
    taken = decided(found, market())
    entry = decision_of(taken).order_links.get(leg=0).order
    made = fill(entry)
    account = found.connection
    Position.objects.create(
        connection=account, instrument=entry.instrument, quantity=1, average_price=100, trade=made.trade
    )
    EquityMark.objects.create(connection=account, at=timezone.now(), equity=99_000, unrealised_pnl=0)
    Tally.objects.create(source=found.slug, instrument=entry.instrument, side="long", wins=1, cases=2)
    venue = PaperAccount.objects.create(connection=account, cash=1)
    theirs = PaperOrder.objects.create(
        account=venue, client_order_id=entry.client_order_id, side="buy", type="market", quantity=1
    )
    PaperEvent.objects.create(account=venue, order=theirs, kind="placed")
    Alert.objects.create(source=found, idempotency_key="again", body=b"x", received_at=timezone.now(),
                         replay_of=taken)  # fmt: skip
    return found


LEFT = (Alert, Decision, Outcome, Tally, Order, Fill, Trade, Position, EquityMark, PaperAccount, PaperOrder)


def test_removing_the_demo_says_first_what_goes(lived) -> None:
    browser = signed_in(person("admin", name="boss"))
    page = browser.get("/sources/demo/remove").content.decode()
    for part in ("its 2 alerts", "1 decisions", "3 orders, 1 fills and 1 trades", "100,000.00 USDT"):
        assert part in page
    assert Source.objects.filter(is_demo=True).exists()


def test_one_click_removes_the_demo_and_leaves_a_clean_desk(lived) -> None:
    newest = PaperEvent.objects.latest("id").pk
    browser = signed_in(person("admin", name="boss"))
    answer = browser.post("/sources/demo/remove", follow=True).content.decode()
    assert "The demo is gone: 2 alerts, 1 decisions and 3 orders, 1 fills and 1 trades were deleted." in answer
    assert {model.__name__: model.objects.count() for model in (*LEFT, Source)} == {
        model.__name__: 0 for model in (*LEFT, Source)
    }
    account = Connection.objects.get()
    assert account.cursor == newest
    assert Candle.objects.exists()
    assert Setup.objects.get().demo_removed_at is not None


def test_a_removed_demo_stays_removed(lived) -> None:
    demo.remove(by=None)
    for clean in (False, True):
        prepare_desk(clean=clean)
        assert not Source.objects.exists()
    demo.remove(by=None)
    page = signed_in(person("admin", name="boss")).get("/sources/demo/remove", follow=True)
    assert "no demo on this desk" in page.content.decode()


def test_the_demo_leaves_no_trace_in_the_books_of_others(lived) -> None:
    other = source("Mine", connection=lived.connection)
    mine = decided(other, Instrument.objects.get(symbol="BTCUSDT"), "short")
    assert mine.decision.order_links.exists()
    assert demo.footprint().shared
    orders = Order.objects.count()
    browser = signed_in(person("admin", name="boss"))
    question = " ".join(browser.get("/sources/demo/remove").content.decode().split())
    assert "its 2 alerts, 1 decisions and 3 orders stay as history" in question
    answer = browser.post("/sources/demo/remove", follow=True).content.decode()
    assert "The demo is revoked and sends nothing more. Its 2 alerts, 1 decisions and 3 orders stay" in answer
    assert "gone" not in answer
    lived.refresh_from_db()
    assert lived.revoked_at is not None
    assert Order.objects.count() == orders
    assert not Tally.objects.filter(source=lived.slug).exists()
    assert Alert.objects.filter(source=lived).exists()
    assert demo.footprint() is None
    prepare_desk()
    assert Source.objects.filter(revoked_at=None).get() == other
