"""The workers of an endpoint: who takes whom, and what happens when one of them ends.

The endpoint's own process speaks HTTP, counts, judges and shows. It receives no media: each offer goes to the
worker that has the fewest publishers, whose answer names a port of its own, and all that comes later under the
publisher's resource goes to the same one. A worker whose end nobody wanted costs its publishers their connections;
what was coded is on the disk, and it is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ...background.protocol import encode
from ...errors import AdmissionError, RecordkitError
from ...telemetry.words import count_text
from ...waiting import in_thread
from ..present import Present
from ..readers import unavailable
from .member import Member
from .messages import Word
from .publisher import RemotePublisher

log = logging.getLogger("recordkit.endpoint")

LOOK_S = 1.0
ABSENT_LOOKS = 3
"""One that says nothing in so many looks gets no further publishers,"""
HUNG_LOOKS = 20
"""and in so many it hangs, and is ended: what its publishers send is not recorded anyway."""
RESTART_S, LONGEST_RESTART_S = 0.5, 60.0
"""One that ends soon after its beginning is waited for longer each time, before there is another."""


class Crew:
    """``count`` workers, each of which is told ``begin(number)``, counted from 1.

    ``after_loss`` is called, from a thread, when one has ended that was not to. ``longest_end_s`` is how long one
    may take to end when it is to. Lives on the event loop.
    """

    def __init__(
        self, count: int, begin: Callable[[int], bytes], after_loss: Callable[[], None], longest_end_s: float
    ) -> None:
        self._count = count
        self._begin = begin
        self._after_loss = after_loss
        self._longest_end_s = longest_end_s
        self._members: list[Member] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def members(self) -> list[Member]:
        """The workers, by their numbers."""
        return list(self._members)

    async def start(self) -> None:
        """Start them, and wait until all are ready. Raises RecordkitError, with none left."""
        self._members = [Member(number) for number in range(1, self._count + 1)]
        starting = [asyncio.create_task(one.start(self._begin(one.number))) for one in self._members]
        try:
            done, _ = await asyncio.wait(starting, return_when=asyncio.FIRST_EXCEPTION)
            for fault in (one.exception() for one in done):
                if fault is not None:
                    raise fault
        except BaseException:
            # One that is on its way is ended, too, as soon as it is there.
            members, self._members = self._members, []
            for one in members:
                one.kill("")
            await asyncio.gather(*starting, return_exceptions=True)
            await asyncio.gather(*(one.how_it_ended() for one in members))
            raise
        self._keeping = [
            asyncio.create_task(self._keep(place), name=f"recordkit-worker:{place + 1}")
            for place in range(self._count)
        ]
        self._looking = asyncio.create_task(self._look(), name="recordkit-workers-look")

    def take(self, stream: str, on_end: Callable[[Present], None]) -> RemotePublisher:
        """A publisher of ``stream`` for the worker that has the fewest. Raises HTTPServiceUnavailable."""
        free = [one for one in self._members if one.is_ready and one.silent_looks < ABSENT_LOOKS]
        if not free:
            raise unavailable("None of the processes that record answers at the moment.")
        return min(free, key=lambda one: len(one.publishers)).take(stream, on_end)

    def keep_rings(self) -> None:
        """Let all keep what their rings hold; from any thread."""
        for one in self._members:
            one.send(encode(Word.KEEP))

    def expect_ends(self) -> None:
        """No worker that ends is replaced any more: who stops a service may tell all its processes at once."""
        self._closing.set()

    async def stop(self) -> None:
        """Let all end, and wait for them."""
        self.expect_ends()
        for one in self._members:
            one.hang_up()
        tasks = [*self._keeping, *filter(None, [self._looking])]
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=self._longest_end_s)
        for one in self._members:
            if not one.over.is_set():
                log.error("Worker %d does not come to an end within %g s", one.number, self._longest_end_s)
                one.kill("")
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=LOOK_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for one in self._members:
                one.look()
                if one.silent_looks == HUNG_LOOKS:
                    one.kill(f"said nothing for {HUNG_LOOKS * LOOK_S:g} s and ")

    async def _keep(self, place: int) -> None:
        """Have a worker at ``place``, one after the other, until the end."""
        pause_s = RESTART_S
        while True:
            member = self._members[place]
            begun_s = asyncio.get_running_loop().time()
            await member.over.wait()
            has_lasted = asyncio.get_running_loop().time() - begun_s > LONGEST_RESTART_S
            pause_s = RESTART_S if has_lasted else min(2 * pause_s, LONGEST_RESTART_S)
            how = await member.how_it_ended()
            if self._closing.is_set() and not member.publishers:
                return
            await self._lost(member, how)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._closing.wait()
                    return
            fresh = self._members[place] = Member(member.number)
            try:
                await fresh.start(self._begin(fresh.number))
                log.info("Worker %d is there again", fresh.number)
            except RecordkitError as error:
                log.error("Worker %d cannot be started again: %s", fresh.number, error)
                fresh.kill("")
            if self._closing.is_set():
                fresh.hang_up()

    async def _lost(self, member: Member, how: str) -> None:
        lost = list(member.publishers.values())
        names = ", ".join(one.sink.file_name for one in lost if one.sink.file_name)
        words = f"; it was recording {names}" if names else f"; it had {count_text(len(lost), 'publisher')}"
        log.error("Worker %d %s%s", member.number, how, words)
        for one in lost:
            one.lost(f"its worker {how}")
        with suppress(AdmissionError):
            await in_thread(self._after_loss, "recordkit-after-loss", "what a worker has left")
