"""One row that fails keeps none of the others waiting, is written down, and is forgotten once it is well."""

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, OperationalError, connection

from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import RowName, clear_by_hand, each, in_turn, write_failure
from brokers.models import Connection
from tests.support.pages import market, person, signed_in

pytestmark = pytest.mark.django_db
WORK = "test.work"


def poison(*bad: object):
    """Work that fails on `bad` rows and returns the others."""

    def handle(row: object) -> object:
        if row in bad:
            raise ValueError(f"{row} is odd")
        return row

    return handle


def test_the_rest_goes_on_when_a_row_fails() -> None:
    assert each(WORK, ["a", "b", "c"], poison("a")) == ["b", "c"]
    failure = RowFailure.objects.get()
    assert (failure.work, failure.key, failure.error, failure.count) == (WORK, "a", "ValueError: a is odd", 1)


def test_failures_in_a_row_are_counted_from_the_first() -> None:
    for _ in range(3):
        each(WORK, ["a"], poison("a"))
    failure = RowFailure.objects.get()
    assert failure.count == 3
    assert failure.first_at < failure.last_at


def test_a_row_that_succeeds_is_forgotten_and_others_are_not() -> None:
    each(WORK, ["a", "b"], poison("a", "b"))
    each("another.work", ["a"], poison("a"))
    each(WORK, ["a", "b"], poison("b"))
    assert set(RowFailure.objects.values_list("work", "key")) == {(WORK, "b"), ("another.work", "a")}


def test_a_row_that_the_work_has_no_more_is_forgotten_where_all_are_listed() -> None:
    each(WORK, ["a", "b"], poison("a"))
    each(WORK, ["b"], poison())
    assert RowFailure.objects.count() == 1
    each(WORK, ["b"], poison(), complete=True)
    assert RowFailure.objects.count() == 0
    each(WORK, ["a"], poison("a"))
    each(WORK, [], poison(), complete=True)
    assert RowFailure.objects.count() == 0


def test_rows_that_failed_before_come_last() -> None:
    each(WORK, ["a", "b"], poison("a"))
    assert each(WORK, ["a", "b", "c"], poison()) == ["b", "c", "a"]


def test_what_a_row_wrote_is_undone_with_it_and_no_more() -> None:
    def write(name: str) -> None:
        Connection.objects.create(name=name)
        if name == "bad":
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")

    each(WORK, ["one", "bad", "two"], write, savepoint=True)
    assert set(Connection.objects.values_list("name", flat=True)) == {"one", "two"}
    assert "division by zero" in RowFailure.objects.get().error


def test_a_database_that_is_away_ends_the_work(monkeypatch) -> None:
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    done = []

    def lose(row: str) -> None:
        done.append(row)
        raise OperationalError("the server closed the connection")

    with pytest.raises(OperationalError):
        each(WORK, ["a", "b"], lose)
    assert done == ["a"]
    assert RowFailure.objects.count() == 0


@pytest.mark.parametrize("error", [OperationalError("deadlock detected"), DatabaseError("odd"), KeyError("odd")])
def test_an_error_that_leaves_the_connection_usable_is_the_rows_own(error) -> None:
    def fail(row: str) -> str:
        if row == "a":
            raise error
        return row

    assert each(WORK, ["a", "b"], fail) == ["b"]


def test_a_row_that_takes_all_of_the_tasks_time_is_written_down_and_comes_last_next_time() -> None:
    def hang(row: str) -> str:
        if row == "slow":
            raise SoftTimeLimitExceeded
        return row

    with pytest.raises(SoftTimeLimitExceeded):
        each(WORK, ["slow", "quick"], hang)
    assert "took so long" in RowFailure.objects.get().error
    assert each(WORK, ["slow", "quick"], poison()) == ["quick", "slow"]


def test_steps_that_fail_keep_no_later_step_waiting() -> None:
    done = []

    def first() -> None:
        raise RuntimeError("odd")

    in_turn(WORK, {"first": first, "second": lambda: done.append("second")})
    assert done == ["second"]
    assert RowFailure.objects.get().name == "first"


def test_an_error_that_no_column_can_hold_is_written_down_all_the_same() -> None:
    write_failure(WORK, RowName("", "k" * 200, "n\0" * 200), "e\0" * 600)
    each(WORK, ["a\0b"], poison("a\0b"))
    assert RowFailure.objects.count() == 2


def test_the_page_health_shows_a_failure_with_its_row_and_what_to_do() -> None:
    market()
    account = Connection.objects.create(name="paper")
    each(WORK, [account], poison(account))
    page = signed_in(person("viewer")).get("/health").content.decode()
    assert "Something is wrong" in page
    assert 'href="/brokers/paper"' in page
    assert "Other accounts go on" in page


def test_a_failure_of_a_row_that_is_gone_still_has_its_line() -> None:
    account = Connection.objects.create(name="paper")
    each(WORK, [account], poison(account))
    account.delete()
    page = signed_in(person("viewer")).get("/health").content.decode()
    assert "connection paper" in page
    assert 'href="/brokers/paper"' not in page


def test_a_trader_clears_a_failure_and_it_is_back_when_the_row_fails_again() -> None:
    each(WORK, ["a"], poison("a"))
    failure = RowFailure.objects.get()
    browser = signed_in(person("trader"))
    assert "Only this line goes" in browser.get(f"/health/failures/{failure.pk}/clear").content.decode()
    assert browser.post(f"/health/failures/{failure.pk}/clear").status_code == 302
    assert RowFailure.objects.count() == 0
    assert browser.post(f"/health/failures/{failure.pk}/clear").status_code == 302
    each(WORK, ["a"], poison("a"))
    assert RowFailure.objects.count() == 1


def test_a_viewer_clears_nothing() -> None:
    each(WORK, ["a"], poison("a"))
    failure = RowFailure.objects.get()
    answer = signed_in(person("viewer")).post(f"/health/failures/{failure.pk}/clear")
    assert answer.status_code == 403
    assert RowFailure.objects.count() == 1


def test_clearing_says_whether_there_was_anything() -> None:
    each(WORK, ["a"], poison("a"))
    failure = RowFailure.objects.get()
    assert clear_by_hand(failure.pk)
    assert not clear_by_hand(failure.pk)


def test_a_row_that_a_sweep_follows_costs_no_question(django_assert_num_queries) -> None:
    """Its failure, if it had one, is forgotten by the sweep that has all rows."""
    fine: list[str] = []
    write_failure("work", RowName("", "row", "row"), "it failed")
    with django_assert_num_queries(0):
        each("work", ["row"], fine.append, swept=True)
    assert RowFailure.objects.count() == 1
    each("work", [], fine.append, complete=True)
    assert (fine, RowFailure.objects.count()) == (["row"], 0)
