"""One account, order or instrument that can't be handled keeps no other waiting, and is to be seen on Health."""

from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection as database
from django.test import RequestFactory

from algotrendy.isolation.models import RowFailure
from brokers import selectors, tasks
from brokers.contract import UnusableSettings
from brokers.forms import ConnectionForm
from brokers.models import Connection, EquityMark, Fill, Order
from brokers.orders import execution, recovery
from brokers.venues.paper.options import PaperOptions
from dashboard.tasks import reconcile
from tests.support.brokers import add_candle, enter, make_connection, make_instrument, plan, plan_exit, reload
from tests.support.pages import person, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
NONSENSE = {"spread_bps": "2 bps"}


@pytest.fixture
def two_accounts() -> tuple[Connection, Connection]:
    """An account that comes first in every loop, and another."""
    return make_connection("first"), make_connection("second")


def poison(connection: Connection, settings: object = NONSENSE) -> None:
    """Write settings past every form."""
    Connection.objects.filter(pk=connection.pk).update(settings=settings)


def age_orders() -> None:
    """Let every order be old enough for the sweep."""
    with database.cursor() as cursor:
        cursor.execute("UPDATE brokers_order SET updated_at = updated_at - interval '1 minute'")


def works() -> set[str]:
    return set(RowFailure.objects.values_list("work", flat=True))


def test_a_sweep_submits_for_the_other_account(two_accounts) -> None:
    first, second = two_accounts
    btc = make_instrument()
    [odd], [good] = plan(first, btc), plan(second, btc)
    poison(first)
    age_orders()
    recovery.sweep()
    odd, good = reload(odd, good)
    assert (odd.state, good.state) == ("pending", "filled")
    first.refresh_from_db()
    assert (first.health, "spread_bps is '2 bps'" in first.last_error) == ("error", True)
    failure = RowFailure.objects.get(work=recovery.SUBMIT)
    assert failure.key == str(odd.pk)


def test_an_exit_waits_for_the_settings_and_leaves_by_itself_once_they_are_mended(two_accounts) -> None:
    first, _ = two_accounts
    btc = make_instrument()
    enter(first, btc)
    way_out = plan_exit(first, btc)
    poison(first)
    age_orders()
    recovery.sweep()
    assert reload(way_out)[0].state == "pending"
    poison(first, {"fee_bps": 0})
    age_orders()
    recovery.sweep()
    assert reload(way_out)[0].state == "filled"
    assert RowFailure.objects.count() == 0


def test_matching_goes_on_at_the_other_account(two_accounts) -> None:
    first, _ = two_accounts
    btc = make_instrument()
    for account in two_accounts:
        enter(account, btc, stop="95", target="110")
    poison(first)
    add_candle(btc, 0, "100", "111", "100", "110")
    tasks.match_orders(btc.pk)
    traded = Fill.objects.filter(order__role="target").values_list("connection__name", flat=True)
    assert list(traded) == ["second"]
    assert "paper.match_account" in works()


def test_matching_goes_on_at_the_other_instrument(two_accounts, monkeypatch) -> None:
    from brokers.venues.paper import matching

    first, _ = two_accounts
    btc, eth = make_instrument(), make_instrument("ETHUSDT")
    for instrument in (btc, eth):
        enter(first, instrument, stop="95", target="110")
        add_candle(instrument, 0, "100", "111", "100", "110")
    whole = matching._match_batch

    def odd(connection, instrument_id):
        if instrument_id == btc.pk:
            raise ZeroDivisionError("a tick of nothing")
        return whole(connection, instrument_id)

    monkeypatch.setattr(matching, "_match_batch", odd)
    recovery.sweep()
    assert list(Fill.objects.filter(order__role="target").values_list("instrument__symbol", flat=True)) == [
        "ETHUSDT"
    ]


def test_equity_of_the_other_account_is_marked(two_accounts, monkeypatch) -> None:
    first, _ = two_accounts
    worth = selectors.equity

    def odd(connection, held=None):
        if connection.pk == first.pk:
            raise ArithmeticError("odd")
        return worth(connection, held)

    monkeypatch.setattr(selectors, "equity", odd)
    tasks.mark_equity()
    assert list(EquityMark.objects.values_list("connection__name", flat=True)) == ["second"]
    assert works() == {"brokers.mark_equity"}
    monkeypatch.undo()
    tasks.mark_equity()
    assert works() == set()


