"""Recordings shown to visitors: each is opened once for all who watch it, and let go of when nobody does."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from ..errors import RecordkitError, SourceError
from ..onlooker import Onlooker
from ..playback.answers import Answer, answer
from ..playback.film import WAITING, Film
from ..system import Clock
from .readers import Readers, unavailable
from .shelf import Entry, Shelf

T = TypeVar("T")
log = logging.getLogger("recordkit.endpoint")

THREADS = 2
MOST_VIEWS = 32
"""Players that may be open at once, in all pages together."""
IDLE_S = 15.0
"""A player that has not asked for so long is forgotten; it begins anew when it asks again."""
_MOST_WAITING = 128
_LISTED_S = 0.5
_LONGEST_LISTING_S = 2.0
_TRY_AGAIN = 9.0
"""So many times as long as it took is waited before a recording that could not be opened is tried again."""
_LEAST_TRY_S = 0.2
_VIEW = re.compile(r"[A-Za-z0-9]{1,32}")


class _Shown:
    """A recording that somebody watches; the film is touched by one thread at a time, under ``lock``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = asyncio.Lock()
        self.film: Film | None = None
        self.fault = ""
        self.again_s = 0.0

    def opened(self, clock: Clock) -> Film:
        """The film. Raises SourceError, and at once if it has just been tried."""
        if self.film is None:
            begun_s = clock.monotonic()
            if begun_s < self.again_s:
                raise SourceError(self.path.name, self.fault)
            try:
                self.film = Film(self.path, most_readers=MOST_VIEWS)
            except RecordkitError as error:
                ended_s = clock.monotonic()
                self.again_s = ended_s + max(_LEAST_TRY_S, _TRY_AGAIN * (ended_s - begun_s))
                self.fault = str(error)
                raise
        return self.film

    def close(self) -> None:
        if self.film is not None:
            self.film.close()


class _View:
    """One player of one page."""

    def __init__(self, key: tuple[str, int]) -> None:
        self.key = key
        self.asked_s = 0.0
        self.asking = 0


