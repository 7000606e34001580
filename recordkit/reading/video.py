"""``rk.open``: the frames of a recording by number and by time, finished or while it is being written."""

from __future__ import annotations

import json
import logging
import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, cast, overload

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError, SourceError
from ..model import Captured
from ..names import partial_of
from ..ticks import fraction
from .container import ContainerTrack
from .decoder import FrameDecoder
from .frame import Frame
from .marking import MarksRead
from .store import FileStore
from .track import Track
from .transport import TransportTrack
from .transport_units import is_transport_stream

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("recordkit")

_POLL_S = 0.1
_NEAR = 8
"""Frames so near to each other, and so many, are decoded in order."""
_AHEAD_BYTES = 64 * 1024 * 1024


class Frames(Sequence[Frame]):
    """Some of a video's frames, none decoded before it is asked for; ``numpy.stack`` of it takes images."""

    def __init__(self, video: Video, numbers: range) -> None:
        self._video = video
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> Frames: ...
    def __getitem__(self, place: int | slice) -> Frame | Frames:
        """One of them, or some of them."""
        if isinstance(place, slice):
            return Frames(self._video, self.numbers[place])
        return self._video[self.numbers[place]]

    def __iter__(self) -> Iterator[Frame]:
        if 0 < self.numbers.step <= _NEAR and len(self.numbers) > _NEAR:
            return self._video._in_order(self.numbers)
        return (self._video[number] for number in self.numbers)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The images, (frames, height, width, 3)."""
        return np.stack([one.image for one in self]).astype(dtype or np.uint8, copy=False)

    def __repr__(self) -> str:
        return f"<Frames {self.numbers} of {self._video.path}>"


class Video(Sequence[Frame]):
    """The frames of a file by number and by time; ``recordkit.open`` makes it.

    ``path`` is the file, ``fps`` frames a second on average (0 for fewer than two), ``duration_s`` from the
    first time of any stream to the last frame's end. Not to be used by two threads at once.
    """

    def __init__(self, path: Path, track: Track, store: FileStore | None) -> None:
        self.path = path
        self._track = track
        self._store = store
        self._decoder = FrameDecoder(track, beside=store is None or not store.is_growing)
        self._times: list[float] | None = None

    def __len__(self) -> int:
        return len(self._track.index)

    def __repr__(self) -> str:
        return f"<Video {self.path}, {len(self):,} frames, {self.duration_s:.3f} s, {self.fps:.6g} fps>"

    @overload
    def __getitem__(self, number: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, number: slice) -> Frames: ...
    def __getitem__(self, number: SupportsIndex | slice) -> Frame | Frames:
        """Frame ``number``, or some frames, which are decoded when they are asked for.

        Raises IndexError for a number that is not there, MediaError if the frame cannot be decoded,
        SourceError if the file cannot be read.
        """
        if isinstance(number, slice):
            return Frames(self, range(len(self))[number])
        count, asked = len(self), number.__index__()
        if not -count <= asked < count:
            there = f"0 to {count - 1}" if count else "none"
            raise IndexError(f"{self.path} has no frame {asked}: there are {there}")
        return self._frame(asked % count, self._decoder)

    def _frame(self, number: int, decoder: FrameDecoder) -> Frame:
        index = self._track.index
        unit = int(index.order[number])
        frame, damaged = decoder.frame(number), index.is_affected(number)
        taken = index.captured.get(unit)
        return Frame(number, self._media_times[number], bool(index.keyframe[unit]), damaged, frame, taken)

    def _in_order(self, numbers: range) -> Iterator[Frame]:
        """The same in order, by a decoder of their own, so that others can be asked for meanwhile."""
        decoder = FrameDecoder(self._track, kept_bytes=_AHEAD_BYTES)
        return (self._frame(number, decoder) for number in numbers)

    def __iter__(self) -> Iterator[Frame]:
        return self._in_order(range(len(self)))

    @property
    def fps(self) -> float:
        """Frames a second on average."""
        times = self._media_times
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    @property
    def duration_s(self) -> float:
        """Seconds from the first time of any stream to the end of the last frame."""
        times = self._media_times
        if not times:
            return 0.0
        return times[-1] + (float(np.median(np.diff(times))) if len(times) > 1 else 0.0)

    @property
    def is_growing(self) -> bool:
        """Whether somebody may still be writing it."""
        return self._store is not None and self._store.is_growing

    @property
    def coded_count(self) -> int:
        """How many coded frames there are, those that are never shown among them."""
        return len(self._track.index.dts)

    def keyframe_of(self, number: int) -> int:
        """The frame at which decoding begins for frame ``number``; itself if that one is never shown."""
        index = self._track.index
        shown = int(index.number[index.entry[index.order[number]]])
        return shown if shown >= 0 else number

    def time_of(self, number: int) -> float:
        """When frame ``number`` is shown, in seconds of media. Raises IndexError."""
        return self._media_times[number]

    def taken(self, number: int) -> Captured | None:
        """When frame ``number`` was taken; None if nothing says so. Raises IndexError."""
        index = self._track.index
        return index.captured.get(int(index.order[number]))

    def showing(self, media_s: float) -> int:
        """The number of the frame that is showing at ``media_s``, the first or last one outside of the video."""
        return self._showing(media_s)

    @property
    def frames(self) -> pd.DataFrame:
        """One row a frame, indexed by ``number``: times, keyframe, bytes, place in the file, what is lost before.

        ``captured`` is when it was taken (UTC, NaT where nothing says so), ``captured_by`` who says so (see
        CapturedBy), ``captured_error_s`` by how much that may be off.

        ``pts`` and ``dts`` are in units of ``attrs["time_base"]`` seconds, ``media_s`` in seconds, ``offset`` in
        bytes (-1 where the container does not tell); ``lost_before`` is how many frames are missing
        before this one, as far as the times tell.
        """
        import pandas as pd

        index = self._track.index
        order = index.order
        frame = pd.DataFrame(
            {
                "pts": index.pts[order],
                "dts": index.dts[order],
                "media_s": np.array(self._media_times, np.float64),
                **self._captured(),
                "keyframe": index.keyframe[order],
                "bytes": index.bytes[order],
                "offset": index.offset[order],
                "lost_before": self._lost_before(),
                "discontinuity": index.breaks[order],
                "damaged": index.damaged[order],
            },
            index=pd.RangeIndex(len(order), name="number"),
        )
        frame.attrs.update(path=str(self.path), time_base=str(index.time_base), start_s=float(self._track.start_s))
        return frame

    @property
    def marks(self) -> pd.DataFrame:
        """One row a mark of the recording's log: ``name``, ``media_s``, ``time`` (UTC) and ``number``."""
        import pandas as pd

        found = self._marks()
        places = [self._showing(media_s) for _, media_s, _ in found]
        return pd.DataFrame(
            {
                "name": pd.Series([name for name, _, _ in found], dtype="str"),
                "media_s": pd.Series([media_s for _, media_s, _ in found], dtype="float64"),
                "time": pd.to_datetime(pd.Series([at for _, _, at in found], dtype="int64"), unit="ns", utc=True),
                "number": pd.Series(places, dtype="int64"),
            }
        )

    def frames_at(self, marks: pd.DataFrame) -> pd.DataFrame:
        """The row of ``frames`` that was showing at each of ``marks`` (rows with ``media_s``), in their order."""
        return self.frames.iloc[[self._showing(at) for at in marks["media_s"]]]

    def at(self, when: float | str | datetime) -> Frame:
        """The frame that is showing at ``when``: seconds of media, the name of a mark, or a time of day.

        A time of day (datetime or pandas Timestamp, with its time zone) asks for the frame that was taken then.

        Raises IndexError for a time outside the video, KeyError for a mark that is not there.
        """
        if isinstance(when, str):
            names = [name for name, _, _ in self._marks()]
            if when not in names:
                there = ", ".join(repr(name) for name in names[:10]) or "none"
                raise KeyError(f"{self.path} has no mark {when!r}: there are {there}")
            return self[self._showing(self._marks()[names.index(when)][1])]
        return self[self.find(when)]

    def find(self, when: float | datetime) -> int:
        """The number of the frame that is showing at ``when``, as in ``at``. Raises IndexError."""
        if isinstance(when, datetime):
            import pandas as pd

            if when.tzinfo is None:
                raise SettingsError("when", when, "give it a time zone, such as UTC")
            return self._taken_at(pd.Timestamp(when))
        if not len(self) or not 0 <= when <= self.duration_s:
            raise IndexError(f"{self.path} has no frame at {when} s: it ends at {self.duration_s:.3f} s")
        return self._showing(when)

    def between(self, begin: float, end: float) -> Frames:
        """The frames that begin to be shown at ``begin`` seconds of media or later, and before ``end``."""
        times = self._media_times
        first, last = np.searchsorted(times, (begin - 1e-9, end - 1e-9)).tolist()
        return Frames(self, range(first, max(first, last)))

    def audio(self, begin: float = 0.0, end: float | None = None) -> tuple[npt.NDArray[np.float32], int]:
        """The first audio stream from ``begin`` to ``end`` seconds of media, and its rate in Hz.

        (samples, channels), full scale 1.0; 0 where there is no audio (before it begins, in a gap). Of a file
        without audio the array is empty and the rate 0.
        """
        end = self.duration_s if end is None else end
        start = self._track.start_s
        result: npt.NDArray[np.float32] | None = None
        rate = 0
        for one in self._track.audio(Fraction(begin) + start, Fraction(end) + start):
            base = fraction(one.time_base)
            if one.pts is None or base is None:
                continue
            samples = _samples(one)
            if result is None:
                rate = one.sample_rate
                result = np.zeros((max(round((end - begin) * rate), 0), samples.shape[1]), np.float32)
            if one.sample_rate == rate and samples.shape[1] == result.shape[1]:
                place = round((one.pts * base - start - Fraction(begin)) * rate)
                first, last = max(place, 0), min(place + len(samples), len(result))
                if first < last:
                    result[first:last] = samples[first - place : last - place]
        return (np.zeros((0, 0), np.float32), 0) if result is None else (result, rate)

    def to_dask(self) -> Any:  # noqa: ANN401 - a dask.array.Array, of an optional package
        """A Dask array of (frames, height, width, 3), RGB, a block for each group of frames between keyframes.

        Each block opens the file by itself, so that blocks are computed beside each other. Raises SourceError
        for a file without frames, or whose frames change their size.
        """
        from importlib import import_module

        array, delayed = import_module("dask.array"), import_module("dask").delayed
        tokenize = import_module("dask.base").tokenize

        if not len(self):
            raise SourceError(str(self.path), "holds no frames")
        index = self._track.index
        firsts = sorted({0, *(int(one) for one in np.flatnonzero(index.keyframe[index.order]))})
        shape = self[0].image.shape
        read = delayed(_block, pure=True)
        status = self.path.stat()
        blocks = [
            array.from_delayed(
                read(str(self.path), first, last, shape, (status.st_ino, status.st_size)),
                (last - first, *shape),
                np.uint8,
                name=f"recordkit-{tokenize(str(self.path), status.st_ino, status.st_size, first, last)}",
            )
            for first, last in zip(firsts, [*firsts[1:], len(self)], strict=True)
        ]
        return array.concatenate(blocks)

    def frame_mappings(self) -> str:
        """What torchcodec's ``VideoDecoder`` takes as ``custom_frame_mappings``: JSON, a mapping for each frame.

        With it torchcodec finds each frame without a scan of its own.
        """
        index = self._track.index
        times = index.shown_pts
        steps = np.diff(times)
        last = int(np.median(steps)) if len(steps) else 1
        durations = [*steps.tolist(), last]
        keyframes = index.keyframe[index.order].tolist()
        rows = zip(times.tolist(), durations, keyframes, strict=True)
        return json.dumps(
            {"frames": [{"pts": pts, "duration": length, "key_frame": int(key)} for pts, length, key in rows]}
        )

    def refresh(self) -> int:
        """Look for frames that were written meanwhile; how many there are now."""
        store = self._store
        if store is not None:
            changed = self._track.refresh() if store.is_growing else self._track.finish()
            self._times = None if changed else self._times
        return len(self)

    def follow(self, *, from_number: int | None = None, timeout_s: float = 30.0) -> Iterator[Frame]:
        """Each frame as it is written, from ``from_number`` on (the next one by default), to the recording's end.

        Ends, too, when nothing new has come for ``timeout_s``.
        """
        number = len(self) if from_number is None else from_number
        deadline = time.monotonic() + timeout_s
        while True:
            is_growing = self._store is not None and self._store.is_growing
            while number < self.refresh():
                yield self[number]
                number += 1
                deadline = time.monotonic() + timeout_s
            if not is_growing or time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Close the file. May be called again."""
        self._track.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _media_times(self) -> list[float]:
        if self._times is None:
            index, start = self._track.index, self._track.start_s
            base = index.time_base
            shift = int(start / base)
            rest = float(start - shift * base)
            self._times = ((index.shown_pts - shift) * float(base) - rest).tolist()
        return self._times

    def _captured(self) -> dict[str, pd.Series[Any]]:
        import pandas as pd

        index = self._track.index
        taken = [index.captured.get(unit) for unit in index.order.tolist()]
        times = pd.Series([None if one is None else one.time_ns for one in taken], dtype="Int64")
        return {
            "captured": pd.to_datetime(times, unit="ns", utc=True).astype("datetime64[ns, UTC]"),
            "captured_by": pd.Series([None if one is None else str(one.by) for one in taken], dtype="str"),
            "captured_error_s": pd.Series([None if one is None else one.error_s for one in taken], dtype="float64"),
        }

    def _taken_at(self, when: pd.Timestamp) -> int:
        """The frame that was taken last before ``when``."""
        index, time_ns = self._track.index, when.value
        units = [unit for unit in index.order.tolist() if unit in index.captured]
        times = [index.captured[unit].time_ns for unit in units]
        if not times:
            raise IndexError(f"{self.path} does not say when its frames were taken")
        if not min(times) <= time_ns <= max(times) + int(1e9 / (self.fps or 1)):
            first, last = (datetime.fromtimestamp(one / 1e9, UTC).isoformat() for one in (min(times), max(times)))
            raise IndexError(f"{self.path} has no frame of {when}: they were taken from {first} to {last}")
        before = [(taken, unit) for taken, unit in zip(times, units, strict=True) if taken <= time_ns]
        return int(index.number[max(before)[1]])

    def _showing(self, media_s: float) -> int:
        return max(bisect_right(self._media_times, media_s + 1e-6) - 1, 0)

    def _lost_before(self) -> npt.NDArray[np.int64]:
        times = np.array(self._media_times)
        index = self._track.index
        lost = np.zeros(len(times), np.int64)
        steps = np.diff(times)
        if len(steps):
            usual = float(np.median(steps))
            breaks = index.breaks[index.order][1:]
            if usual > 0:
                lost[1:][breaks] = np.maximum(np.round(steps[breaks] / usual).astype(np.int64) - 1, 0)
        return lost

    def _marks(self) -> list[tuple[str, float, int]]:
        return [(mark.name, mark.media_s, mark.time_ns) for mark in MarksRead(self.path).more()]


def _block(path: str, first: int, last: int, shape: tuple[int, ...], _: object) -> npt.NDArray[np.uint8]:
    """The images of the frames from ``first`` up to ``last``."""
    block = np.empty((last - first, *shape), np.uint8)
    with open(path) as video:
        for number in range(first, last):
            image = video[number].image
            if image.shape != shape:
                raise SourceError(path, f"its frames change their size, at frame {number}: that makes no array")
            block[number - first] = image
    return block


def _samples(frame: Any) -> npt.NDArray[np.float32]:  # noqa: ANN401 - an av.AudioFrame, whose format varies
    """An audio frame as (samples, channels), full scale 1.0."""
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if np.issubdtype(data.dtype, np.unsignedinteger):
        data = (data.astype(np.float32) - 128) / 128
    elif np.issubdtype(data.dtype, np.integer):
        data = data / -float(np.iinfo(data.dtype).min)
    return cast("npt.NDArray[np.float32]", data.T.astype(np.float32))


def open(source: Any) -> Video:  # noqa: A001, ANN401 - recordkit.open is its name; whatever has a path
    """The frames of ``source``: a path, a Recording, a Session, or a URL that libavformat opens.

    A recording that is being written is read while it grows: its partial and its tail, without a lock.

    Raises SourceError if it cannot be opened or holds no video.
    """
    given = getattr(source, "path", source)
    if given is None:
        raise SourceError(repr(source), "has no file: no media came")
    if not isinstance(given, str | os.PathLike):
        raise SourceError(repr(source), "give a path, a Recording or a Session")
    text = os.fspath(given)
    path = Path(text)
    partial = path.with_name(partial_of(path.name))
    tail = partial.with_suffix(".tail")
    if not path.exists() and partial.exists():
        path = partial
    if path.is_file():
        store = FileStore(path, tail if path == partial else None)
        if path == partial or is_transport_stream(store):
            track = TransportTrack(store, is_growing=store.is_growing)
            if track.has_video and track.is_simple and track.can_begin:
                return Video(path, track, store)
        store.close()
    return Video(path, ContainerTrack(text if not path.is_file() else str(path)), None)
