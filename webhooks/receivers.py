"""What the webhooks answer to the market below."""

from datetime import datetime


def candles_of_decisions(
    instrument_id: int, timeframe: int, start: datetime, end: datetime, **_: object
) -> list[tuple[datetime, datetime]]:
    """Return the stretches of candles that pages of decisions show; those of the demo's alerts may go."""
    from memory.selectors import shown_spans
    from webhooks.models import Source

    demo = list(Source.objects.filter(is_demo=True).values_list("slug", flat=True))
    return shown_spans(instrument_id, timeframe, start, end, but_of=demo)
