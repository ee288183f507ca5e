"""Who may send alerts, the alerts as they came, and the keys of the machine doors."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from brokers.models import Connection
from market.models import Instrument
from memory.intents import Intent, Policy
from memory.models import Decision

# Held for the rest of a transaction that adds alerts, by every process that does: their ids follow the order of
# their commits, and no equal alert can be added between the query for one and the insert.
ADD_ALERTS_LOCK = "webhooks.add-alerts"


class Source(models.Model):
    """A sender of alerts. Its token is in the URL, stored as a keyed hash, shown once.

    After a rotation the old token works until `previous_until`. `revoked_at` ends both.
    """

    class Sizing(models.TextChoices):
        RISK = "risk", "Risk a share of equity between entry and stop"
        NOTIONAL = "notional", "A fixed value in the account's currency"
        ALERT = "alert", "The quantity in the alert"

    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    token_hint = models.CharField(max_length=4, help_text="Last characters, to tell tokens apart.")
    previous_token_hash = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    body_secret_hash = models.CharField(max_length=64, blank=True, help_text="Empty: no body secret is asked for.")
    allowed_networks = models.JSONField(default=list, blank=True, help_text='["52.89.214.238/32", …]; empty: any.')
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="sources")
    policy = models.CharField(max_length=8, choices=Policy.choices(), default=Policy.FOLLOW.value)
    sizing = models.CharField(max_length=8, choices=Sizing.choices, default=Sizing.RISK)
    risk_pct = models.DecimalField(
        max_digits=6, decimal_places=3, default=1, help_text="% of equity risked per entry."
    )
    notional = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    staleness_seconds = models.PositiveIntegerField(default=60, help_text="An older alert may close but not open.")
    allow_short = models.BooleanField(default=True)
    silence_hours = models.PositiveIntegerField(
        default=0, help_text="Warn after this long without an alert; 0: never."
    )
    is_demo = models.BooleanField(default=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(sizing="notional") | Q(notional__gt=0), name="source_notional_sizing_has_a_value"
            ),
            models.CheckConstraint(condition=Q(risk_pct__gt=0) & Q(risk_pct__lte=100), name="source_risk_sane"),
        ]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One message as it came in, kept whole (less its secret). received → decided | expired | failed.

    The row in state received *is* the queue. expired: too old to open anything, or overtaken by a later one (it
    has a HOLD decision); failed: could not be understood, or the desk failed on it, for the `reason` given.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        DECIDED = "decided", "Decided"
        EXPIRED = "expired", "Expired"
        FAILED = "failed", "Failed"

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="alerts")
    idempotency_key = models.CharField(max_length=160)
    body = models.BinaryField()
    content_type = models.CharField(max_length=100, blank=True)
    remote_address = models.GenericIPAddressField(null=True, blank=True)
    received_at = models.DateTimeField()
    duplicates = models.PositiveIntegerField(default=0, help_text="How often the same alert came again.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RECEIVED)
    reason = models.CharField(max_length=300, blank=True)
    parsed = models.JSONField(null=True, blank=True)
    instrument = models.ForeignKey(
        Instrument, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    intent = models.CharField(max_length=5, choices=Intent.choices(), blank=True)
    decision = models.OneToOneField(
        Decision, null=True, blank=True, on_delete=models.PROTECT, related_name="alert"
    )
    replay_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replays")
    decided_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often deciding began: it survives a killed worker."
    )
    failures = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,  # the door inserts without it
        editable=False,
        help_text="How often deciding ended with an error; the other attempts were cut off.",
    )
    retry_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Wall time before which it is not tried again."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "idempotency_key"], name="alert_once_per_key"),
            models.CheckConstraint(
                condition=~Q(state__in=["decided", "expired"]) | Q(decision__isnull=False),
                name="alert_decided_has_a_decision",
            ),
            models.CheckConstraint(
                condition=~Q(state="received") | Q(decision__isnull=True), name="alert_received_has_none"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(reason=""), name="alert_failed_has_a_reason"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(state="received"), name="alert_queue"),
            models.Index(fields=["source", "-id"], name="alert_of_source"),
            models.Index(fields=["state", "-id"], name="alert_state"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.state}"


class ApiKey(models.Model):
    """A key of the JSON API, stored as a keyed hash, shown once. Each scope includes the ones before it."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        TRADE = "trade", "Trade"
        ADMIN = "admin", "Admin"

    name = models.CharField(max_length=80, unique=True)
    key_hash = models.CharField(max_length=64, unique=True)
    key_hint = models.CharField(max_length=4)
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
