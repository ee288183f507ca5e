"""`manage.py run_training`: the training process. Started by the training worker for what waits."""

import contextlib
import os
import time
from typing import Any

from django.core.management.base import BaseCommand

from mlmodels import runs

PATIENCE = 10.0  # seconds: whoever looks whether a training lives holds its lock for a moment


class Command(BaseCommand):
    """Train everything that waits, one run after another, then end."""

    help = "Train what waits, as the only one on this desk, then end. Started by the training worker."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the lock and work; without it somebody else does."""
        with contextlib.suppress(OSError):
            os.nice(10)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with runs.training_lock() as mine:
                if mine:
                    self._work()
                    return
            time.sleep(0.1)

    def _work(self) -> None:
        from mlmodels import training  # with it comes scikit-learn

        while run := runs.claim():
            training.execute(run)
