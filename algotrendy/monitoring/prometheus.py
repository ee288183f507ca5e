"""Figures of /prometheus that are read from the database at each scrape.

Each app yields its own: a module `prometheus` of an installed app is imported with the first scrape and registers
its function with `@figures`. What a process measures itself (the door's accept latency) is in the same registry.
Every query is served by an index or bounded by a window: a scrape costs the same on a desk of ten years.
"""

from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import autodiscover_modules
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from algotrendy.supervisor import disk

Figures = Callable[[], Iterable[Metric]]
_figures: list[Figures] = []


def figures(function: Figures) -> Figures:
    """Register the decorated function: every scrape calls it for its metrics."""
    _figures.append(function)
    return function


class DeskCollector(Collector):
    """The registered figures of all apps."""

    def collect(self) -> Iterable[Metric]:
        """Yield the figures; a database that does not answer yields only that it does not."""
        up = GaugeMetricFamily("algotrendy_database_up", "1 if the database answered this scrape.")
        try:
            metrics = [metric for function in _figures for metric in function()]
        except DatabaseError:
            metrics = []
        up.add_metric([], 1.0 if metrics else 0.0)
        return [up, _free_bytes(), *metrics]


def _free_bytes() -> Metric:
    free = disk.space(settings.DATA_DIR).free
    return GaugeMetricFamily("algotrendy_disk_free_bytes", "Room on the disk of the data folder.", value=free)


_COLLECTOR = DeskCollector()


def register(registry: CollectorRegistry) -> None:
    """Add the collector to `registry` once per process, with the figures of every installed app."""
    autodiscover_modules("prometheus")
    if _COLLECTOR not in registry._collector_to_names:
        registry.register(_COLLECTOR)
