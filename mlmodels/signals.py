"""What models announce upwards, after commit. Receivers must be quick."""

from django.dispatch import Signal

# run_id: int. A training run moved: state, step, progress or log.
training_changed = Signal()
# family: str. A version was made, promoted, rolled back, retired or judged.
registry_changed = Signal()
# family: str, open_time: datetime (market), instrument_ids: list[int]. New predictions are stored.
predicted = Signal()
# proof_id: int. A run of the honesty suite moved.
proof_changed = Signal()