def test_books_of_the_other_account_are_compared(two_accounts, monkeypatch) -> None:
    from dashboard import tasks as pages
    from dashboard.models import Reconciliation

    compare = pages.differences

    def odd(connection):
        if connection.name == "first":
            raise KeyError("odd")
        return compare(connection)

    monkeypatch.setattr(pages, "differences", odd)
    reconcile()
    assert Reconciliation.objects.get().connection.name == "second"
    assert works() == {"dashboard.reconcile"}


@pytest.mark.parametrize("step", ["desk states that have ended", "lost claims", "orders in doubt"])
def test_a_step_of_the_sweep_that_fails_keeps_no_later_one_waiting(two_accounts, monkeypatch, step) -> None:
    def fail() -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(recovery, "STEPS", {**recovery.STEPS, step: fail})
    [order] = plan(two_accounts[1], make_instrument())
    age_orders()
    recovery.sweep()
    assert reload(order)[0].state == "filled"
    assert RowFailure.objects.get().name == step


def test_an_order_that_fails_keeps_no_other_waiting(two_accounts, monkeypatch) -> None:
    [odd], [good] = plan(two_accounts[0], make_instrument()), plan(two_accounts[1], make_instrument())
    call = execution.claim_order

    def fail(order_id):
        if order_id == odd.pk:
            raise ZeroDivisionError("a tick of nothing")
        return call(order_id)

    monkeypatch.setattr(execution, "claim_order", fail)
    age_orders()
    recovery.sweep()
    assert Order.objects.get(pk=good.pk).state == "filled"


def test_a_connection_without_usable_settings_still_has_its_page(two_accounts) -> None:
    poison(two_accounts[0])
    recovery.sweep()
    browser = signed_in(person("viewer"))
    assert browser.get("/brokers/first").status_code == 200
    assert "spread_bps is" in browser.get("/health").content.decode()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"spread_bps": "2 bps"}, "spread_bps is '2 bps': it must be a number from 0 to 5000"),
        ({"fee_bps": "NaN"}, "fee_bps is 'NaN'"),
        ({"fee_bps": -1}, "fee_bps is '-1'"),
        ({"latency_ms": 1e12}, "from 0 to 60000"),
        ({"participation": 0}, "from 0.000001 to 1"),
        ({"leverage": None}, "leverage is 'None'"),
        ({"faults": 3}, "faults"),
        ({"faults": {"unavailable": "x"}}, "faults"),
        (["spread_bps"], "names with values"),
        ("spread_bps", "names with values"),
        (5, "names with values"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_words(settings, words) -> None:
    with pytest.raises(UnusableSettings, match=words):
        PaperOptions.of(settings)


def test_settings_that_can_be_used_are(two_accounts) -> None:
    options = PaperOptions.of({"spread_bps": "2.5", "leverage": 3, "faults": {"unavailable": 1}})
    assert (options.spread_bps, options.leverage) == (Decimal("2.5"), Decimal(3))


def form(**changes: object) -> ConnectionForm:
    page = admin.site.get_model_admin(Connection)
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    values = {
        "name": "new", "venue": "paper", "mode": "paper", "enabled": "on", "settings": "{}",
        "starting_equity": "1000", "currency": "USDT",
    }  # fmt: skip
    return page.get_form(request)(values | changes)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"settings": '{"spread_bps": "2 bps"}'}, "settings", "must be a number"),
        ({"settings": '{"spred_bps": 2}'}, "settings", "Unknown: spred_bps. This venue knows"),
        ({"settings": "[1]"}, "settings", "Write names with values"),
        ({"settings": "3"}, "settings", "Write names with values"),
        ({"venue": "moon"}, "venue", "There is no such venue"),
    ],
)
def test_the_admin_refuses_settings_with_words(changes, field, words) -> None:
    refused = form(**changes)
    assert not refused.is_valid()
    assert words in str(refused.errors[field])


def test_the_admin_takes_settings_that_the_venue_can_use() -> None:
    assert form(settings='{"spread_bps": 3, "faults": {"unavailable": 2}}').is_valid()
    emptied = form(settings="")
    assert emptied.is_valid()
    assert emptied.cleaned_data["settings"] == {}
