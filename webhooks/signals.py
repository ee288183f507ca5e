"""What the webhooks announce, after commit. Receivers must be quick: send a hint, nudge a worker."""

from django.dispatch import Signal

# alert_id: int, state: str. `received` is sent by the door's process, once per batch with its newest alert;
# the other states by the worker that decided, once per alert.
alert_changed = Signal()
