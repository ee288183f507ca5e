"""Writing down who changed what. People's changes go to Django's own log, as those of the admin pages do."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from algotrendy.history.models import Change

NOBODY = "on the desk's machine"


def note(by: AbstractBaseUser | str | None, subject: Model, text: str, *, name: str = "") -> None:
    """Write down that `by` did something to `subject`, called `name` (else as it calls itself).

    Call it in the transaction of the change. `by` is a person, else in words who it was; None is whoever has the
    desk's machine: its command line or the desk itself. Never pass secrets in `text`.
    """
    called = (name or str(subject))[:200]
    if by is None or isinstance(by, str) or by.pk is None:
        Change.objects.create(who=(by if isinstance(by, str) else NOBODY)[:150], name=called, text=text)
        return
    LogEntry.objects.create(
        user_id=by.pk,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=str(subject.pk),
        object_repr=called,
        action_flag=CHANGE,
        change_message=text,
    )


def differences(before: dict[str, object], after: dict[str, object], labels: dict[str, str]) -> str:
    """Return what differs in words: "Largest order, % of equity: 5 → 7; …"; empty if nothing does."""
    return "; ".join(
        f"{labels.get(name, name)}: {_text(old)} → {_text(after[name])}"
        for name, old in before.items()
        if old != after[name]
    )


def _text(value: object) -> str:
    return f"{value.normalize():f}" if hasattr(value, "normalize") else str(value)
