"""Removing what is old: at night, in batches that can be taken up again, each kind by itself."""

from datetime import UTC, datetime

import pytest
import time_machine

from algotrendy.isolation.models import RowFailure
from algotrendy.isolation.rows import RowName, write_failure
from algotrendy.locks import lock_in_transaction
from algotrendy.retention import nightly
from algotrendy.retention.models import Removal
from algotrendy.retention.nightly import Progress
from tests.support.locks import held_elsewhere

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
TASK = "test.remove_old"


@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was nudged, instead of nudging it."""
    seen: list[str] = []
    monkeypatch.setattr(nightly, "nudge", seen.append)
    return seen


def counting(most: int) -> nightly.Batch:
    """A kind of which `most` batches of ten rows are old."""

    def batch(progress: Progress) -> int | None:
        if progress.get("batches", 0) >= most:
            return None
        progress["batches"] = progress.get("batches", 0) + 1
        return 10

    return batch


def test_a_night_is_through_when_nothing_old_is_left_and_says_what_went(nudged: list[str]) -> None:
    with time_machine.travel(NOON, tick=False):
        assert nightly.remove(TASK, {"rows": counting(3)}) == 30
    row = Removal.objects.get()
    assert (row.removed, row.removing, row.ended_at) == (30, 0, NOON)
    assert nudged == []


def test_a_long_night_goes_on_by_nudges_where_it_was(nudged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "BATCHES", 2)
    with time_machine.travel(NOON, tick=False):
        counts = [nightly.remove(TASK, {"rows": counting(3)}) for _ in range(3)]
    assert counts == [20, 10, 0]
    assert nudged == [TASK]
    assert Removal.objects.get().removed == 30


def test_it_is_done_once_a_night(nudged: list[str]) -> None:
    with time_machine.travel(NOON, tick=False):
        nightly.remove(TASK, {"rows": counting(1)})
    with time_machine.travel(datetime(2026, 3, 4, 2, 59, tzinfo=UTC), tick=False):
        assert nightly.remove(TASK, {"rows": counting(9)}) == 0
    with time_machine.travel(datetime(2026, 3, 4, 3, 1, tzinfo=UTC), tick=False):
        assert nightly.remove(TASK, {"rows": counting(3)}) == 20


def test_a_kind_that_fails_stops_no_other_and_is_tried_again(nudged: list[str]) -> None:
    def broken(progress: Progress) -> int | None:
        progress["batches"] = 99
        raise ValueError("no such thing")

    with time_machine.travel(NOON, tick=False):
        assert nightly.remove(TASK, {"broken": broken, "rows": counting(1)}) == 10
        assert Removal.objects.get(pk="broken").progress == {}
        assert RowFailure.objects.get().name == "broken"
        assert nightly.remove(TASK, {"broken": counting(1), "rows": counting(1)}) == 10
    assert not RowFailure.objects.exists()


def test_while_one_worker_removes_another_takes_nothing(nudged: list[str]) -> None:
    with held_elsewhere(lambda: lock_in_transaction(TASK)), time_machine.travel(NOON, tick=False):
        assert nightly.remove(TASK, {"rows": counting(3)}) == 0
    assert (Removal.objects.count(), nudged) == (0, [])


def test_a_crash_before_a_batch_is_written_down_brings_its_rows_back(
    nudged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        write_failure("old", RowName("", str(number), "row"), "odd")

    def one(progress: Progress) -> int | None:
        keys = RowFailure.objects.filter(work="old").values_list("pk", flat=True)[:1]
        return RowFailure.objects.filter(pk__in=list(keys)).delete()[0] or None

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, time_machine.travel(NOON, tick=False):
        Removal.objects.create(name="rows")
        patch.setattr(Removal, "save", die)
        with pytest.raises(KeyboardInterrupt):
            nightly.remove(TASK, {"rows": one})
    assert RowFailure.objects.filter(work="old").count() == 2
    with time_machine.travel(NOON, tick=False):
        assert nightly.remove(TASK, {"rows": one}) == 2
    assert Removal.objects.get().removed == 2


def test_kept_for_ever_is_never_old() -> None:
    assert nightly.before(0) is None
