"""An edit in the admin against what the desk commits between the reading of the row and its saving."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.forms import model_to_dict
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from brokers.models import Connection, Desk
from brokers.selectors import desk
from dashboard.accounts.sign_in import ClosedSignupAdapter
from market.models import Feed, Instrument, Quote
from market.services import assign_feed
from tests.support import pages as make
from tests.support.brokers import enter, make_connection, make_instrument, set_price
from tests.support.threads import after_statement
from tests.support.webhooks import make_source
from webhooks.models import Source

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def root() -> Client:
    """A superuser who has just given the password."""
    user = make.person("admin")
    User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)
    return make.confirmed(make.signed_in(user))


@pytest.fixture
def edit(root: Client) -> Callable[..., str]:
    """Post the admin form of a row with some values changed, as `meanwhile` commits after the row was read."""

    def post(row, meanwhile: Callable[[], object] | None = None, **changes: object) -> str:
        address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        form = root.get(address).context["adminform"].form
        values = {name: form[name].value() if form[name].value() is not None else "" for name in form.fields}
        values = {name: value for name, value in values.items() if value is not False} | changes
        with after_statement(
            f'FROM "{row._meta.db_table}" WHERE "{row._meta.db_table}"."id" = ', meanwhile or int
        ) as seen:
            answer = root.post(address, values)
        assert seen
        if answer.status_code == 200:
            return str(answer.context["adminform"].form.errors)
        assert answer.status_code == 302
        return ""

    return post


def test_limits_are_not_set_here_but_where_loose_ones_are_asked_for_twice(root) -> None:
    desk()
    address = reverse("admin:brokers_desk_change", args=[Desk.objects.get().pk])
    assert '<a href="/settings">Settings</a>, which asks twice' in root.get(address).content.decode()
    figures = model_to_dict(Desk.objects.get(), ["max_position_pct", "max_open_positions", "max_daily_loss_pct"])
    assert root.post(address, figures | {"max_order_pct": "500"}).status_code == 403
    assert Desk.objects.get().max_order_pct == 5


def test_a_revocation_and_a_rotation_stand_when_a_source_is_edited_meanwhile(edit) -> None:
    source = make_source()
    now = timezone.now()
    assert edit(source, lambda: Source.objects.update(revoked_at=now, token_hash="new"), name="Renamed") == ""
    source = Source.objects.get()
    assert (source.name, source.revoked_at, source.token_hash) == ("Renamed", now, "new")


def test_the_cursor_and_health_of_a_connection_stand_when_it_is_edited_meanwhile(edit) -> None:
    connection = make_connection()
    meanwhile = lambda: Connection.objects.update(cursor=77, health="error", last_error="gone")  # noqa: E731
    assert edit(connection, meanwhile, settings='{"fee_bps": 3}') == ""
    connection.refresh_from_db()
    assert (connection.cursor, connection.health, connection.settings) == (77, "error", {"fee_bps": 3})


def test_a_feed_keeps_its_clock_and_an_instrument_its_feed(edit) -> None:
    feed, instrument = Feed.objects.create(name="sim", driver="simulator"), make_instrument()
    now = timezone.now()
    assert edit(feed, lambda: Feed.objects.update(clock=now, state="running"), name="other") == ""
    assert edit(instrument, lambda: Instrument.objects.update(feed=feed), min_notional="9") == ""
    feed.refresh_from_db()
    instrument.refresh_from_db()
    assert (feed.name, feed.clock, feed.state) == ("other", now, "running")
    assert (instrument.min_notional, instrument.feed_id) == (9, feed.pk)


def test_a_person_who_is_switched_off_stays_so_whatever_is_edited_meanwhile(edit, root) -> None:
    person = make.person("trader")
    off = lambda: User.objects.filter(pk=person.pk).update(is_active=False)  # noqa: E731
    address = reverse("admin:auth_user_password_change", args=[person.pk])
    new = {"usable_password": "true", "password1": "long-enough-9!", "password2": "long-enough-9!"}
    user = User.objects.get(pk=person.pk)
    off()
    page = admin.site.get_model_admin(User)
    form = page.change_password_form(user, new)
    assert form.is_valid(), form.errors
    form.save()
    assert root.get(address).status_code == 200
    stale = User.objects.get(pk=person.pk)
    stale.is_active = True
    ClosedSignupAdapter().set_password(stale, "another-one-9!")
    person.refresh_from_db()
    assert (person.is_active, person.check_password("another-one-9!")) == (False, True)


def test_a_schedule_keeps_when_beat_sent_it_last() -> None:
    every = IntervalSchedule.objects.create(every=1, period="days")
    task = PeriodicTask.objects.create(name="train", task="mlmodels.retrain", interval=every)
    page = admin.site.get_model_admin(PeriodicTask)
    request = RequestFactory().post("/")
    request.user = User.objects.create_superuser("root")
    data = {name: value for name, value in model_to_dict(task).items() if value not in (None, False)}
    form = page.get_form(request, task)(
        data | {"name": "renamed", "regtask": "", "task": task.task}, instance=task
    )
    assert form.is_valid(), form.errors
    sent = datetime(2026, 1, 2, tzinfo=UTC)
    PeriodicTask.objects.update(last_run_at=sent, total_run_count=5)
    page.save_model(request, form.save(commit=False), form, change=True)
    task = PeriodicTask.objects.get(pk=task.pk)
    assert (task.name, task.last_run_at, task.total_run_count) == ("renamed", sent, 5)


@pytest.mark.parametrize(
    "changes", [{"driver": "live"}, {"timeframe": "300"}, {"settings": '{"exchange": "kraken"}'}], ids=str
)
def test_a_feed_does_not_become_another_market_under_a_position(edit, changes: dict[str, str]) -> None:
    feed, instrument, connection = (
        Feed.objects.create(name="sim", driver="simulator", timeframe=60),
        make_instrument(),
        make_connection(),
    )
    assign_feed(feed=feed, instruments=[instrument])
    set_price(instrument, "100", timezone.now())
    enter(connection, instrument)
    assert "BTCUSDT has an open position" in edit(feed, **changes)
    before = model_to_dict(feed)
    feed.refresh_from_db()
    assert model_to_dict(feed) == before
    assert edit(feed, enabled="", settings='{"speed": 5}') == ""
    assert Quote.objects.exists()


def test_the_price_of_the_market_before_is_forgotten_where_nothing_is_held(edit) -> None:
    feed, instrument = Feed.objects.create(name="sim", driver="simulator", timeframe=60), make_instrument()
    assign_feed(feed=feed, instruments=[instrument])
    set_price(instrument, "100", timezone.now())
    assert edit(feed, timeframe="300") == ""
    assert (Feed.objects.get().timeframe, Quote.objects.exists()) == (300, False)
