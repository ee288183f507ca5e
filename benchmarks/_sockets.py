"""Open pages without a browser: live sockets that read all they are sent, in a process of their own.

`python -m benchmarks._sockets URL COOKIE COUNT`: prints "ready" once all are open; a line on standard input ends
it, and it prints how many messages each socket got.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import ClientConnection, connect


async def main(url: str, cookie: str, count: int) -> None:
    """Open the sockets, read until told to stop, print the counts."""
    host = url.split("/")[2]
    headers = {"Cookie": f"sessionid={cookie}"}
    sockets = [await connect(url, additional_headers=headers, origin=f"http://{host}") for _ in range(count)]  # type: ignore[arg-type]
    counts = [0] * count
    readers = [asyncio.ensure_future(_read(socket, counts, index)) for index, socket in enumerate(sockets)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    broken = sum(reader.done() for reader in readers)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*[socket.close() for socket in sockets])
    print(json.dumps({"messages": counts, "broken": broken}), flush=True)


async def _read(socket: ClientConnection, counts: list[int], index: int) -> None:
    async for _ in socket:
        counts[index] += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
