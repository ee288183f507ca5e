"""Forms of the pages: what may be entered, and what is wrong with it in plain words."""

import ipaddress
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import QueryDict

from algotrendy.history.changes import differences
from algotrendy.permissions import ROLES
from brokers.models import Desk
from market.models import Instrument
from webhooks.addresses import TRADINGVIEW_ADDRESSES
from webhooks.models import ApiKey, Source

MIN_SECRET = 12


class DeskForm(forms.Form):
    """Base of plain forms: no colon after labels."""

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, object] | None = None) -> None:
        super().__init__(data, initial=initial, label_suffix="")


class SourceForm(forms.ModelForm[Source]):
    """What can be set of a source, without its secrets."""

    networks = forms.CharField(
        required=False,
        label="Allowed addresses",
        widget=forms.Textarea(attrs={"rows": 3, "class": "code", "spellcheck": "false"}),
        help_text="One address or network a line; empty lets any address in. TradingView sends from "
        + ", ".join(TRADINGVIEW_ADDRESSES)
        + ".",
    )

    class Meta:
        model = Source
        fields = (
            "name",
            "connection",
            "policy",
            "sizing",
            "risk_pct",
            "notional",
            "staleness_seconds",
            "allow_short",
            "silence_hours",
        )
        labels = {
            "connection": "Trades on",
            "risk_pct": "Risk per entry, % of equity",
            "notional": "Value per entry",
            "staleness_seconds": "Staleness limit, seconds",
            "allow_short": "May go short",
            "silence_hours": "Warn after this many hours of silence",
        }
        help_texts = {
            "name": "As you would call it: “EMA cross on BTC”.",
            "risk_pct": "Lost if the stop is hit, as % of equity. Used with sizing by risk.",
            "notional": "In the account's currency. Used with sizing by a fixed value.",
            "staleness_seconds": "An older alert may close a position but not open one.",
            "silence_hours": "0: never. TradingView stops an alert that fires too often without telling anybody.",
        }

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        instance: Source | None = None,
        initial: dict[str, object] | None = None,
    ) -> None:
        super().__init__(data, instance=instance, initial=initial, label_suffix="")
        if self.instance.pk:
            self.fields["networks"].initial = "\n".join(self.instance.allowed_networks)

    def clean_networks(self) -> list[str]:
        """Return the networks, or say which line is none."""
        lines = [line.strip() for line in self.cleaned_data["networks"].replace(",", "\n").splitlines()]
        return [_network(line) for line in lines if line]

    def clean_risk_pct(self) -> Decimal:
        """Refuse a risk that can't be meant."""
        value: Decimal = self.cleaned_data["risk_pct"]
        if not 0 < value <= 100:
            raise forms.ValidationError("Between 0 and 100 %.")
        return value

    def clean(self) -> dict[str, object]:
        """Ask for the value where sizing needs one."""
        cleaned = super().clean() or self.cleaned_data
        needs_value = cleaned.get("sizing") == Source.Sizing.NOTIONAL
        if needs_value and not (cleaned.get("notional") or 0) > 0 and "notional" not in self.errors:
            self.add_error("notional", "Sizing by a fixed value needs a value above zero.")
        return cleaned

    def settings(self) -> dict[str, Any]:
        """Return the checked values by the names of the model's fields."""
        values = {name: self.cleaned_data[name] for name in self.Meta.fields}
        return values | {"allowed_networks": self.cleaned_data["networks"]}


def _network(line: str) -> str:
    try:
        return str(ipaddress.ip_network(line, strict=False))
    except ValueError:
        raise forms.ValidationError(f"“{line}” is no IP address or network.") from None


class SecretForm(DeskForm):
    """A secret that every message of a source must carry; empty takes it away."""

    secret = forms.CharField(
        required=False,
        label="Body secret",
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text='Every message must then carry it as "secret". It is removed before anything is stored. '
        "Empty: no secret is asked for.",
    )

    def clean_secret(self) -> str:
        """Refuse a secret that could be guessed."""
        value: str = self.cleaned_data["secret"]
        if value and len(value) < MIN_SECRET:
            raise forms.ValidationError(f"At least {MIN_SECRET} characters.")
        return value


class TestAlertForm(DeskForm):
    """A test alert: for which instrument, and what it asks for."""

    ACTIONS = (
        ("hold", "Nothing (hold): only tests the way in"),
        ("buy", "Buy: trades under the source's policy"),
        ("sell", "Sell: trades under the source's policy"),
        ("close", "Close what is held"),
    )
    symbol = forms.ChoiceField(label="Instrument")
    action = forms.ChoiceField(label="Asks for", choices=ACTIONS)

    def __init__(self, data: QueryDict | None = None, *, initial: dict[str, object] | None = None) -> None:
        super().__init__(data, initial=initial)
        symbols = Instrument.objects.order_by("symbol").values_list("symbol", "symbol")[:500]
        self.fields["symbol"].choices = list(symbols)  # type: ignore[attr-defined]


