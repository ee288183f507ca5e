"""What the admin refuses in a connection: settings that its venue could not use."""

from typing import Any

from django import forms

from brokers.contract import BrokerError
from brokers.models import Connection
from brokers.venues import registry


class ConnectionForm(forms.ModelForm[Connection]):
    """A connection whose venue exists and can use its settings: a refusal here costs nothing, later it does."""

    class Meta:
        model = Connection
        fields = ("name", "venue", "mode", "enabled", "settings", "starting_equity", "currency")

    def clean_venue(self) -> str:
        """Refuse a venue that nobody has written."""
        venue: str = self.cleaned_data["venue"]
        if venue not in registry.VENUES:
            raise forms.ValidationError(
                f"There is no such venue. Known are: {', '.join(sorted(registry.VENUES))}."
            )
        return venue

    def clean(self) -> dict[str, Any]:
        """Refuse settings that the venue does not know, or can't use."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("settings", {}) is None:
            values["settings"] = {}  # the field was emptied
        known = "settings" in values and "venue" in values
        if known and (objection := _objection(values["venue"], values["settings"])):
            self.add_error("settings", objection)
        return values


def _objection(venue: str, settings: object) -> str:
    """Return what is wrong with the settings of a connection in words; empty if they can be used."""
    if not isinstance(settings, dict):
        return 'Write names with values, such as {} or {"fee_bps": 5}.'
    try:
        adapter = registry.adapter(Connection(venue=venue, settings=settings))
    except BrokerError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    if unknown := sorted(set(settings) - adapter.setting_names):
        known = ", ".join(sorted(adapter.setting_names)) or "none"
        return f"Unknown: {', '.join(unknown)}. This venue knows: {known}."
    return ""
