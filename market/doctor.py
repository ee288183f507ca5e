"""What the doctor looks at in the market: how old the prices are."""

from collections.abc import Iterator

from algotrendy.monitoring.doctor import Finding, desk_check
from market.selectors import feed_freshness


@desk_check
def feeds() -> Iterator[Finding]:
    """Look at how old the prices of each feed in use are."""
    advice = "Without fresh prices alerts only close: see the page Health, or ./mem up's lines of feed"
    for feed in feed_freshness():
        yield Finding(not feed.stale, f"Feed {feed.feed.name}: {feed.text}", advice if feed.stale else "")
