"""Frames asked for in any order: each has to be the one that is shown in that place. The number in it says so."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av

import recordkit as rk
from recordkit.errors import MediaError
from recordkit.mpegts.sync import PACKET_BYTES
from recordkit.sources.marks import read_frame_number

from ..media import make_clip
from .outcome import Kind, Outcome, Trial

_ASKED = 200
_SIZE = (320, 180)
_FPS = 30

Made = tuple[Path, rk.Recorder | None]
Make = Callable[[Path, random.Random], Made]
Sizes = tuple[tuple[int, int], ...]


def _frames(seconds: float, *sizes: tuple[int, int]) -> Iterator[av.VideoFrame]:
    """Numbered frames, each in the next of ``sizes`` once a third of a second is over."""
    sources = [
        rk.Synthetic(*size, fps=_FPS, seconds=seconds, audio=False, realtime=False).frames() for size in sizes
    ]
    for number, same in enumerate(zip(*sources, strict=True)):
        frame = same[number // (_FPS // 3) % len(sizes)]
        if isinstance(frame, av.VideoFrame):
            yield frame


def _begun(path: Path, chance: random.Random, *, sizes: Sizes, lost: float = 0) -> rk.Recorder:
    video = rk.VideoSettings(preset="ultrafast", keyframe_interval=chance.choice((0.5, 2.0)))
    recorder = rk.Recorder(path, video=video, audio=None, flush_interval=0.2, durability="process")
    recorder.start()
    for frame in _frames(chance.uniform(3, 8), *sizes):
        if chance.random() >= lost:
            recorder.write(frame)
    recorder.flush()
    return recorder


def _finished(suffix: str, *, sizes: Sizes = (_SIZE,), lost: float = 0) -> Make:
    def make(folder: Path, chance: random.Random) -> Made:
        recorder = _begun(folder / f"talk{suffix}", chance, sizes=sizes, lost=lost)
        recorder.stop()
        return recorder.final_output_path, None

    return make


def _growing(suffix: str) -> Make:
    def make(folder: Path, chance: random.Random) -> Made:
        recorder = _begun(folder / f"talk{suffix}", chance, sizes=(_SIZE,))
        return recorder.final_output_path, recorder

    return make


def _recovered(suffix: str) -> Make:
    def make(folder: Path, chance: random.Random) -> Made:
        recorder = _begun(folder / f"talk{suffix}", chance, sizes=(_SIZE,))
        left = folder / "killed"
        left.mkdir()
        for path in folder.glob("talk.*"):
            shutil.copy(path, left / path.name)
        recorder.stop()
        rk.recover(left / recorder.final_output_path.name)
        return left / recorder.final_output_path.name, None

    return make


def _damaged(folder: Path, chance: random.Random) -> Made:
    path, _ = _finished(".ts")(folder, chance)
    data = path.read_bytes()
    begin = chance.randrange(len(data) // PACKET_BYTES // 4, len(data) // PACKET_BYTES // 2) * PACKET_BYTES
    path.write_bytes(data[:begin] + data[begin + chance.randint(1, 30) * PACKET_BYTES :])
    return path, None


def _foreign(name: str, video: str, fps: int = _FPS, **options: str) -> Make:
    def make(folder: Path, chance: random.Random) -> Made:
        path = folder / name
        seconds = chance.uniform(2, 5)
        make_clip(path, video=video, audio=(), size=_SIZE, seconds=seconds, fps=fps, options=options)
        return path, None

    return make


FILES: dict[str, Make] = {
    "recording.ts": _finished(".ts"),
    "recording.mp4": _finished(".mp4"),
    "growing.ts": _growing(".ts"),
    "growing.mp4": _growing(".mp4"),
    "recovered.ts": _recovered(".ts"),
    "recovered.mp4": _recovered(".mp4"),
    "frames lost.ts": _finished(".ts", lost=0.1),
    "frames lost.mp4": _finished(".mp4", lost=0.1),
    "sizes change.ts": _finished(".ts", sizes=(_SIZE, (640, 360))),
    "sizes change.mp4": _finished(".mp4", sizes=(_SIZE, (640, 360))),
    "damaged.ts": _damaged,
    "b-frames.ts": _foreign("clip.ts", "libx264", bf="3", g="40"),
    "open groups.ts": _foreign("clip.ts", "libx264", **{"bf": "2", "g": "25", "x264-params": "open-gop=1"}),
    "b-frames.mp4": _foreign("clip.mp4", "libx264", bf="3", g="40"),
    "h265.mkv": _foreign("clip.mkv", "libx265", **{"x265-params": "log-level=0:keyint=30", "preset": "ultrafast"}),
    "h264.mkv": _foreign("clip.mkv", "libx264", bf="2", g="50"),
    "h264.flv": _foreign("clip.flv", "libx264", g="50"),
    "mpeg4.avi": _foreign("clip.avi", "mpeg4", g="12"),
    "mpeg2.ts": _foreign("clip.ts", "mpeg2video", fps=25, bf="2", g="15"),
    "vp8.webm": _foreign("clip.webm", "libvpx", deadline="realtime", g="40", **{"b:v": "1M"}),
}


def _shown(path: Path) -> list[int | None]:
    """The numbers of the frames as PyAV shows them from the first to the last: the judge."""
    with av.open(str(path)) as container:
        frames = sorted(container.decode(video=0), key=lambda frame: frame.pts or 0)
        return [read_frame_number(frame) for frame in frames]


def _wrong(video: rk.Video, chance: random.Random, shown: list[int | None] | None) -> Iterator[str]:
    rows = video.frames
    if shown is None:
        # Frames are even in time, and their numbers follow from that, whatever is missing between them.
        shown = [round(at * _FPS) for at in rows["media_s"] - rows["media_s"].iloc[0]]
    if len(shown) != len(video):
        yield f"{len(video)} frames instead of {len(shown)}"
        return
    ends = [*rows["media_s"].iloc[1:], video.duration_s]
    for place in chance.choices(range(len(shown)), k=_ASKED):
        between = (float(rows["media_s"].iloc[place]) + ends[place]) / 2
        asked = place if chance.random() < 0.5 else between
        try:
            frame = video[asked] if isinstance(asked, int) else video.at(asked)
        except MediaError as error:
            if not rows["damaged"].iloc[place]:
                yield f"frame {place}: {error}"
            continue
        if not frame.is_damaged and (frame.number, read_frame_number(frame.frame)) != (place, shown[place]):
            yield f"{asked} gave frame {frame.number} with {read_frame_number(frame.frame)} in it"


def _trial(seed: int, place: Path) -> Outcome:
    name = list(FILES)[seed % len(FILES)]
    chance = random.Random(seed)
    with ExitStack() as ends:
        path, recorder = FILES[name](place, chance)
        if recorder is not None:
            ends.callback(recorder.stop)
        by_time = recorder is not None or name == "damaged.ts"
        video = ends.enter_context(rk.open(path))
        faults = [f"{name}: {words}" for words in _wrong(video, chance, None if by_time else _shown(path))]
    return Outcome(seed, tuple(faults), figures={"frames_asked": _ASKED, "wrong_frames": len(faults)})


@contextmanager
def asking(_: Path) -> Iterator[Trial]:
    """Our recordings, finished, growing, recovered and damaged, and other people's files."""
    yield _trial


KINDS = [Kind(f"frames in any order, {_ASKED} a trial", "nothing", asking, 60, [])]
