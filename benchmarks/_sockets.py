"""Open pages without a browser: live sockets that read all they are sent, in a process of their own.

`python -m benchmarks._sockets URL COUNT COOKIE…`: shares the sockets among the people of the cookies and prints
"ready" once all are open; a line on standard input ends it, and it prints how many messages each socket got.
"""

import asyncio
import json
import sys
from collections.abc import Sequence

from websockets.asyncio.client import ClientConnection, connect


async def main(url: str, count: int, cookies: Sequence[str]) -> None:
    """Open the sockets, read until told to stop, print the counts."""
    sockets = [await _open(url, cookies[number % len(cookies)]) for number in range(count)]
    counts = [0] * count
    readers = [asyncio.ensure_future(_read(socket, counts, index)) for index, socket in enumerate(sockets)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    broken = sum(reader.done() for reader in readers)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*[socket.close() for socket in sockets])
    print(json.dumps({"messages": counts, "broken": broken}), flush=True)


async def _open(url: str, cookie: str) -> ClientConnection:
    origin = f"http://{url.split('/')[2]}"
    return await connect(url, additional_headers={"Cookie": f"sessionid={cookie}"}, origin=origin)  # type: ignore[arg-type]


async def _read(socket: ClientConnection, counts: list[int], index: int) -> None:
    async for _ in socket:
        counts[index] += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
