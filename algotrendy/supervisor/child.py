"""One supervised process: its output, its pid file, its restarts and its end."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from algotrendy.supervisor.launching import Launch, Process, Spec, execute
from algotrendy.supervisor.output import Output

FIRST_DELAY = 0.2  # seconds
LONGEST_DELAY = 10.0
HEALTHY_AFTER = 10.0  # a child that lived this long starts again without delay
PID_FILE_SECONDS = 1.0  # until a pid file that the disk did not take is tried again


class Child:
    """Keeps one process running until `stop`.

    Its output comes through one pipe that outlives restarts: waiting for the process must not wait for
    grandchildren that still hold the pipe.
    """

    def __init__(self, spec: Spec, output: Output, run_folder: Path, launch: Launch = execute) -> None:
        self.spec = spec
        self.launch = launch
        self.output = output
        self.pid_file = run_folder / f"{spec.name}.pid"
        self.process: Process | None = None
        self.launching: asyncio.Future[Process] | None = None
        self.starts = 0
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.delay = FIRST_DELAY
        self._partial = b""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        asyncio.get_running_loop().add_reader(self._reading, self._read)

    def start(self) -> None:
        """Begin to keep the process running."""
        self.task = asyncio.create_task(self._keep_running(), name=self.spec.name)

    async def stop(self) -> None:
        """Ask the process to end, wait `stop_seconds`, then kill what is left of its group."""
        self.stopping.set()
        if self.task:
            try:
                await asyncio.wait_for(asyncio.shield(self.task), self._ask_to_end())
            except TimeoutError:
                self.output.line(self.spec.name, f"did not end in {self.spec.stop_seconds:g} s and was killed")
                self.kill()
                await self.task
        self._close()

    def kill(self) -> None:
        """End the process and its group at once."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    @property
    def running(self) -> bool:
        """Whether the process is alive now."""
        return self.process is not None and self.process.returncode is None

    def _ask_to_end(self) -> float:
        if self.process and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.spec.stop_signal)
        elif self.launching:
            self.launching.cancel()  # it may wait for a preloader that will not come
        return self.spec.stop_seconds

    async def _keep_running(self) -> None:
        """Run the process again and again. Nothing but `stop` ends this loop: who else would start it?"""
        loop = asyncio.get_running_loop()
        while not self.stopping.is_set():
            began = loop.time()
            try:
                ending = await self._run_once()
            except Exception as error:  # a full disk, a lack of memory or descriptors: they pass
                ending = f"could not be run: {error}"
            if self.stopping.is_set():
                break
            if loop.time() - began > HEALTHY_AFTER:
                self.delay = FIRST_DELAY
            self.output.line(self.spec.name, f"{ending}; starting again in {self.delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), self.delay)
            self.delay = longer(self.delay)

    async def _run_once(self) -> str:
        """Run the process to its end and return how it ended, in words."""
        try:
            process = await self._begin()
        except Exception as error:  # whatever keeps a child from starting must not end the desk
            return f"could not start: {error}"
        if process is None:
            return "was stopped"
        try:
            return describe(await self._follow(process))
        finally:
            self.kill()  # grandchildren that outlived it, and the process itself if it was lost sight of
            with contextlib.suppress(OSError):
                self.pid_file.unlink(missing_ok=True)

    async def _begin(self) -> Process | None:
        """Start the process; None when it was asked to end before it was there."""
        if self.spec.before:
            await asyncio.to_thread(self.spec.before)
        if self.stopping.is_set():
            return None
        self.launching = asyncio.ensure_future(self.launch(self.spec, self._writing))
        try:
            self.process = await self.launching
        except asyncio.CancelledError:
            if not self.stopping.is_set():
                raise
            return None
        self.starts += 1
        return self.process

    async def _follow(self, process: Process) -> int:
        """Return the exit code of `process`, once it has ended."""
        began = time.time()
        with contextlib.suppress(OSError):  # it ended at once
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, own + self.spec.niceness)
        if self.stopping.is_set():  # asked to end while it was being started
            self._ask_to_end()
        while not self._write_pid_file(process.pid, began):
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(process.wait(), PID_FILE_SECONDS)
        return await process.wait()

    def _write_pid_file(self, pid: int, began: float) -> bool:
        """Write who runs, as of its start, and return whether the disk took it."""
        try:
            self.pid_file.write_text(f"{pid}\n")
            os.utime(self.pid_file, (began, began))
        except OSError:
            return False
        return True

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._reading, 65536)
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            if len(self._partial) > 65536:
                lines, self._partial = [*lines, self._partial], b""
            for line in lines:
                self._show(line)

    def _show(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.output.line(self.spec.name, text, shown=self.spec.shows(text))

    def _close(self) -> None:
        if self._reading < 0:
            return
        self._read()
        self._show(self._partial)
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self._writing)
        self._reading = self._writing = -1


def longer(delay: float) -> float:
    """Return the delay after `delay`, in seconds."""
    return min(delay * 2, LONGEST_DELAY)


def describe(code: int) -> str:
    """Return in words how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