class Screening:
    """Shows the recordings of ``folder`` to as many as MOST_VIEWS players. Lives on the event loop."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.onlooker = Onlooker("The look at who watches")
        self._clock = clock
        self._readers = Readers(THREADS, _MOST_WAITING)
        self._shelf, self._shelf_lock = Shelf(folder), asyncio.Lock()
        self._listed: dict[str, Entry] = {}
        self._listed_until_s = -1.0
        self._finished: tuple[list[Entry], int] = [], 0
        self._views: dict[str, _View] = {}
        self._shown: dict[tuple[str, int], _Shown] = {}
        self._left: list[_Shown] = []
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> int:
        """How many players are open."""
        return len(self._views)

    async def entries(self) -> dict[str, Entry]:
        """What the folder lists, as of half a second ago at most."""
        async with self._shelf_lock:
            begun_s = self._clock.monotonic()
            if begun_s >= self._listed_until_s:
                try:
                    self._listed = await self._readers.run(self._shelf.entries)
                except OSError as error:
                    log.warning("%s cannot be listed: %s", self.folder, error.strerror)
                    self._listed = {}
                ended_s = self._clock.monotonic()
                self._listed_until_s = ended_s + max(_LISTED_S, _TRY_AGAIN * (ended_s - begun_s))
            return self._listed

    async def finished(self, most: int) -> tuple[list[Entry], int]:
        """The newest ``most`` finished recordings, with their durations, and how many there are in all.

        A disk that hangs tells nothing new: then they are those of the last time.
        """
        with suppress(TimeoutError, web.HTTPServiceUnavailable):
            async with asyncio.timeout(_LONGEST_LISTING_S):
                found = [one for one in (await self.entries()).values() if one.is_finished]
                told = await self._readers.run(lambda: self._shelf.durations(found[:most]), self._shelf_lock)
                self._finished = told, len(found)
        return self._finished

    async def entry(self, name: str) -> Entry:
        """The recording of this name. Raises HTTPNotFound."""
        entry = (await self.entries()).get(name)
        if entry is None:
            raise web.HTTPNotFound(
                text="There is no recording of this name: it may have been deleted or renamed meanwhile.\n"
            )
        return entry

    async def read(self, call: Callable[[], T]) -> T:
        """What ``call`` returns, which reads a file, from one of the threads."""
        return await self._readers.run(call)

    async def answer(self, name: str, view: str, asked: Mapping[str, Any], *, is_live: bool) -> Answer:
        """What a player is told that asks for ``asked``; what is amiss stands in its ``fault``.

        ``is_live`` says that it is being recorded: what is not there yet may come. Raises HTTPException.
        """
        if not _VIEW.fullmatch(view):
            raise web.HTTPBadRequest(text="Name the player that asks: view=, up to 32 letters and digits.\n")
        one = self._views.get(view)
        if one is None or one.key[0] != name:
            if one is None and len(self._views) >= MOST_VIEWS:
                raise unavailable(f"{MOST_VIEWS} players are open already: close one, or come back later.")
            entry = (await self.entries()).get(name)
            if entry is None and is_live:
                return _nothing_yet(), []
            one = self._views[view] = _View((name, (entry or await self.entry(name)).inode))
        shown = self._shown.get(one.key)
        if shown is None:
            shown = self._shown[one.key] = _Shown(self.folder / name)
        one.asking += 1
        try:
            return await self._readers.run(
                lambda: self._answer(shown, {**asked, "view": view}, is_live), shown.lock
            )
        finally:
            one.asking -= 1
            one.asked_s = self._clock.monotonic()

    def _answer(self, shown: _Shown, asked: Mapping[str, Any], is_live: bool) -> Answer:
        try:
            film = shown.opened(self._clock)
            content, payload = answer(film, asked)
            film.read_marks()
            if asked.get("known") != len(film.marks):
                content["marks"] = [{"of": 0, "name": one.name, "media_s": one.media_s} for one in film.marks]
        except (RecordkitError, IndexError) as error:
            if is_live and shown.film is None:
                return _nothing_yet(), []
            # The folder's own path is nobody's business.
            return {"fault": str(error).replace(f"{self.folder}/", "")}, []
        except Exception as error:
            log.exception("%s cannot be shown", shown.path.name)
            return {"fault": f"The endpoint could not read it ({type(error).__name__}); its log says more."}, []
        return content, payload

    def leave(self, view: str) -> None:
        """A player was closed."""
        one = self._views.pop(view, None)
        if one is None:
            return
        shown = self._shown.get(one.key)
        if shown is not None and shown.film is not None:
            shown.film.let_go(view)
        self._let_go()

    def look(self) -> None:
        """Forget the players that ask no more."""
        limit_s = self._clock.monotonic() - IDLE_S
        for view in [name for name, one in self._views.items() if not one.asking and one.asked_s < limit_s]:
            self.leave(view)
        self._let_go()

    def _let_go(self) -> None:
        """Close what nobody watches; what cannot be closed at the moment is closed the next time."""
        watched = {one.key for one in self._views.values()}
        for key in [one for one in self._shown if one not in watched]:
            self._left.append(self._shown.pop(key))
        left, self._left = self._left, []
        for shown in left:
            closing = asyncio.create_task(self._close(shown), name="recordkit-page-close")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _close(self, shown: _Shown) -> None:
        try:
            await self._readers.run(shown.close, shown.lock)
        except web.HTTPServiceUnavailable:
            self._left.append(shown)

    async def close(self) -> None:
        """Show nothing more, and close the files."""
        await self._readers.close()
        await asyncio.gather(*self._closing)
        for shown in [*self._shown.values(), *self._left]:
            if not shown.lock.locked():  # else a file system hangs, and its thread with it
                shown.close()
        self._shown.clear()
        self._views.clear()
        self._left.clear()


def _nothing_yet() -> dict[str, Any]:
    return {"growing": True, "count": 0, "duration": 0.0, "words": WAITING}
