"""`python -m algotrendy.supervisor`: what `./mem up` becomes after reading its options."""

import argparse
import asyncio
import os
import signal
import socket
import sys

from algotrendy import paths
from algotrendy.serving.descriptors import raise_limit
from algotrendy.supervisor import desk, disk, lock
from algotrendy.supervisor.output import Output
from algotrendy.supervisor.processes import Options


def main() -> int:
    """Run a desk until it is told to stop, and return the exit code."""
    options = _options()
    raise_limit()  # its children inherit it
    try:
        desk.make_folders(options)
        held = lock.take(options.data / "run", options.url)
        left = lock.end_leftovers(options.data / "run")  # before listening: a leftover web still holds the port
        listening = desk.listen(options.host, options.port)
    except (lock.AlreadyRunning, desk.CannotStart) as refusal:
        print(f"AlgoTrendy: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        room = disk.space(options.data)
        print(f"AlgoTrendy: {error}\n{room.text}. {room.advice}".strip(), file=sys.stderr)  # noqa: T201
        return 2
    output = Output(sys.stdout, options.data / "log" / "desk.log")
    for name in left:
        output.line("desk", f"{name} was left by a desk that was killed: ended it")
    with held, listening:
        try:
            return asyncio.run(_run(options, output, listening))
        finally:
            output.close()


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="./mem up")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--clean", action="store_true")
    chosen = parser.parse_args()
    return Options(chosen.host, chosen.port, chosen.clean, paths.data_dir())


async def _run(options: Options, output: Output, listening: socket.socket) -> int:
    whole = desk.Desk(options, output)
    stop_requested = asyncio.Event()
    _listen_to_signals(stop_requested, whole)
    starting = asyncio.create_task(whole.start(listening))
    waiting = asyncio.create_task(stop_requested.wait())
    code = 0
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await waiting
    except Exception as error:
        if not isinstance(error, desk.CannotStart | RuntimeError | OSError):
            raise
        output.line("desk", str(error))
        code = 1
    finally:
        starting.cancel()
        waiting.cancel()
        listening.close()  # callers are refused from now on instead of waiting for a web that will not come
        await whole.stop()
    return code


def _listen_to_signals(stop_requested: asyncio.Event, whole: desk.Desk) -> None:
    """The first signal stops the desk in order, a second one at once."""

    def stop() -> None:
        if stop_requested.is_set():
            whole.kill()
        stop_requested.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
