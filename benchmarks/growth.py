"""What each of beat's tasks takes on a busy desk after a year, against the same desk after a day.

300,000 orders with fills and trades, 1,000,000 alerts with decisions, 3,153,600 marks of equity: see
`benchmarks/history/year.py`. Both desks get the same new alerts and candles before each task. What a task takes
is its own processor time and the blocks that the database reads for it: both are the same on a busy machine. The
clock is shown beside them.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from algotrendy.bench import Figure
from benchmarks.history import year
from benchmarks.history.scratch import FIRST, Worker, copy_first, database_server, execute, stopped_at_the_end

DAY, YEAR = 1, 365
WARM_UPS, ROUNDS = 2, 7
MOST = 1.5
#: Differences below these are the machine's: milliseconds of processor time, blocks, kilobytes.
NOISE_MS, NOISE_BLOCKS, NOISE_KILOBYTES = 2.0, 60, 150


def run() -> Iterator[Figure]:
    """Write both desks, let a night pass on each, and ask each task of both in turns."""
    with database_server() as data:
        began = time.perf_counter()
        _write_histories(data)
        counts = ", ".join(f"{count:,} {name}" for name, count in year.sizes(YEAR).items())
        yield Figure("written", round(time.perf_counter() - began), "s", f"{counts}; candles by instrument")
        day, after_year = _worker(data, FIRST), _worker(data, "year")
        with stopped_at_the_end(day, after_year):
            yield from _once(day, after_year)
            for database in (FIRST, "year"):
                execute(data, database, ["VACUUM ANALYZE"])
            yield from _tasks(day, after_year)


def _write_histories(data: Path) -> None:
    trainer = _worker(data, FIRST)
    with stopped_at_the_end(trainer):
        trainer.ask("model")
    execute(data, "postgres", ["ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()"])
    copy_first(data, "year")
    for database, days in ((FIRST, DAY), ("year", YEAR)):
        execute(data, database, year.statements(days))


def _worker(data: Path, database: str) -> Worker:
    return Worker("benchmarks.history.task_server", data, database)


def _once(day: Worker, after_year: Worker) -> Iterator[Figure]:
    """Yield what happens once a day: all books compared, what is old removed (here a year's at once)."""
    full = [worker.ask("full") for worker in (day, after_year)]
    differing = [text for answer in full for text in answer["differences"]]
    text = f"{full[0]['ms'] / 1000:.1f} s after a day; {full[1]['cpu_ms'] / 1000:.1f} s of processor after a year"
    yield Figure("full_comparison", round(full[1]["ms"] / 1000, 1), "s", text)
    yield Figure("differences", len(differing), "differences", "; ".join(differing), "= 0", not differing)
    grown = full[1]["resident_growth"] / 1024
    yield Figure("full_comparison_memory", round(grown, 1), "MB", "growth of the resident process", "≤ 20",
                 grown <= 20)  # fmt: skip
    day.ask("night")
    night = after_year.ask("night")
    removed = ", ".join(f"{count:,} {name}" for name, count in night["removed"].items() if count)
    yield Figure("first_night", round(night["ms"] / 1000, 1), "s", f"removed {removed}")


def _tasks(day: Worker, after_year: Worker) -> Iterator[Figure]:
    worst = 0.0
    for entry in day.ask("list")["entries"]:
        figure = _time(day, after_year, entry)
        yield figure
        memory = _memory(day, after_year, entry)
        yield memory
        worst = max(worst, figure.value, memory.value)
    yield Figure("worst_ratio", worst, "×", "of all tasks, time and memory", f"≤ {MOST}", worst <= MOST)


def _time(day: Worker, after_year: Worker, entry: str) -> Figure:
    few: list[dict[str, float]] = []
    many: list[dict[str, float]] = []
    for turn in range(WARM_UPS + ROUNDS):
        pairs = ((day, few), (after_year, many)) if turn % 2 else ((after_year, many), (day, few))
        for worker, answers in pairs:
            answer = worker.ask(f"run {entry}")
            if turn >= WARM_UPS:
                answers.append(answer)
    small, large = _medians(few), _medians(many)
    value = max(
        _ratio(small["cpu_ms"], large["cpu_ms"], NOISE_MS), _ratio(small["blocks"], large["blocks"], NOISE_BLOCKS)
    )
    against = "; ".join(
        f"{name}: {one['cpu_ms']:.1f} ms of processor, {one['blocks']:.0f} blocks, {one['ms']:.1f} ms by the clock"
        for name, one in (("day", small), ("year", large))
    )
    return Figure(entry, round(value, 2), "×", against, f"≤ {MOST}", value <= MOST)


def _memory(day: Worker, after_year: Worker, entry: str) -> Figure:
    few, many = (worker.ask(f"memory {entry}")["kilobytes"] for worker in (day, after_year))
    value = _ratio(few, many, NOISE_KILOBYTES)
    against = f"at most {few:.0f} kB allocated after a day, {many:.0f} kB after a year"
    return Figure(f"{entry} memory", round(value, 2), "×", against, f"≤ {MOST}", value <= MOST)


def _medians(answers: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(answer[name] for answer in answers) for name in answers[0]}


def _ratio(few: float, many: float, noise: float) -> float:
    return many / few if many - few > noise and few > 0 else min(many / few if few > 0 else 1.0, 1.0)
