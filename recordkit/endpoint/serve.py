"""An endpoint that runs until it is told to stop, from ordinary blocking code."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Unpack

from ..errors import OutputAccessError, RecordkitError
from ..onlooker import Onlooker
from ..recorder.media_recorder import OnGap
from ..recorder.shared import Shared
from ..settings import RecordingOptions, RecordingSettings
from ..signatures import named_with
from ..sources.webrtc.hosting import Outlet, hosted
from ..system import Clock, System
from ..telemetry.words import size_text
from ..values import EVENT, PathLike, whole
from ..values import path as read_path
from .endpoint import Endpoint
from .folder import FolderDesk, recorders
from .screening import Screening
from .settings import WhipSettings
from .workers.beginning import beginning, longest_end_s
from .workers.crew import Crew

log = logging.getLogger("recordkit")

PROGRESS_INTERVAL_S = 0.5
_WORKERS = whole(1, 64, "processes")


@named_with(RecordingOptions, RecordingSettings, overflow="drop")
def serve(
    folder: PathLike,
    whip: WhipSettings = WhipSettings(),  # noqa: B008 - frozen
    *,
    stop: threading.Event | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_progress: Callable[[], None] | None = None,
    on_gap: OnGap = "silence",
    shared: Shared | None = None,
    keep_rings: threading.Event | None = None,
    workers: int = 1,
    **settings: Unpack[RecordingOptions],
) -> None:
    """Record each publisher that comes to the WHIP endpoint ``whip`` into a file of its own in ``folder``.

    It goes on until ``stop`` is set, or an interrupt from the keyboard, and then commits all that
    is being recorded; a second interrupt is passed on and leaves partials. ``on_ready`` is called
    with the endpoint's URL once it listens, ``on_progress`` twice a second;
    if that fails it is logged. ``video``, ``audio`` and
    ``settings`` are those of MediaRecorder. With ``segments`` or a ``ring`` each file has the local time when it
    begins behind the name that it would have else; each time ``keep_rings`` is set what the rings of all publishers
    hold is kept.

    ``workers`` processes share the publishers, each of whom is in one of them; limits and pages are those of all.
    One that is killed costs what it was recording the connection, and what was coded is treated as what an earlier
    run has left. Settings that are functions cannot be sent to them.

    What an earlier run has left unfinished in the folder is told in the log, and brought to its end with
    ``on_partial="recover"``.

    Raises SettingsError for an address, port, certificate or token that cannot be used, and
    OutputAccessError where the folder cannot be made.
    """
    clock = settings.setdefault("_clock", Clock())
    system = settings.setdefault("_system", System())
    stop = EVENT("stop", stop) or threading.Event()
    EVENT("keep_rings", keep_rings)
    folder = read_path("folder", folder)

    progress = Onlooker("on_progress")
    desk = FolderDesk(folder, whip, clock, system, recorders(settings, on_gap, shared))
    on_partial = settings.get("on_partial", "error")

    def after_loss() -> None:
        _look_for_leftovers(folder, on_partial, system)

    crew = None
    if _WORKERS("workers", workers) > 1:
        begin = beginning(folder.absolute(), whip, settings, on_gap, shared, workers)
        crew = Crew(workers, begin, after_loss, longest_end_s(settings))
    server = _Server(whip, desk, clock, folder, crew)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputAccessError(folder, f"cannot be made: {error.strerror}") from error
    _look_for_leftovers(folder, on_partial, system)
    with hosted(whip.name, server.run, clock=clock):
        log.info("Publish to %s/whip/NAME; recordings go to %s", server.url, folder)
        if on_ready is not None:
            on_ready(server.url)
        try:
            while not (stop.wait(PROGRESS_INTERVAL_S) or server.ended.is_set()):
                if keep_rings is not None and keep_rings.is_set():
                    keep_rings.clear()
                    desk.keep_rings() if crew is None else crew.keep_rings()
                if on_progress is not None:
                    progress.tell(on_progress)
        except KeyboardInterrupt:
            log.info("Interrupted: all recordings are brought to their ends")
        server.end()
        server.ended.wait()


def _look_for_leftovers(folder: Path, on_partial: str, system: System) -> None:
    """Say what an earlier run has left unfinished; with "recover" bring it to its end."""
    from ..recovery.listing import partials
    from ..recovery.recover import recover

    try:
        found = [one for one in partials(folder, _system=system) if not one.is_recording]
        if found and on_partial == "recover":
            results = recover(folder, _system=system)
            for result in results if isinstance(results, list) else [results]:
                log.log(logging.INFO if result.ok else logging.WARNING, "%s: %s", result.path.name, result.message)
            return
    except RecordkitError as error:
        log.error("What lies unfinished in %s cannot be looked at: %s", folder, error)
        return
    for one in found:
        size = one.problem or f"{size_text(one.recoverable_bytes)} can be recovered"
        advice = 'on_partial="recover" (--on-partial recover), or rk.recover(), brings it to its end'
        log.warning("%s is unfinished: %s; %s", one.path, size, advice)


class _Server:
    """What runs in the event loop's thread."""

    def __init__(self, whip: WhipSettings, desk: FolderDesk, clock: Clock, folder: Path, crew: Crew | None) -> None:
        self.ended = threading.Event()
        self.url = ""
        self._crew = crew
        elsewhere = None if crew is None else crew.take
        self._endpoint = Endpoint(whip, desk, clock, Screening(folder, clock), elsewhere)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    async def run(self, outlet: Outlet) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            if self._crew is not None:
                await self._crew.start()
            await self._endpoint.start()
            self.url = self._endpoint.url
            outlet.ready()
            await self._stop.wait()
        finally:
            try:
                if self._crew is not None:
                    self._crew.expect_ends()
                await self._endpoint.stop()
                if self._crew is not None:
                    await self._crew.stop()
            finally:
                self.ended.set()

    def end(self) -> None:
        """Let ``run`` end by itself; to be called once it has begun."""
        if self._loop is not None and not self.ended.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)
