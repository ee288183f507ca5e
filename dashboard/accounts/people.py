"""Accounts: made with a role, and who may open whose."""

from django.contrib.auth.models import Group, User
from django.db import transaction

from algotrendy.permissions import Role, role_of


@transaction.atomic
def create_person(username: str, role: str) -> User:
    """Make an account without a password: its owner comes in by a one-time link."""
    user = User(username=username, is_staff=role == Role.ADMIN.group)
    user.set_unusable_password()
    user.save()
    user.groups.add(Group.objects.get(name=role))
    return user


def may_sign_in_as(person: User, other: User) -> bool:
    """Return whether `person` may have a link that signs in `other`: nobody gets above their own role that way."""
    return role_of(other) <= role_of(person) and (person.is_superuser or not other.is_superuser)
