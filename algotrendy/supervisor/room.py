"""Watches the room on the disk, and says when it runs out, how much is left, what to do, and when it is back."""

import asyncio
from pathlib import Path

from algotrendy.supervisor import disk
from algotrendy.supervisor.disk import Space
from algotrendy.supervisor.output import Output

SECONDS = 10.0  # between two looks
WAIT_SECONDS = 1.0  # between two looks while the start waits for room


class Room:
    """The room for one data folder, as it was last seen."""

    def __init__(self, data: Path, output: Output) -> None:
        self.data = data
        self.output = output
        self.last: Space | None = None

    async def watch(self) -> None:
        """Look every few seconds, until canceled; whatever a look raises is the next look's."""
        while True:
            try:
                await self.look()
            except Exception as error:
                self.output.line("desk", f"the room on the disk could not be looked at: {error}")
            await asyncio.sleep(SECONDS)

    async def look(self) -> Space:
        """Return the room now; a change of what it means is said once."""
        now = await asyncio.to_thread(disk.space, self.data)
        before, self.last = self.last, now
        if _meaning(now) != (_meaning(before) if before else (False, False, 0)):
            self.output.line(
                "desk", f"{now.text}. {now.advice}" if now.low else f"there is room again: {now.text}"
            )
        return now

    async def wait(self) -> None:
        """Return once there is room."""
        while (await self.look()).full:
            await asyncio.sleep(WAIT_SECONDS)


def _meaning(space: Space) -> tuple[bool, bool, int]:
    return space.low, space.full, space.error
