"""What is announced of failed rows, after commit: a hint for the page Health. Receivers must be quick."""

from django.dispatch import Signal

# A row began to fail, failed in another way, or is well again.
failures_changed = Signal()
