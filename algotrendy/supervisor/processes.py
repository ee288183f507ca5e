"""Which processes make up a desk, and how each is run."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from algotrendy import paths
from algotrendy.embedded.service import Service
from algotrendy.supervisor.launching import Preloader, Spec

CELERY = ("-m", "celery", "--quiet", "-A", "algotrendy")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
TRADE_PROCESSES = os.environ.get("ALGOTRENDY_TRADE_WORKERS", "2")  # about 50 MB each
# What several of the desk's processes use; the others' pages cost nothing as long as nobody writes to them.
SHARED = (
    "algotrendy.asgi", "algotrendy.celery", "celery.bin.celery", "celery.concurrency.prefork",
    "celery.apps.worker", "celery.worker.components", "celery.worker.consumer", "celery.worker.autoscale",
    "celery.app.amqp", "celery.app.control", "celery.app.log", "celery.backends.base",
    "celery.contrib.django.task", "kombu.transport.redis", "market.feeds.runner", "brokers.venues.paper.local",
    "brokers.tasks", "dashboard.tasks", "market.tasks", "memory.tasks", "mlmodels.tasks", "webhooks.tasks",
    "skops.io", "sklearn.ensemble", "uvicorn",
)  # fmt: skip
# An alert is answered within TradingView's 3 s whatever else is worked on; a training can wait for all others.
NICENESS = {"trade": 3, "feed": 3, "training": 10}
MANAGE = str(paths.BASE_DIR / "manage.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# What the services say at every start and stop, or about the machine: it stays in the log file.
SERVICE_NOISE = ("LOG:  ", "HINT:  ", "overcommit", "signal-handler", "ready to exit", "the database system is")


@dataclass(frozen=True)
class Options:
    """What `./mem up` was asked for."""

    host: str
    port: int
    clean: bool
    data: Path
    without_dump: bool = False

    @property
    def address(self) -> str:
        """The address that a caller on this machine connects to."""
        host = self.host.strip("[]")
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104

    @property
    def url(self) -> str:
        """The address a browser on this machine uses."""
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"


def environment(options: Options, process: str) -> dict[str, str]:
    """Return the environment of the desk's process `process`."""
    env = dict(os.environ)
    env.setdefault("ALGOTRENDY_URL", options.url)
    env.setdefault("MALLOC_ARENA_MAX", "2")  # glibc otherwise keeps a heap for each thread
    # Workers would check the whole project at each start, which loads every page: 50 MB each, and seconds.
    env.setdefault("CELERY_SKIP_CHECKS", "1")
    # Celery warns at every start as root, because of pickle, which the desk never accepts.
    env.setdefault("PYTHONWARNINGS", "ignore:You're running the worker")
    if process == "training":
        env |= ONE_THREAD
    else:
        env = ONE_THREAD | env
    return env | {
        "ALGOTRENDY_PROCESS": process,
        "ALGOTRENDY_DATA": str(options.data),
        "DJANGO_SETTINGS_MODULE": "algotrendy.settings",
        "PYTHONUNBUFFERED": "1",
    }


def service(item: Service) -> Spec:
    """Return how to supervise an embedded service."""
    launch = item.launch()
    return Spec(
        item.name, launch.argv, launch.env, paths.BASE_DIR, launch.stop_signal, 20.0, item.prepare, launch.preexec,
        shows=lambda line: not any(noise in line for noise in SERVICE_NOISE),
    )  # fmt: skip


def preloader(options: Options, preloading: Preloader) -> Spec:
    """Return how to run the process that forks the desk's own."""
    return preloading.spec(environment(options, "preload"), paths.BASE_DIR, SHARED)


def desk(options: Options, listening: int) -> list[Spec]:
    """Return the desk's own processes; `listening` is the descriptor of web's socket."""

    def process(name: str, *arguments: str, stop: float = 10.0, fds: tuple[int, ...] = ()) -> Spec:
        argv, env = [sys.executable, *arguments], environment(options, name)
        niceness = NICENESS.get(name, 0)
        return Spec(name, argv, env, paths.BASE_DIR, stop_seconds=stop, pass_fds=fds, niceness=niceness)

    trade = ("-Q", "trade", "-n", "trade@%h", "--pool=prefork", f"--concurrency={TRADE_PROCESSES}")
    training = ("-Q", "training", "-n", "training@%h", "--pool=solo", "--concurrency=1")
    return [
        process("web", MANAGE, "web", "--fd", str(listening), fds=(listening,)),
        process("trade", *CELERY, "worker", *trade, *QUIET, stop=20.0),
        process("training", *CELERY, "worker", *training, *QUIET),
        process("beat", *CELERY, "beat", "--pidfile=", "--loglevel=WARNING"),
        process("feed", MANAGE, "run_feeds"),
    ]
