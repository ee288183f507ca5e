"""What the desk decided, on what evidence, and how it turned out."""

from django.db import models
from django.db.models import Q

from brokers.models import Order, Trade
from market.models import Instrument, MarketKind
from memory.intents import Action, Intent, Policy


class Decision(models.Model):
    """The agent's plan for one signal, with everything it knew then. Never changed afterwards."""

    signal_key = models.CharField(max_length=64, unique=True, help_text="alert-ID: one signal, one decision.")
    source = models.SlugField(help_text="Slug of the source.")
    policy = models.CharField(max_length=8, choices=Policy.choices())
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="decisions")
    intent = models.CharField(max_length=5, choices=Intent.choices())
    action = models.CharField(max_length=5, choices=Action.choices())
    refused = models.BooleanField(default=False, help_text="The signal asked for more than was done.")
    reason = models.CharField(max_length=200, help_text="Why, in a few words.")
    confidence = models.FloatField(null=True, blank=True, help_text="P(target before stop within the horizon).")
    confidence_low = models.FloatField(null=True, blank=True, help_text="5 % quantile.")
    confidence_high = models.FloatField(null=True, blank=True, help_text="95 % quantile.")
    break_even = models.FloatField(null=True, blank=True, help_text="Confidence at which the expectation is zero.")
    price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    quantity = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    stop = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    target = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    horizon_bars = models.PositiveIntegerField(default=36)
    timeframe = models.PositiveIntegerField(help_text="Seconds of one bar.")
    market = models.CharField(max_length=16, choices=MarketKind.choices)
    as_of = models.DateTimeField(help_text="Market time: nothing later was known.")
    received_at = models.DateTimeField(help_text="Wall time at which the signal came in.")
    decided_at = models.DateTimeField(auto_now_add=True)
    evidence = models.JSONField(help_text="memory.evidence.Evidence")
    orders = models.ManyToManyField(Order, through="DecisionOrder", related_name="decisions")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence=None) | (Q(confidence__gte=0) & Q(confidence__lte=1)),
                name="decision_confidence_is_a_probability",
            ),
        ]
        indexes = [
            models.Index(fields=["instrument", "-id"], name="decision_of_instrument"),
            models.Index(fields=["instrument", "as_of"], name="decision_at_market_time"),
            models.Index(fields=["source", "-id"], name="decision_of_source"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.instrument_id} ({self.reason})"

    @property
    def enters(self) -> bool:
        """Whether it opens a position: of CLOSE and HOLD an outcome tells what was avoided, not won or lost."""
        return self.action in (Action.BUY, Action.SELL)


class DecisionOrder(models.Model):
    """An order that a decision led to. `leg` counts from 0 in the order of sending."""

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="order_links")
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="decision_link")
    leg = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["decision", "leg"], name="decision_leg_once")]

    def __str__(self) -> str:
        return f"{self.decision_id}/{self.leg}"


class Outcome(models.Model):
    """How a decision turned out on candles: triple barrier of target, stop and horizon. open → resolved | void.

    A win is: the target was reached before the stop within the horizon. A bar that touches both counts as a loss,
    as their order within the bar is unknown. `known_at` is when memory may first use it.
    """

    class Kind(models.TextChoices):
        REAL = "real", "Real"
        COUNTERFACTUAL = "counterfactual", "Counterfactual"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"
        VOID = "void", "Void"

    class Result(models.TextChoices):
        WIN = "win", "Target first"
        LOSS = "loss", "Stop first"
        TIMEOUT = "timeout", "Horizon reached"

    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="outcome")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="outcomes")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    side = models.CharField(max_length=5, choices=Intent.choices(), help_text="long or short; flat when void.")
    entry = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    stop = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    target = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    timeframe = models.PositiveIntegerField()
    starts_at = models.DateTimeField(help_text="Market time of the decision: candles opening from here on count.")
    ends_at = models.DateTimeField(help_text="Market time of the horizon.")
    result = models.CharField(max_length=8, choices=Result.choices, blank=True)
    exit_price = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    exit_at = models.DateTimeField(null=True, blank=True, help_text="Market time: close of the deciding bar.")
    return_pct = models.FloatField(null=True, blank=True, help_text="Of the side taken, before costs, %.")
    r_multiple = models.FloatField(null=True, blank=True, help_text="Return over the stop distance.")
    trade = models.ForeignKey(Trade, null=True, blank=True, on_delete=models.SET_NULL, related_name="outcomes")
    void_reason = models.CharField(max_length=200, blank=True)
    known_at = models.DateTimeField(null=True, blank=True, help_text="Wall time.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="resolved")
                | (~Q(result="") & Q(known_at__isnull=False) & Q(exit_price__isnull=False)),
                name="outcome_resolved_is_complete",
            ),
            models.CheckConstraint(
                condition=~Q(state="void") | ~Q(void_reason=""), name="outcome_void_has_a_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["instrument", "starts_at"], condition=Q(state="open"), name="outcome_open"),
            models.Index(fields=["-known_at"], name="outcome_known"),
        ]

    def __str__(self) -> str:
        return f"{self.decision_id} {self.result or self.state}"


class Tally(models.Model):
    """Wins and cases so far of one source, instrument and side: kept in the transaction that resolves an outcome.

    The sum over rows is the desk's record; it only ever contains what was known when it was read.
    """

    source = models.SlugField()
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="tallies")
    side = models.CharField(max_length=5, choices=Intent.choices())
    wins = models.PositiveIntegerField(default=0)
    cases = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "instrument", "side"], name="tally_once"),
            models.CheckConstraint(condition=Q(wins__lte=models.F("cases")), name="tally_wins_are_cases"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.instrument_id} {self.side}: {self.wins}/{self.cases}"
