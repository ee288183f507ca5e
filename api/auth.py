"""Keys of the API: which key came, and what it may do."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone
from ninja.errors import HttpError
from ninja.security import HttpBearer

from webhooks import keys
from webhooks.models import ApiKey

ORDER = (ApiKey.Scope.READ, ApiKey.Scope.TRADE, ApiKey.Scope.ADMIN)
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Key:
    """The key behind a request."""

    name: str
    scope: str


class Scoped(HttpBearer):
    """Lets keys of a scope, or a wider one, through. 401 for no or a dead key, 403 for too narrow a one."""

    def __init__(self, scope: ApiKey.Scope) -> None:
        super().__init__()
        self.needed = scope

    def authenticate(self, request: HttpRequest, token: str) -> Key | None:
        """Return the key, or None if there is no such key."""
        row = ApiKey.objects.filter(key_hash=keys.digest(token), revoked_at=None).first()
        if row is None:
            return None
        if ORDER.index(ApiKey.Scope(row.scope)) < ORDER.index(self.needed):
            raise HttpError(403, f"This key may only {row.scope}; the scope {self.needed} is needed.")
        _note_use(row)
        return Key(row.name, row.scope)


def _note_use(row: ApiKey) -> None:
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > NOTED_EVERY:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)


read, trade, admin = (Scoped(scope) for scope in ORDER)
