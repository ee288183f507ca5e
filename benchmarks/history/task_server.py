"""Runs beat's tasks in one process, one at a time, and says what each took.

`python -m benchmarks.history.task_server` with DATABASE_URL in the environment. Each line of standard input is a
request, each answer one line of JSON: "list" (the entries of beat's schedule), "model" (makes a champion), "night"
(removes what is old), "full" (compares all books), "run ENTRY", "memory ENTRY".
"""

import json
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")
Answer = dict[str, Any]  # JSON: numbers and texts


def main() -> None:
    """Answer lines until there are no more."""
    import django

    django.setup()
    from algotrendy.celery import app

    app.loader.import_default_modules()
    for line in sys.stdin:
        word, _, entry = line.strip().partition(" ")
        print(json.dumps(ANSWERS[word](entry)), flush=True)


def _entries(_: str) -> Answer:
    from django.conf import settings

    return {"entries": list(settings.CELERY_BEAT_SCHEDULE)}


def _task(entry: str) -> Callable[[], object]:
    """Return a call of what beat sends under this name."""
    from celery import current_app
    from django.conf import settings

    sent = settings.CELERY_BEAT_SCHEDULE[entry]
    return lambda: current_app.tasks[sent["task"]].apply(args=sent.get("args", ()), throw=True)


def _blocks() -> int:
    """Return how many blocks the database has read from its cache or the disk so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def _moment() -> None:
    from django.db import connection

    from benchmarks.history import year

    with connection.cursor() as cursor:
        cursor.execute(year.MOMENT)


def _measured(work: Callable[[], object]) -> Answer:
    blocks, cpu, clock = _blocks(), time.process_time(), time.perf_counter()
    work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {"cpu_ms": cpu * 1000, "ms": clock * 1000, "blocks": _blocks() - blocks}


def _run(entry: str) -> Answer:
    _moment()
    return _measured(_task(entry))


def _memory(entry: str) -> Answer:
    """Return the most that the task had allocated at once, in kilobytes, beyond what was there before."""
    _moment()
    return {"kilobytes": _peak(_task(entry))}


def _peak(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1000


def _night(_: str) -> Answer:
    """Remove what is old until the night is through."""
    from algotrendy.retention.models import Removal

    def work() -> None:
        for entry in _entries("")["entries"]:
            if entry.endswith(".remove_old"):
                while _task(entry)().result:  # type: ignore[attr-defined]
                    pass

    figures = _measured(work)
    return figures | {"removed": dict(Removal.objects.values_list("name", "removed"))}


def _full(_: str) -> Answer:
    """Compare all books from the first order on, in steps as the task does."""
    from brokers.ledger import reconcile
    from brokers.models import Connection

    connection = Connection.objects.order_by("id")[0]
    differing: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def work() -> None:
        differing.extend(difference.text for difference in reconcile.compare_all(connection)[:5])

    figures = _measured(work)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return figures | {"differences": differing, "resident_growth": grown}


def _model(_: str) -> Answer:
    """Store a champion of the simulated market: small, but really fitted."""
    import numpy as np
    from django.utils import timezone

    from mlmodels.models import ModelVersion
    from mlmodels.pipeline import estimators
    from mlmodels.pipeline.feature_schemas import SCHEMAS
    from mlmodels.registry import artefacts, families
    from mlmodels.registry.families import FamilyKey

    key, schema = FamilyKey(5, simulated=True), next(iter(SCHEMAS.values()))
    chance = np.random.default_rng(1)
    rows = chance.normal(size=(400, len(schema.features)))
    model = estimators.make("HistGradientBoosting", {"max_iter": 10, "min_samples_leaf": 20}, seed=1)
    model.fit(rows, (rows[:, 0] > 0).astype(np.int8))
    version = ModelVersion.objects.create(
        name="20260101_000000", family=key.slug, timeframe=5, simulated=True, state="champion", schema=schema.name,
        schema_hash=schema.hash, promoted_at=timezone.now(), recipe=families.recipe_of(key).as_json(),
        report={"data": {"candidate_base_rate": 0.3}},
    )  # fmt: skip
    artefacts.store(version, model, rows[:8])
    return {"version": version.pk}


ANSWERS: dict[str, Callable[[str], Answer]] = {
    "list": _entries, "model": _model, "night": _night, "full": _full, "run": _run, "memory": _memory,
}  # fmt: skip

if __name__ == "__main__":
    main()
