"""A row's failure is written down and forgotten whole, and announced; else nothing is announced."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, transaction

from algotrendy.isolation import rows
from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import RowName, clear, clear_by_hand, each, name_of, together, write_failure
from algotrendy.isolation.signals import failures_changed
from brokers.models import Connection

pytestmark = pytest.mark.django_db(transaction=True)
WORK = "test.work"
ROW = RowName("", "a", "a")


class Killed(Exception):
    """Stands for the end of the process at this point."""


def kill(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def announced() -> Iterator[list[str]]:
    seen: list[str] = []

    def receive(**_: object) -> None:
        seen.append("changed")

    failures_changed.connect(receive)
    yield seen
    failures_changed.disconnect(receive)


def test_each_change_of_what_failed_is_announced_and_nothing_else(announced: list[str]) -> None:
    write_failure(WORK, ROW, "odd")
    write_failure(WORK, ROW, "odd")
    assert len(announced) == 2
    write_failure(WORK, ROW, "odd")  # the third in a row is no power of two
    assert len(announced) == 2
    clear(WORK, ROW)
    assert len(announced) == 3
    each(WORK, ["a"], str, complete=True)
    assert len(announced) == 3
    write_failure(WORK, ROW, "odd")
    announced.clear()
    row = RowFailure.objects.get()
    assert (clear_by_hand(row.pk), clear_by_hand(row.pk), announced) == (True, False, ["changed"])


def test_a_failure_is_written_and_forgotten_with_its_announcement_or_not_at_all(monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rows, "announce", kill)
        with pytest.raises(Killed):
            write_failure(WORK, ROW, "odd")
        assert not RowFailure.objects.exists()
    write_failure(WORK, ROW, "odd")
    monkeypatch.setattr(rows, "announce", kill)
    for forget in (lambda: clear(WORK, ROW), lambda: clear_by_hand(RowFailure.objects.get().pk)):
        with pytest.raises(Killed):
            forget()
        assert RowFailure.objects.count() == 1


def make_all(names: list[str]) -> list[str]:
    for name in names:
        if name == "bad":
            raise ValueError(name)
        Connection.objects.create(name=name)
    return names


def test_what_is_done_together_is_undone_before_each_is_done_for_itself() -> None:
    assert together(WORK, ["one", "bad", "two"], make_all) == ["one", "two"]
    assert set(Connection.objects.values_list("name", flat=True)) == {"one", "two"}
    assert RowFailure.objects.get().key == "bad"
    assert together(WORK, ["three"], make_all) == ["three"]


def test_a_database_that_is_away_ends_what_is_done_together(monkeypatch) -> None:
    asked: list[list[str]] = []

    def lose(names: list[str]) -> list[str]:
        asked.append(names)
        raise OperationalError("away")

    monkeypatch.setattr(rows, "ends_the_work", lambda error: isinstance(error, OperationalError))
    with pytest.raises(OperationalError):
        together(WORK, ["one", "two"], lose)
    assert asked == [["one", "two"]]
    assert not RowFailure.objects.exists()


def test_rows_are_named_by_what_they_are() -> None:
    connection = Connection.objects.create(name="paper")
    named = RowName("brokers.connection", str(connection.pk), "connection paper")
    assert name_of(connection) == named
    assert name_of(7, Connection) == RowName("brokers.connection", "7", "connection 7")
    assert name_of("step") == RowName("", "step", "step")
    with transaction.atomic():
        assert each(WORK, [connection], name_of) == [named]
