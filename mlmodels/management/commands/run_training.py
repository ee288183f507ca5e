"""`manage.py run_training`: the training process. Started by the training worker for what waits."""

import contextlib
import os
from typing import Any

from django.core.management.base import BaseCommand

from mlmodels.training import runs

PATIENCE = 10.0  # seconds: whoever looks for dead trainings holds the lock for a moment


class Command(BaseCommand):
    """Train everything that waits, one run after another, then end."""

    help = "Train what waits, as the only one on this desk, then end. Started by the training worker."
    requires_system_checks = ()

    def handle(self, *args: object, **options: Any) -> None:
        """Take the lock and work; without it somebody else does."""
        with contextlib.suppress(OSError):
            os.nice(10)
        with runs.training_turn(PATIENCE) as acquired:
            if acquired:
                self._work()

    def _work(self) -> None:
        from mlmodels.training import job  # with it comes scikit-learn

        while run := runs.claim():
            job.execute(run)
