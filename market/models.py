"""What is traded, where its prices come from, and the prices themselves."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q


class MarketKind(models.TextChoices):
    """How real a price is. Shown beside every number made from it."""

    SIMULATED = "simulated", "Simulated"
    REPLAY = "replay", "Replay of real candles"
    LIVE = "live", "Live"
    IMPORTED = "imported", "Imported"


class Feed(models.Model):
    """A source of candles with a driver of its own, run by the feed process.

    stopped → running → stale → running; any → error (with `last_error`) → running.
    """

    class Driver(models.TextChoices):
        SIMULATOR = "simulator", "Simulator"
        REPLAY = "replay", "Replay"
        LIVE = "live", "Live (public REST)"

    class State(models.TextChoices):
        STOPPED = "stopped", "Stopped"
        RUNNING = "running", "Running"
        STALE = "stale", "Stale"
        ERROR = "error", "Error"

    name = models.SlugField(unique=True)
    driver = models.CharField(max_length=16, choices=Driver.choices)
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.STOPPED)
    timeframe = models.PositiveIntegerField(default=300, help_text="Seconds of one candle.")
    settings = models.JSONField(default=dict, blank=True, help_text="Seed, speed, exchange, start.")
    progress = models.JSONField(default=dict, blank=True, editable=False, help_text="The driver's own state.")
    clock = models.DateTimeField(null=True, blank=True, help_text="Market time reached: close of the last candle.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_candle_at = models.DateTimeField(null=True, blank=True, help_text="Wall time of the last candle.")
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(timeframe__gt=0), name="feed_timeframe_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_replay(self) -> bool:
        """True if its candles come at a speed of its own instead of the clock's."""
        return self.driver == self.Driver.REPLAY

    @property
    def kind(self) -> MarketKind:
        """How real the prices of this feed are."""
        return {
            self.Driver.SIMULATOR: MarketKind.SIMULATED,
            self.Driver.REPLAY: MarketKind.REPLAY,
            self.Driver.LIVE: MarketKind.LIVE,
        }[self.Driver(self.driver)]


class Instrument(models.Model):
    """Something that can be traded. One feed at a time prices it."""

    symbol = models.CharField(max_length=32, unique=True, help_text="BTCUSDT: upper case, no exchange prefix.")
    base = models.CharField(max_length=16, blank=True)
    quote = models.CharField(max_length=16, blank=True)
    tick_size = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal("0.01"))
    step_size = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal("0.00001"))
    min_notional = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal("5"))
    feed = models.ForeignKey(Feed, null=True, blank=True, on_delete=models.SET_NULL, related_name="instruments")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["symbol"]
        constraints = [
            models.CheckConstraint(
                condition=Q(tick_size__gt=0) & Q(step_size__gt=0), name="instrument_steps_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.symbol


class Candle(models.Model):
    """One closed bar. `open_time` is its start in UTC; it is known from `open_time + timeframe` on."""

    # The unique constraint begins with the instrument and serves as its index.
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="candles", db_index=False)
    timeframe = models.PositiveIntegerField(help_text="Seconds.")
    open_time = models.DateTimeField()
    open = models.DecimalField(max_digits=28, decimal_places=10)
    high = models.DecimalField(max_digits=28, decimal_places=10)
    low = models.DecimalField(max_digits=28, decimal_places=10)
    close = models.DecimalField(max_digits=28, decimal_places=10)
    volume = models.DecimalField(max_digits=32, decimal_places=10)
    kind = models.CharField(max_length=16, choices=MarketKind.choices)
    revision = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "timeframe", "open_time"], name="candle_once_per_open_time"
            ),
            models.CheckConstraint(
                condition=Q(low__gt=0)
                & Q(low__lte=F("open"))
                & Q(low__lte=F("close"))
                & Q(high__gte=F("open"))
                & Q(high__gte=F("close"))
                & Q(volume__gte=0),
                name="candle_is_a_candle",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.open_time:%Y-%m-%d %H:%M:%S} {self.close}"


class Gap(models.Model):
    """Missing candles: open → refilled, open → exchange (the venue has none for that time); or removed by us."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REFILLED = "refilled", "Refilled"
        EXCHANGE = "exchange", "None at the exchange"
        REMOVED = "removed", "Removed, as old candles of simulated markets are"

    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="gaps")
    timeframe = models.PositiveIntegerField()
    first_missing = models.DateTimeField(help_text="Open time of the first missing candle.")
    next_present = models.DateTimeField(help_text="Open time of the next candle that is there.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    discovered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instrument", "timeframe", "first_missing"], name="gap_once_per_start"
            ),
            models.CheckConstraint(condition=Q(next_present__gt=F("first_missing")), name="gap_has_length"),
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.first_missing:%Y-%m-%d %H:%M} → {self.next_present:%H:%M}"


class Quote(models.Model):
    """The last known price of an instrument and the two clocks it was known at."""

    instrument = models.OneToOneField(
        Instrument, on_delete=models.CASCADE, primary_key=True, related_name="quote_now"
    )
    price = models.DecimalField(max_digits=28, decimal_places=10)
    timeframe = models.PositiveIntegerField(help_text="Seconds of the candles that this market moves in.")
    kind = models.CharField(max_length=16, choices=MarketKind.choices)
    market_time = models.DateTimeField(help_text="The market's own clock: wall time when live or simulated.")
    received_at = models.DateTimeField(help_text="Wall time.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(price__gt=0), name="quote_price_positive")]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.price}"
