"""Figures of feeds for /prometheus."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from algotrendy.monitoring.prometheus import figures
from market.models import Feed


@figures
def feeds() -> Iterator[Metric]:
    """Yield the age of each enabled feed's last candle."""
    text = "Since the last candle of an enabled feed."
    age = GaugeMetricFamily("algotrendy_feed_age_seconds", text, labels=["feed", "driver"])
    now = timezone.now()
    rows = Feed.objects.filter(enabled=True, last_candle_at__isnull=False)
    for feed in rows.only("name", "driver", "last_candle_at"):
        assert feed.last_candle_at is not None  # noqa: S101 - filtered above
        age.add_metric([feed.name, feed.driver], (now - feed.last_candle_at).total_seconds())
    yield age
