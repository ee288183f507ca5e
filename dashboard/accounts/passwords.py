"""Forms that set a password and save nothing else of the account: it may have been switched off meanwhile."""

from django.contrib.auth.forms import AdminPasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User


class _PasswordOnly:
    """The part of both forms below that saves."""

    def set_password_and_save(self, user: User, *field: str, commit: bool = True) -> User:
        """Set the password as the form asks, and save that column."""
        super().set_password_and_save(user, *field, commit=False)  # type: ignore[misc]
        if commit:
            user.save(update_fields=["password"])
        return user


class OwnPassword(_PasswordOnly, SetPasswordForm):  # type: ignore[misc, type-arg]
    """Somebody who came by a link chooses a password."""


class PasswordOfAnother(_PasswordOnly, AdminPasswordChangeForm):  # type: ignore[type-arg]
    """An admin sets somebody's password, or takes it away."""
