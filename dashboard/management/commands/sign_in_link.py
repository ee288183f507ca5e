"""`./mem sign_in_link [USERNAME]`: print a link that signs somebody in once."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard.accounts import sign_in


class Command(BaseCommand):
    help = "Print a link that signs a user in once, within 24 hours. Whoever can run this owns the desk anyway."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user's name and the address under which the desk is reached."""
        parser.add_argument("username", nargs="?", default=sign_in.FIRST_ADMIN)
        parser.add_argument("--url", help="Address of the desk, when it is not the configured one.")
        parser.add_argument(
            "--reset-second-factor",
            action="store_true",
            help="Also remove the user's authenticator app, passkeys and recovery codes.",
        )

    def handle(self, *args: object, **options: Any) -> None:
        """Print the link alone, so that scripts can read it."""
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            names = ", ".join(User.objects.filter(is_active=True).values_list("username", flat=True)[:20])
            raise CommandError(f"There is no active user {options['username']!r}. There are: {names or 'none'}.")
        if options["reset_second_factor"]:
            Authenticator.objects.filter(user=user).delete()
        self.stdout.write(sign_in.link_for(user, options["url"]))
