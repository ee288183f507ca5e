"""The tasks of Celery. Each task may run twice and returns soon: a training is a process of its own.

What they call is imported when they run, so that beat and web can read the names without scikit-learn.
"""

from contextlib import suppress
from importlib import import_module

from celery import shared_task
from celery.signals import worker_init
from django.db import DatabaseError, connection

from algotrendy.locks import try_session_lock


@worker_init.connect
def _warm(**_: object) -> None:
    """Where there is a champion, import what loads it before the worker forks: no alert waits seconds for it then.

    The memory (a hundred megabytes) is shared by the worker's processes. Importing runs no OpenMP, which a fork
    would not survive; nor would the connection.
    """
    from mlmodels.models import ModelVersion

    with suppress(DatabaseError):
        if ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION).exists():
            for name in ("sklearn.ensemble", "skops.io"):
                import_module(name)
    connection.close()


@shared_task(name="mlmodels.watch_training")
def watch_training() -> None:
    """Start what waits, end what is to stop, clean up after what was killed."""
    from mlmodels.training import worker

    worker.supervise()


@shared_task(name="mlmodels.retrain_all")
def retrain_all() -> None:
    """Request the scheduled training of every market with new candles; its schedule is edited in the admin."""
    from mlmodels.training import worker

    worker.request_scheduled_retrains()
    worker.supervise()


@shared_task(name="mlmodels.predict")
def predict(timeframe: int) -> int:
    """Have the champions score candles of this timeframe (seconds) that have just closed, one worker at a time."""
    from mlmodels.inference import predictions

    with try_session_lock("mlmodels.predict") as acquired:
        return predictions.score_markets(timeframe) if acquired else 0


@shared_task(name="mlmodels.sweep_predictions")
def sweep_predictions() -> int:
    """Predict and label what lost nudges left."""
    from mlmodels.inference import predictions

    with try_session_lock("mlmodels.predict") as acquired:
        return predictions.sweep() if acquired else 0


@shared_task(name="mlmodels.forget_predictions")
def forget_predictions() -> int:
    """Delete old predictions of made-up markets."""
    from mlmodels.inference import predictions

    return predictions.forget_simulated()


@shared_task(name="mlmodels.remove_old")
def remove_old() -> int:
    """Delete the bytes of rejected models and the predictions of former ones, once they are old."""
    from algotrendy.retention import nightly
    from mlmodels import retention

    kinds = {
        "artefacts of rejected models": retention.delete_artefacts,
        "predictions of former models": retention.delete_predictions,
    }
    return nightly.remove("mlmodels.remove_old", kinds)


@shared_task(name="mlmodels.watch_skill")
def watch_skill() -> int:
    """Request a training where a champion's live skill fell."""
    from mlmodels.inference import monitoring

    return monitoring.retrain_degraded()
