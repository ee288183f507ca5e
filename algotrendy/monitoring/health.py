"""Whether this process lives, whether the desk is ready, and its figures for Prometheus."""

import functools
import hmac
import ipaddress
import os
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from algotrendy.supervisor import disk

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as this process can: nothing else is looked at."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 with every check ok, else 503 with what is missing."""
    checks = {
        "database": check_database(),
        "migrations": "not asked",
        "valkey": check_valkey(),
        "disk": check_disk(),
    }
    if checks["database"] == "ok":
        checks["migrations"] = check_migrations()
    ready = all(answer in ("ok", "low") for answer in checks.values())
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


def check_database() -> str:
    """Return "ok" if the database answers a query, else the kind of its failure (no addresses)."""
    return _ok_or_failure(lambda: connection.cursor().execute("SELECT 1"))


def check_migrations() -> str:
    """Return "ok" if every migration is applied, else how many are not."""
    try:
        missing = len(unapplied_migrations())
    except Exception as error:
        return type(error).__name__
    return f"{missing} not applied" if missing else "ok"


def unapplied_migrations() -> list[str]:
    """Return the migrations that are not applied, in order. What was applied once is not looked up again."""
    if _applied_before.get(connection.alias):
        return []
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _applied_before[connection.alias] = not plan
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


_applied_before: dict[str, bool] = {}


def check_disk() -> str:
    """Return "ok", "low" before it is too late, or "full" when the data folder takes nothing more (no figures)."""
    room = disk.space(settings.DATA_DIR)
    return "full" if room.full else "low" if room.low else "ok"


def check_valkey() -> str:
    """Return "ok" if Valkey (or Redis) answers a PING within 2 s, else the kind of its failure."""
    return _ok_or_failure(lambda: _valkey().ping())


@functools.cache
def _valkey() -> redis.Redis:
    once_more = Retry(NoBackoff(), 1)  # a connection that a restart broke is not yet a failure
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=once_more)


def _ok_or_failure(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # whatever goes wrong is the answer
        return type(error).__name__
    return "ok"


@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Answer the desk's figures to a scraper on this machine, or to one that knows the token."""
    if not may_scrape(request):
        text = "Figures are given to this machine, or with ALGOTRENDY_METRICS_TOKEN as bearer token.\n"
        return HttpResponse(text, status=403, content_type="text/plain")
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

    from algotrendy.monitoring.prometheus import register

    register(REGISTRY)
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    """Tell whether `request` shows the token, or comes from loopback without having passed a proxy.

    A proxy on the same machine makes the whole world look like loopback, so what it forwards does not count.
    """
    token = os.environ.get("ALGOTRENDY_METRICS_TOKEN", "")
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(shown.encode(), token.encode()):
        return True
    if any(name in request.META for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
