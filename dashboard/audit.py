"""Writing down who changed what: in Django's own log, so that pages and admin tell one history."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model


def note(by: AbstractBaseUser | None, subject: Model, text: str) -> None:
    """Write down that a person did something to `subject`. Never pass secrets in `text`."""
    if by is None or by.pk is None:
        return
    LogEntry.objects.create(
        user_id=by.pk,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=str(subject.pk),
        object_repr=str(subject)[:200],
        action_flag=CHANGE,
        change_message=text,
    )


def changes(before: dict[str, object], after: dict[str, object]) -> str:
    """Return what differs in words: "max_order_pct 5 → 7, …"; empty if nothing does."""
    return ", ".join(
        f"{name} {_text(old)} → {_text(after[name])}" for name, old in before.items() if old != after[name]
    )


def _text(value: object) -> str:
    return f"{value.normalize():f}" if hasattr(value, "normalize") else str(value)
