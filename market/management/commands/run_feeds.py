"""`manage.py run_feeds`: the feed process."""

import signal

from django.core.management.base import BaseCommand

from market.feeds.runner import Runner


class Command(BaseCommand):
    help = "Run all enabled feeds until stopped. A second one waits as a stand-by."
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        """Run until SIGTERM or SIGINT."""
        runner = Runner()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        runner.run()
