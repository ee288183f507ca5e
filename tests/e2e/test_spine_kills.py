"""An alert that was answered 2xx is decided once and its order leaves once, whatever is killed in between."""

import pytest

from algotrendy.testing import running_desk
from benchmarks._desk import Bench
from benchmarks._kills import VICTIMS, Sender, differences, faults, kill_in_turn, settle

pytestmark = pytest.mark.spine


def test_nothing_is_lost_or_done_twice_while_every_process_is_killed_in_turn(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_desk(tmp_path_factory.mktemp("kills") / "var") as desk:
        bench = Bench(desk)
        bench.wait_for_prices(90)
        with Sender(bench.source("Kills"), rate=5) as sender:
            took = kill_in_turn(bench, len(VICTIMS), pause=(1.0, 2.5))
        settle(bench)
        bench.close()
        assert len(took) == len(VICTIMS)
        assert len(sender.answered) >= 20
        assert faults(bench, sender.answered) == []
        assert differences(bench) == []
        bench.close()
