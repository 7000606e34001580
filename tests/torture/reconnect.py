"""Real servers that are ended and begun again while they are recorded: how soon it goes on, and with which gap."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

import recordkit as rk
from recordkit.encode.routing import VIDEO
from recordkit.model import EventKind
from recordkit.sources.marks import read_frame_number
from recordkit.sources.readback import read_back
from recordkit.sources.source import Source

from .children import GUARD_S, ROOT
from .outcome import Kind, Outcome, Trial
from .senders import FFMPEG, free_port, plan

RESTARTS = 4
_FPS, _WHEP_FPS = 25, 30
_CLIP_S = 60.0
_LEAD_S = 1.5
_STAYS_S = 1.6
"""So long a server is up at least: with a flash and a beep in it."""
_SHORTEST_S, _LONGEST_S = 0.2, 3.0
_LONGEST_BACK_S, _LONGEST_MISSED_S = 2.0, 5.0
_SYNC_S = 0.045
"""A frame and a little; and how exactly a beep can be found."""
_SYSTEM_PYTHON = "/usr/bin/python3"
"""Which has the bindings of GStreamer."""
_AGAIN = rk.Reconnect(give_up_after=60)
_URLS = {
    "http": "http://127.0.0.1:{port}/live",
    "files": "http://127.0.0.1:{port}/live.m3u8",
    "tcp": "tcp://127.0.0.1:{port}",
    "udp": "udp://127.0.0.1:{port}?timeout=5000000",
    "rtsp": "rtsp://127.0.0.1:{port}/cam",
    "gst": "rtsp://127.0.0.1:{port}/cam",
    "whep": "http://127.0.0.1:{port}/cam/whep",
}
_OPTIONS: dict[str, dict[str, str | float]] = {
    "rtsp": {"rtsp_flags": "listen"},
    "gst": {"rtsp_transport": "tcp"},
}


@dataclass
class Server:
    """A server in a process of its own."""

    how: str
    told: Path
    port: int
    ready_s: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    helper: int | None = None

    def start(self) -> None:
        """Begin it, and wait until it serves."""
        python = _SYSTEM_PYTHON if self.how == "gst" else sys.executable
        command = [python, "-m", "tests.torture.senders", self.how, str(self.told), str(self.port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment)
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        self.ready_s, self.helper = line["ready"], line.get("process")

    def send(self, number: int) -> None:
        """A signal to it, and to the program that it has begun."""
        assert self.process is not None
        for one in (self.process.pid, self.helper):
            if one is not None:
                with suppress(ProcessLookupError):
                    os.kill(one, number)

    def kill(self) -> None:
        """End it, without a word."""
        if self.process is not None:
            self.send(signal.SIGKILL)
            self.process.wait()
            self.process = None


class Taking:
    """A recording of ``source`` in a thread of its own."""

    def __init__(self, source: Source, path: Path) -> None:
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._recorder: rk.Recorder | None = None
        self.recording: rk.Recording | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(source, path), daemon=True)
        self._thread.start()
        self._begun.wait(GUARD_S)

    def _run(self, source: Source, path: Path) -> None:
        try:
            self.recording = rk.record(source, path, stop=self._stop, on_start=self._started, sample_interval=0)
        except rk.RecordkitError as error:
            self.error = error
        finally:
            self._begun.set()

    def _started(self, recorder: rk.Recorder) -> None:
        self._recorder = recorder
        self._begun.set()

    @property
    def units(self) -> int:
        """How many frames are in it."""
        return 0 if self._recorder is None else self._recorder.counters.video_units

    def until(self, count: int) -> bool:
        """Wait until it has so many frames; False if it has ended, or that takes too long."""
        end = time.monotonic() + GUARD_S / 4
        while self.units < count:
            if time.monotonic() > end or not self._thread.is_alive():
                return False
            time.sleep(0.01)
        return True

    def end(self) -> rk.Recording | None:
        """Stop and commit it."""
        self._stop.set()
        self._thread.join(GUARD_S)
        return self.recording


def source_of(how: str, port: int) -> Source:
    """What records from such a server."""
    url = _URLS[how].format(port=port)
    if how == "whep":
        return rk.Whep(url, reconnect=_AGAIN)
    return rk.MediaFile(url, options=_OPTIONS.get(how, {}), reconnect=_AGAIN)


def times_of(path: Path) -> tuple[list[float], list[int]]:
    """When each frame is shown, and its number."""
    with rk.open(path) as video:
        shown = video.frames["media_s"].tolist()
        numbers = [read_frame_number(frame.frame) for frame in video]
    return shown, [-1 if one is None else one for one in numbers]


def gap_faults(path: Path, fps: int, figures: dict[str, float]) -> Iterator[str]:
    """What is wrong with the times of the frames: each was sent when its number tells."""
    all_found = list(zip(*times_of(path), strict=True))
    found = [one for one in all_found if one[1] >= 0]
    if len(found) < len(all_found):
        yield f"{len(all_found) - len(found)} frames cannot be read"
    # Of what comes by WebRTC the last frame is shown once more now and then, as long as there is no other.
    kept = [one for place, one in enumerate(found) if not place or one[1] != found[place - 1][1]]
    shown, numbers = [one[0] for one in kept], [one[1] for one in kept]
    worst = gaps = 0.0
    for place in range(1, len(shown)):
        passed, media = (numbers[place] - numbers[place - 1]) / fps, shown[place] - shown[place - 1]
        if passed > 1.5 / fps:
            gaps += 1
        if abs(media - passed) > abs(worst):
            worst = media - passed
    figures["gap_frames"] = abs(worst) * fps
    figures["gaps"] = gaps
    if abs(worst) * fps > 1.02:
        yield f"a gap is wrong by {worst:.3f} s"


def sync_faults(path: Path, fps: int, figures: dict[str, float]) -> Iterator[str]:
    """Whether each beep is heard with its flash."""
    found = read_back(path, fps)
    figures["sync_ms"] = abs(found.sync_worst_s or 0.0) * 1000
    if not found.sync_offsets_s:
        yield "no flash was found with its beep"
    elif abs(found.sync_worst_s or 0.0) > _SYNC_S:
        yield f"audio and video are apart by {found.sync_worst_s:.3f} s: {found.sync_offsets_s}"


def back_faults(returns: list[tuple[float, float]], figures: dict[str, float]) -> Iterator[str]:
    """How long after each return of the server frames of it are in the file: when it was ready, when they were."""
    for ready_s, came_s in returns:
        figures["back_s"] = max(figures.get("back_s", 0.0), came_s - ready_s)
        if came_s - ready_s > _LONGEST_BACK_S:
            yield f"it was recorded again {came_s - ready_s:.2f} s after the server's return"


def missed_faults(
    recording: rk.Recording, halted: list[float], row_count: int, figures: dict[str, float]
) -> Iterator[str]:
    """How long after it was ``halted`` each time the server was missed; and whether each gap is a row."""
    events = recording.log.contents.events
    missed = [one.time_ns / 1e9 for one in events if one.fields.get("because", "").startswith("the source is away")]
    for at_s in halted:
        after_s = next((one - at_s for one in missed if one > at_s), math.inf)
        figures["missed_s"] = max(figures.get("missed_s", 0.0), after_s)
        if after_s > _LONGEST_MISSED_S:
            yield f"it was missed only {after_s:.2f} s after it hung"
    rows = [one for one in events if one.kind is EventKind.GAP and one.fields.get("stream") == VIDEO]
    if len(rows) < row_count:
        yield f"{len(rows)} rows tell of {row_count} gaps"


@contextmanager
def restarts(folder: Path, *, how: str, halts: bool = False) -> Iterator[Trial]:
    """A recording of a server that is killed several times for up to three seconds, or that hangs for seven."""
    clip = folder / "clip.ts"
    if how != "whep":
        source = rk.Synthetic(width=160, height=90, fps=_FPS, seconds=_CLIP_S, realtime=False)
        rk.record(source, clip, video=rk.VideoSettings(preset="ultrafast", keyframe_interval=0.2), overwrite=True)
    laid = None if how == "whep" else plan(clip, 0.0)
    threads_before: list[tuple[int, int]] = []

    def trial(seed: int, place: Path) -> Outcome:
        chance = random.Random(seed)
        told = place / "plan.json"
        served = {"folder": str(place / "served")}
        (place / "served").mkdir()
        told.write_text(json.dumps((laid or {}) | served | {"epoch": time.monotonic() + 0.5}))
        figures: dict[str, float] = {}
        faults: list[str] = []
        server = Server(how, told, free_port())
        packager = Server("playlist", told, 0) if how == "files" else None
        path, returns, halted = place / "talk.ts", list[tuple[float, float]](), list[float]()
        calls = how in ("rtsp", "udp")  # it is the sender that comes
        taking = None
        try:
            if packager is not None:
                packager.start()
                while not (place / "served" / "live.m3u8").exists():
                    time.sleep(0.05)
            if not calls:
                server.start()
                taking = Taking(source_of(how, server.port), path)
            else:
                timer = threading.Timer(0.5, server.start)
                timer.start()
                taking = Taking(source_of(how, server.port), path)
                timer.join()
            if taking.error is not None:
                return Outcome(seed, (f"it did not begin: {taking.error}",))
            time.sleep(_LEAD_S)
            for number in range(RESTARTS):
                if halts:
                    halted.append(time.time())
                    server.send(signal.SIGSTOP)
                    time.sleep(7.0)
                    server.send(signal.SIGCONT)
                    ready_s = time.time()
                else:
                    server.kill()
                    time.sleep(chance.uniform(_SHORTEST_S, _LONGEST_S))
                    server.start()
                    ready_s = server.ready_s
                so_far = taking.units
                if not taking.until(so_far + 1):
                    faults.append(f"nothing was recorded after restart {number + 1}: {taking.error}")
                    break
                returns.append((ready_s, time.time()))
                taking.until(so_far + 5)
                time.sleep(_STAYS_S)
        finally:
            server.kill()
            if packager is not None:
                packager.kill()
            recording = None if taking is None else taking.end()
        if recording is None:
            return Outcome(seed, (*faults, f"there is no recording: {taking.error}"))
        verified = rk.verify(path, decode=True)
        if not verified.ok:
            faults.append(f"not whole: {verified.problems}")
        fps = _WHEP_FPS if how == "whep" else _FPS
        faults += back_faults(returns, figures)
        faults += gap_faults(path, fps, figures)
        faults += missed_faults(recording, halted, round(figures["gaps"]), figures)
        faults += sync_faults(path, fps, figures)
        process = psutil.Process()
        threads_before.append((process.num_fds(), process.num_threads()))
        if threads_before[-1] > threads_before[0]:
            faults.append(f"descriptors and threads grew from {threads_before[0]} to {threads_before[-1]}")
        return Outcome(seed, tuple(faults), figures=figures | {"restarts": float(RESTARTS)})

    yield trial


def without_ffmpeg() -> str | None:
    """Why what ffmpeg sends cannot be tried."""
    return None if FFMPEG else "there is no ffmpeg"


_NAMES = {
    "http": "an HTTP server",
    "tcp": "a TCP server",
    "udp": "ffmpeg over UDP",
    "rtsp": "ffmpeg over RTSP",
    "gst": "GStreamer's RTSP server",
    "files": "an HLS server",
    "whep": "a WHEP server",
}


def without_gstreamer() -> str | None:
    """Why GStreamer's RTSP server cannot be tried."""
    look = "import gi; gi.require_version('GstRtspServer', '1.0')"
    done = subprocess.run([_SYSTEM_PYTHON, "-c", look], capture_output=True, check=False)
    return "gir1.2-gst-rtsp-server-1.0 is not installed" if done.returncode else None


_NEEDS_FFMPEG = {"udp", "rtsp", "files"}

KINDS = [
    Kind(
        f"reconnect, {name} restarted {RESTARTS} times",
        "what was sent while it was away",
        partial(restarts, how=how),
        25,
        (),
        *([without_ffmpeg] if how in _NEEDS_FFMPEG else [without_gstreamer] if how == "gst" else []),
    )
    for how, name in _NAMES.items()
] + [
    Kind(
        f"reconnect, {_NAMES[how]} halted {RESTARTS} times",
        "what was sent while it hung",
        partial(restarts, how=how, halts=True),
        3,
        (),
    )
    for how in ("http", "whep")
]
