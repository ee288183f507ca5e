"""Candles and small recipes for tests of trainings, and a training process that dies where it is told to."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection

from algotrendy import paths
from market.feeds import simulator
from market.models import Instrument, MarketKind
from market.services import NewCandle, ensure_instrument, store_candles
from mlmodels.models import ModelVersion, TrainingRun
from mlmodels.pipeline.config import Recipe
from mlmodels.registry.families import FamilyKey, recipe_of
from mlmodels.training import runs

START = datetime(2025, 3, 1, tzinfo=UTC)
REAL = FamilyKey(300, False)
DAYS = 30
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def import_market(days: int = DAYS, seed: int = 3, symbols: tuple[str, ...] = SYMBOLS) -> list[Instrument]:
    """Store `days` of 5-minute candles of a market with regimes, as if imported."""
    series = simulator.simulate(symbols, seed=seed, count=days * 288, timeframe=300)
    instruments = [ensure_instrument(symbol) for symbol in symbols]
    for instrument in instruments:
        bars = series[instrument.symbol]
        rows = zip(bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True)
        candles = [
            NewCandle(
                instrument.pk, START + timedelta(seconds=300 * number), *(Decimal(f"{value:.8f}") for value in row)
            )
            for number, row in enumerate(rows)
        ]
        store_candles(candles=candles, timeframe=300, kind=MarketKind.IMPORTED)
    return instruments


def small_recipe(**changes: object) -> Recipe:
    """A recipe that trains in a second or two and still satisfies the gate's demands on evidence."""
    values = {"holdout_days": 15, "folds": 2, "importance": False, "parameters": {"max_iter": 30}} | changes
    return recipe_of(REAL, **values)


def waiting_run(**changes: object) -> TrainingRun:
    """Queue a small training by hand."""
    return runs.request(family_key=REAL, trigger=runs.Trigger.MANUAL, recipe=small_recipe(**changes))


def a_version(name: str = "20250101_000000", **changes: object) -> ModelVersion:
    """Make a version without an artefact."""
    values = {
        "family": REAL.slug, "timeframe": 300, "simulated": False, "schema": "desk-1", "schema_hash": "0" * 64,
        "recipe": recipe_of(REAL).as_json(),
    }  # fmt: skip
    return ModelVersion.objects.create(name=name, **(values | changes))


DYING = """
import os, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "algotrendy.settings"
import django
django.setup()
from django.core.management import call_command
from mlmodels.registry import versions
from mlmodels.training import job

target, progress_writer = sys.argv[1], job._progress_writer

def dying_writer(run_id, also):
    write = progress_writer(run_id, also)
    def report_progress(step, share, text):
        write(step, share, text)
        if step == target and target != "save":
            os.kill(os.getpid(), signal.SIGKILL)
    return report_progress

def die(**_):
    os.kill(os.getpid(), signal.SIGKILL)

job._progress_writer = dying_writer
if target == "save":
    versions.apply_verdict = die  # the version and its artefact are written, and nothing is committed
call_command("run_training")
"""


def training_process(dies_in: str = "") -> "subprocess.Popen[bytes]":
    """Start a real training process on the test database; with `dies_in` it is killed (-9) in that step."""
    code = [sys.executable, "-c", DYING, dies_in] if dies_in else [sys.executable, "manage.py", "run_training"]
    return subprocess.Popen(code, cwd=paths.BASE_DIR, env=os.environ | {"OMP_NUM_THREADS": "1"})


def database_url() -> str:
    """Return the address of the test database, for other processes."""
    from urllib.parse import quote

    settings = connection.settings_dict
    return (
        f"postgres://{settings['USER']}@{quote(settings['HOST'], safe='')}:{settings['PORT']}/{settings['NAME']}"
    )
