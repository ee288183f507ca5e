"""A desk of its own for a measurement: real processes in a throw-away folder, and a look into its database."""

import contextlib
import http.client
import json
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import TupleRow

from algotrendy import paths
from algotrendy.testing import Desk, running_desk, wait_until
from benchmarks._load import NUMBER

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT")
SIGN_IN = """
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.filter(is_superuser=True).first())
print(client.cookies["sessionid"].value)
"""
WATCHERS = """
from django.contrib.auth.models import User
from django.test import Client
for number in range({count}):
    client = Client()
    client.force_login(User.objects.create_superuser(f"watcher-{{number}}"))
    print("cookie", client.cookies["sessionid"].value)
"""


@dataclass
class Bench:
    """A running desk and a connection to its database that survives restarts of the server."""

    desk: Desk
    _connection: psycopg.Connection[TupleRow] | None = field(default=None, repr=False)

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[TupleRow]:
        """Return the rows of `query` (a statement without rows: none), committed at once."""
        for attempt in (1, 2):
            try:
                cursor = self._connected().execute(query, parameters)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def value(self, query: str, parameters: Sequence[object] = ()) -> object:
        """Return the only value of the only row of `query`."""
        return self.rows(query, parameters)[0][0]

    def close(self) -> None:
        """Close the connection; the next query opens another."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.desk.data)
        return self._connection

    def source(self, name: str, policy: str = "follow", notional: int = 500) -> str:
        """Make a source that orders a fixed value and return its webhook's URL."""
        sizing = ("--sizing", "notional", "--notional", str(notional), "--staleness", "3600")
        source = json.loads(self.desk.manage("create_source", name, "--policy", policy, *sizing, "--json"))
        url: str = source["url"]
        return self.desk.url + urlsplit(url).path

    def session(self) -> str:
        """Return the session cookie of the first administrator, signed in."""
        return self.desk.manage("shell", "-v", "0", "-c", SIGN_IN).split()[-1]

    def watchers(self, count: int) -> list[str]:
        """Return the session cookies of `count` new people, signed in: one person's sockets are limited."""
        output = self.desk.manage("shell", "-v", "0", "-c", WATCHERS.format(count=count))
        return [line.removeprefix("cookie ") for line in output.splitlines() if line.startswith("cookie ")]

    def wait_for_prices(self, seconds: float = 60) -> None:
        """Return once every instrument has a price and enough closed candles to tell its volatility."""
        query = """
            SELECT count(*) FROM market_instrument i JOIN market_quote q ON q.instrument_id = i.id
            WHERE i.symbol = ANY(%s)
        """
        wait_until(lambda: self.value(query, [list(SYMBOLS)]) == len(SYMBOLS), seconds, "prices")

    def wait_until_decided(self, seconds: float = 120) -> None:
        """Return once no alert waits for its decision."""
        query = "SELECT count(*) FROM webhooks_alert WHERE state = 'received'"
        wait_until(lambda: self.value(query) == 0, seconds, "the inbox to be empty")

    def wait_until_settled(self, seconds: float = 120) -> None:
        """Return once no alert waits and no order is on its way (stops and targets may rest at the venue)."""
        self.wait_until_decided(seconds)
        query = """
            SELECT count(*) FROM brokers_order WHERE role IN ('entry', 'exit')
            AND state NOT IN ('filled', 'canceled', 'rejected', 'expired', 'denied')
        """
        wait_until(lambda: self.value(query) == 0, seconds, "all orders to have ended")

    @contextlib.contextmanager
    def paused(self, *names: str) -> Iterator[None]:
        """Hold the processes `names`, with all their children, until the block ends."""
        groups = [self.desk.pid(name) for name in names]
        try:
            for group in groups:
                os.killpg(group, signal.SIGSTOP)
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)


def connect(data: Path) -> psycopg.Connection[TupleRow]:
    """Return a connection of its own to the database below `data`, each statement committed at once."""
    host = str(paths.socket_dir(data))
    return psycopg.connect(host=host, user="postgres", dbname="algotrendy", autocommit=True, connect_timeout=5)


@contextlib.contextmanager
def fresh_desk(*, clean: bool = True) -> Iterator[Bench]:
    """Run a new desk in a temporary folder until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as folder,
        running_desk(Path(folder).resolve() / "var", clean=clean) as desk,
    ):
        bench = Bench(desk)
        try:
            yield bench
        finally:
            bench.close()


def alternating_bodies(prefix: str) -> tuple[str, ...]:
    """Return bodies for the load generator: each symbol goes long, then flat, so that every alert may trade."""
    return tuple(
        json.dumps({"id": f"{prefix}-{NUMBER}", "symbol": symbol, "action": action, "source": "bench"})
        for action in ("long", "flat")
        for symbol in SYMBOLS
    )


def post(url: str, body: str | bytes, timeout: float = 10.0) -> tuple[int, dict[str, int | str]]:
    """Post one alert and return status and answer. Raises OSError or HTTPException if there was none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}
    finally:
        connection.close()
