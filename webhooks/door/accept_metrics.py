"""What the door measures of itself, for /prometheus."""

from functools import cache

from prometheus_client import Counter, Histogram

ACCEPT_SECONDS = Histogram(
    "algotrendy_accept_seconds",
    "From the first byte of an alert seen by the door to its answer.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 3),
)
ANSWERS = Counter("algotrendy_webhook_answers_total", "Answers of the webhook by HTTP status.", ["status"])


def count_answer(status: int) -> None:
    """Count one answer of the webhook."""
    _counter(status).inc()


@cache
def _counter(status: int) -> Counter:
    return ANSWERS.labels(status)
