"""People: no open sign-up, and a one-time link where there is no password yet."""

import unicodedata
from datetime import timedelta

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.auth.models import User
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from dashboard.accounts.seal import seal
from webhooks import addresses

FACTORS = "dashboard.accounts.SealedFactors"  # what is sealed with it is lost under another name
LINK_LIFETIME = timedelta(hours=24)
FIRST_ADMIN = "admin"
QUIET_MESSAGES = ("logged_in.txt", "logged_out.txt")


class ClosedSignupAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by an admin, never by a visitor."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: a desk is not a public place."""
        return False

    def add_message(self, request: HttpRequest, level: int, *args: object, **kwargs: object) -> None:
        """Keep quiet about signing in and out: the page itself shows it."""
        template = str(kwargs.get("message_template") or (args[0] if args else ""))
        if not template.endswith(QUIET_MESSAGES):
            super().add_message(request, level, *args, **kwargs)

    def set_password(self, user: User, password: str) -> None:
        """Save the password and nothing else: the account may have been switched off since it was read."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return whose attempts to sign in are counted: the nearest address that is no trusted proxy's."""
        trusted = addresses.networks(tuple(settings.TRUSTED_PROXIES))
        forwarded = request.headers.get("X-Forwarded-For", "")
        address = addresses.sender(request.META.get("REMOTE_ADDR"), [forwarded] if forwarded else [], trusted)
        return str(address or "unknown")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: str) -> str:
        """Return under which name failures are counted: the same for all spellings that find the account.

        allauth puts the Host header in front, of which a stranger chooses the port: a limit for each.
        """
        name = unicodedata.normalize("NFKC", credentials.get("username", ""))
        return f"name:{name.upper().casefold()}"


class SealedFactors(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals the secrets of authenticator apps and recovery codes: a copy of the database opens nothing."""

    def encrypt(self, text: str) -> str:
        """Encrypt with the newest key."""
        return seal(FACTORS).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt with whichever key it was encrypted."""
        return seal(FACTORS).decrypt(encrypted_text.encode()).decode()


def _signer(user: User) -> TimestampSigner:
    """Sign with what changes at the next sign-in or password change, so that the link dies with it."""
    state = f"{user.pk}|{user.password}|{user.last_login and user.last_login.isoformat()}"
    return TimestampSigner(sep=".", salt=f"dashboard.accounts.link|{state}")


def link_for(user: User, base_url: str | None = None) -> str:
    """Return the address of a page that signs `user` in once, within 24 hours."""
    uid, _, token = _signer(user).sign(str(user.pk)).partition(".")
    return (base_url or addresses.public_url()).rstrip("/") + reverse("welcome", args=[uid, token])


def sign_in_link(base_url: str | None = None) -> str | None:
    """Return a one-time link for the first admin, or None once an admin has chosen a password."""
    admins = list(User.objects.filter(is_superuser=True, is_active=True).order_by("pk"))
    if not admins or any(user.has_usable_password() for user in admins):
        return None
    return link_for(admins[0], base_url)


def user_of_link(uid: int, token: str) -> User | None:
    """Return the user whom the link signs in, or None if it is spent, too old or made up."""
    user = User.objects.filter(pk=uid, is_active=True).first()
    if user is None:
        return None
    try:
        _signer(user).unsign(f"{uid}.{token}", max_age=LINK_LIFETIME)
    except BadSignature:
        return None
    return user


def spend_link(user: User) -> bool:
    """Make the link that was checked against `user` useless; False if another request was first."""
    now = timezone.now()
    claim = User.objects.filter(pk=user.pk, password=user.password, last_login=user.last_login)
    user.last_login = now
    return claim.update(last_login=now) == 1
