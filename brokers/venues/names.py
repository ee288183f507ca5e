"""What a connection's row says about its venue: the venue's name, and whether its account has real money.

Plain values below the models, so that models and registry need not import each other.
"""

from typing import Final

from django.db import models

#: The venue of a connection that names none; the registry knows its adapter.
DEFAULT_VENUE: Final = "paper"


class AccountMode(models.TextChoices):
    """Whether orders of an account move real money. Any venue may have accounts of both modes."""

    PAPER = "paper", "Paper"
    LIVE = "live", "Live"
