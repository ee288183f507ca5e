"""What the dashboard announces, after commit: hints for its own pages. Receivers must be quick."""

from django.dispatch import Signal

# The demo and all that it left are gone.
demo_removed = Signal()
# The books were compared with every venue's.
books_compared = Signal()