# What is above this can be meant, but is asked for twice: % of equity, and a count of positions.
UNUSUAL = {
    "max_order_pct": Decimal(25),
    "max_position_pct": Decimal(100),
    "max_open_positions": Decimal(20),
    "max_daily_loss_pct": Decimal(10),
}


class LimitsForm(forms.ModelForm[Desk]):
    """The desk's limits. What is unusually loose must come with the same figures in `confirmed`."""

    confirmed = forms.CharField(required=False, widget=forms.HiddenInput, max_length=100)

    class Meta:
        model = Desk
        fields = ("max_order_pct", "max_position_pct", "max_open_positions", "max_daily_loss_pct")
        labels = {
            "max_order_pct": "Largest order, % of equity",
            "max_position_pct": "Largest position, % of equity",
            "max_open_positions": "Most open positions",
            "max_daily_loss_pct": "Largest loss of a day, % of equity",
        }
        help_texts = {
            "max_order_pct": "A larger order is cut down to this.",
            "max_position_pct": "Of one instrument, all orders together.",
            "max_open_positions": "A further instrument is refused.",
            "max_daily_loss_pct": "Since 00:00 UTC. Then nothing is opened until the next day.",
        }

    def __init__(self, data: QueryDict | None = None, *, instance: Desk) -> None:
        super().__init__(data, instance=instance, label_suffix="")
        for name in ("max_order_pct", "max_position_pct", "max_daily_loss_pct"):
            self.fields[name].widget.attrs |= {"min": "0.01", "step": "0.01"}
        self._before = {name: getattr(instance, name) for name in self.Meta.fields}

    @property
    def changed(self) -> str:
        """What a valid form changes, in words; empty if nothing."""
        return differences(self._before, self.cleaned_data, self.Meta.labels)

    @property
    def unusual(self) -> list[tuple[str, str, str]]:
        """What a valid form loosens beyond what is usual: the limit, its new figure, and what is usual."""
        values = self.cleaned_data
        return [
            (self.Meta.labels[name], f"{values[name].normalize():f}" if name != "max_open_positions" else
             str(values[name]), f"{most:f}")
            for name, most in UNUSUAL.items()
            if values[name] > most and values[name] != self._before[name]
        ]  # fmt: skip

    @property
    def figures(self) -> str:
        """The figures of a valid form: what a confirmation is for."""
        return " ".join(str(self.cleaned_data[name]) for name in self.Meta.fields)

    @property
    def needs_confirmation(self) -> bool:
        """Whether a valid form loosens a limit beyond what is usual and nobody has said twice that it shall."""
        return bool(self.unusual) and self.cleaned_data["confirmed"] != self.figures

    def clean(self) -> dict[str, object]:
        """Refuse limits that are none."""
        cleaned = super().clean() or self.cleaned_data
        for name in ("max_order_pct", "max_position_pct", "max_daily_loss_pct"):
            if name in cleaned and cleaned[name] <= 0:
                self.add_error(name, "Above zero. To stop all entries, set the desk to exits only or halt it.")
        if cleaned.get("max_daily_loss_pct", 0) > 100:
            self.add_error("max_daily_loss_pct", "At most 100 %.")
        if cleaned.get("max_open_positions") == 0:
            self.add_error("max_open_positions", "At least 1. To stop all entries, halt the desk.")
        return cleaned


class KeyForm(DeskForm):
    """A key of the JSON API."""

    name = forms.CharField(max_length=80, help_text="Who or what will use it.")
    scope = forms.ChoiceField(
        choices=ApiKey.Scope.choices,
        help_text="Read sees everything; trade also acts; admin also changes the desk.",
    )

    def clean_name(self) -> str:
        """Keep names apart, so that a key can be recognised in the log."""
        name: str = self.cleaned_data["name"].strip()
        if ApiKey.objects.filter(name=name).exists():
            raise forms.ValidationError("There is a key of this name already.")
        return name


class PersonForm(DeskForm):
    """Somebody who shall be able to sign in."""

    username = forms.CharField(max_length=150, validators=[User.username_validator])
    role = forms.ChoiceField(
        choices=[(role.group, role.group.capitalize()) for role in ROLES],
        help_text="Viewers see everything but keys. Traders also halt, close and replay. Admins do everything.",
    )

    def clean_username(self) -> str:
        """Refuse a name that is taken, whatever its capitals."""
        name: str = self.cleaned_data["username"].strip()
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError("There is somebody of this name already.")
        return name
