"""The desk as a whole: the order of its start, its end, and what the person at the terminal sees."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from algotrendy.embedded.child import die_with_parent
from algotrendy.embedded.postgres import Postgres
from algotrendy.embedded.service import Service, private_folder
from algotrendy.embedded.valkey import Valkey
from algotrendy.supervisor import processes
from algotrendy.supervisor.child import Child
from algotrendy.supervisor.launching import Launch, Preloader, Spec, execute
from algotrendy.supervisor.output import Output
from algotrendy.supervisor.room import Room

STEPS = 5
SERVICE_SECONDS = 120.0  # recovery after a crash may replay a gigabyte of log
READY_SECONDS = 120.0
TRIES = 8  # starts of one process, unless the disk is full


class CannotStart(Exception):
    """The desk cannot start; the text says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket for web, or raise CannotStart.

    The supervisor holds it so that callers who come while web restarts wait instead of being refused.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host.strip("[]"), port))
    except OSError as error:
        server.close()
        raise CannotStart(
            f"port {port} of {host} cannot be used ({error.strerror}): choose another with --port N"
        ) from None
    server.listen(2048)
    return server


class Desk:
    """All children of one supervisor."""

    def __init__(self, options: processes.Options, output: Output) -> None:
        self.options = options
        self.output = output
        self.run_folder = options.data / "run"
        self.services: list[Child] = []
        self.children: list[Child] = []
        self.preloader = Preloader() if sys.platform == "linux" else None
        self.step = 0
        self.room = Room(options.data, output)
        self.watching: asyncio.Task[None] | None = None

    async def start(self, listening: socket.socket) -> None:
        """Start everything in order and return when `/readyz` answers 200. Raises CannotStart.

        A full disk is no reason to give up: the start waits until there is room, at its beginning and in between.
        """
        await self.room.wait()
        self.watching = asyncio.create_task(self.room.watch(), name="room")
        async with self._announced("Data folder and secrets"):
            self._prepare_folder()
            launch = self._launch()
        async with self._announced("PostgreSQL and Valkey"):
            await asyncio.gather(*[self._start_service(service) for service in self._embedded()])
        async with self._announced("Tables, first user and demo"):
            link = await self._prepare_database()
        async with self._announced("Web, workers, beat and feeds"):
            for spec in processes.desk(self.options, listening.fileno()):
                self.children.append(self._started(spec, launch))
        async with self._announced("First answer"):
            await self._until(self._answers, READY_SECONDS, "the desk", self.children[0])
        self._greet(link)

    async def stop(self) -> None:
        """Stop web and workers first, then what forked them, Valkey, and PostgreSQL."""
        self.output.show("\nStopping …")
        if self.watching:
            self.watching.cancel()
        await self._stop(*self.children)
        for child in reversed(self.services):
            await self._stop(child)
        if self.preloader:
            self.preloader.close()

    async def _stop(self, *children: Child) -> None:
        """Stop `children` together; one that cannot be stopped keeps none of the others running."""
        ends = await asyncio.gather(*[child.stop() for child in children], return_exceptions=True)
        for child, end in zip(children, ends, strict=True):
            if isinstance(end, BaseException):
                self.output.line(child.spec.name, f"could not be stopped in order: {end!r}")
                child.kill()

    def kill(self) -> None:
        """End every child at once: the person asked a second time."""
        for child in (*self.children, *self.services):
            child.kill()

    def _prepare_folder(self) -> None:
        from algotrendy import secrets

        secrets.load_or_create(self.options.data)

    def _embedded(self) -> Iterable[Service]:
        """Return the services to run, PostgreSQL first (it is stopped last)."""
        if not os.environ.get("DATABASE_URL"):
            yield Postgres(self.options.data)
        if not os.environ.get("REDIS_URL"):
            yield Valkey(self.options.data)

    def _launch(self) -> Launch:
        """Return what starts the desk's own processes: a preloader, which imports while the rest starts."""
        if self.preloader is None:
            return execute
        self.services.append(self._started(processes.preloader(self.options, self.preloader)))
        return self.preloader.fork

    def _started(self, spec: Spec, launch: Launch = execute) -> Child:
        child = Child(spec, self.output, self.run_folder, launch)
        child.start()
        return child

    async def _start_service(self, service: Service) -> None:
        await asyncio.to_thread(service.prepare)
        child = self._started(processes.service(service))
        self.services.append(child)

        async def ready() -> bool:
            return await asyncio.to_thread(service.is_ready)

        await self._until(ready, SERVICE_SECONDS, service.name, child)
        await asyncio.to_thread(service.after_ready)

    async def _until(
        self, condition: Callable[[], Awaitable[bool]], seconds: float, what: str, child: Child
    ) -> None:
        deadline, tries = time.monotonic() + seconds, child.starts + TRIES
        while not (child.running and await condition()):
            if time.monotonic() > deadline or child.starts > tries:
                if not (await self.room.look()).full:
                    raise CannotStart(f"{what} did not start; the lines above and {self.output.log} say why")
                await self.room.wait()
                deadline, tries = time.monotonic() + seconds, child.starts + TRIES
            await asyncio.sleep(0.05)

    async def _prepare_database(self) -> str | None:
        """Run migrations and the first-start preparation as a process of its own; return a sign-in link."""
        code, result = await self._run_prepare()
        while code != 0:
            if not (await self.room.look()).full:
                raise CannotStart(f"the database could not be prepared (exit code {code})")
            await self.room.wait()
            code, result = await self._run_prepare()
        answer: dict[str, str | None] = json.loads(result.splitlines()[-1])
        return answer["sign_in_link"]

    async def _run_prepare(self) -> tuple[int | None, str]:
        """Return the exit code and the standard output of `./mem prepare`."""
        arguments = [processes.MANAGE, "prepare", *(["--clean"] if self.options.clean else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            env=processes.environment(self.options, "command"), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent(), start_new_session=True,
        )  # fmt: skip
        try:
            result, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        for line in errors.decode(errors="replace").splitlines():
            self.output.line("prepare", line)
        return process.returncode, result.decode()

    async def _answers(self) -> bool:
        """Ask `/readyz` once."""
        host = (os.environ.get("ALGOTRENDY_HOSTS") or "localhost").split(",")[0].lstrip(".").strip()
        request = f"GET /readyz HTTP/1.1\r\nHost: {host.replace('*', 'localhost')}\r\nConnection: close\r\n\r\n"
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(self.options.address, self.options.port)
                with contextlib.closing(writer):
                    writer.write(request.encode())
                    return b" 200 " in await reader.readline()
        except (OSError, TimeoutError):
            return False

    @contextlib.asynccontextmanager
    async def _announced(self, title: str) -> AsyncIterator[None]:
        """Show a numbered step, its running time on a terminal, and its end."""
        self.step += 1
        label, began = f"[{self.step}/{STEPS}] {title}", time.monotonic()
        ticking = asyncio.create_task(self._tick(label)) if self.output.stream.isatty() else None
        try:
            yield
        finally:
            if ticking:
                ticking.cancel()
        start = "\r\x1b[K" if ticking else ""
        self.output.show(f"{start}{label} … {time.monotonic() - began:.1f} s")

    async def _tick(self, label: str) -> None:
        began = time.monotonic()
        while True:
            self.output.show(f"\r\x1b[K{label} … {time.monotonic() - began:.0f} s", end="")
            await asyncio.sleep(1)

    def _greet(self, link: str | None) -> None:
        self.output.show(f"\nThe desk runs at {self.options.url} (Ctrl-C stops it)")
        if link:
            self.output.show(f"Sign in once with this link, and choose a password there:\n\n  {link}\n")
        if self.options.host not in ("127.0.0.1", "localhost", "::1") and "ALGOTRENDY_HOSTS" not in os.environ:
            self.output.show("Set ALGOTRENDY_HOSTS to the names by which browsers reach it, separated by commas.")


def make_folders(options: processes.Options) -> None:
    """Make the folders of lock, pid files, log and collected files, readable by their owner only."""
    for folder in (options.data, *(options.data / name for name in ("run", "log", "static"))):
        private_folder(folder)
