"""People with their roles, for the settings."""

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from algotrendy.permissions import ROLES, Role


def people() -> list[dict[str, object]]:
    """Return everybody with their role and whether they have a second factor."""
    protected = set(Authenticator.objects.exclude(type="recovery_codes").values_list("user_id", flat=True))
    rows = User.objects.prefetch_related("groups").order_by("username")[:200]
    return [{"user": user, "role": _role(user), "second_factor": user.pk in protected} for user in rows]


def _role(user: User) -> str:
    """Return the role by the groups that were fetched along, whether the account is switched on or not."""
    if user.is_superuser:
        return Role.ADMIN.group
    names = {group.name for group in user.groups.all()}
    return max((role for role in ROLES if role.group in names), default=Role.NONE).group
