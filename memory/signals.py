"""What memory announces upwards, after commit. Receivers must be quick."""

from django.dispatch import Signal

# decision_id: int
decided = Signal()
# instrument_id: int, decision_ids: list[int]
outcomes_resolved = Signal()
