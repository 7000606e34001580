"""The frames of a recording by number and by time, finished or while it is being written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from ..errors import MediaError, SettingsError, SourceError
from ..model import Captured
from ..values import SizeLike, maybe
from ..values import size as read_size
from .arrays import Reopen, audio_between, blocks_of, dask_array, frame_mappings, group_starts
from .decoder import FrameDecoder
from .frame import Frame, passing_over
from .marking import Mark, MarksRead
from .store import Grows
from .tables import frame_table, mark_table
from .times import Times, moment
from .track import TableMisfitError, Track

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("recordkit")

SIZE = read_size(1, 16_384)
_POLL_S = 0.1
_NEAR = 8
"""Frames so near to each other, and so many, are decoded in order."""


class Numbered(Protocol):
    """Frames that can be had by their numbers, or in order."""

    def __getitem__(self, number: int) -> Frame:
        """Frame ``number``."""

    def in_order(self, numbers: range) -> Iterator[Frame]:
        """Those of ``numbers``, ascending, by a decoder of their own: others can be asked for meanwhile."""


class Frames(Sequence[Frame]):
    """Some of a video's frames, none decoded before it is asked for; ``numpy.asarray`` of it are their images.

    One that cannot be decoded raises MediaError where it is asked for, and when an array is made; who goes through
    them gets the others, and a warning in the log.
    """

    def __init__(self, video: Numbered, numbers: range) -> None:
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
            return self._video.in_order(self.numbers)
        return passing_over(repr(self._video), self.numbers, self._video.__getitem__)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The images, (frames, height, width, 3). Raises MediaError if there is one that cannot be decoded."""
        images = [one.image for one in self]
        if len(images) < len(self):
            raise MediaError(
                f"of {self!r} {len(self) - len(images):,} cannot be decoded: that makes no whole array"
            )
        return np.stack(images).astype(dtype or np.uint8, copy=False)

    def __repr__(self) -> str:
        return f"<Frames {self.numbers} of {self._video!r}>"


class Video(Sequence[Frame]):
    """The frames of a file by number and by time; ``recordkit.open`` makes it.

    ``path`` is the file, ``place`` what opens it again: its path, or its URL with all its secrets. ``fps`` is
    frames a second on average (0 for fewer than two), ``duration_s`` from the first time of any stream to the last
    frame's end. Not to be used by two threads at once.
    """

    def __init__(
        self,
        path: Path,
        track: Track,
        store: Grows | None,
        reopen: Reopen,
        marks: Callable[[], list[Mark]] | None = None,
        url: str | None = None,
    ) -> None:
        self.path, self.place = path, url or track.name
        self._track = track
        self._store = store
        self._reopen = reopen
        self._marks = marks or (lambda: MarksRead(path).more())
        self._decoder = FrameDecoder(track, beside=store is None or not store.is_growing)
        self._made: Times | None = None

    def __len__(self) -> int:
        return len(self._track.index)

    def __repr__(self) -> str:
        return f"<Video {self._track.name}, {len(self):,} frames, {self.duration_s:.3f} s, {self.fps:.6g} fps>"

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
            raise IndexError(f"{self._track.name} has no frame {asked}: there are {there}")
        return self._frame(asked % count, self._decoder)

    def _frame(self, number: int, decoder: FrameDecoder) -> Frame:
        try:
            frame = decoder.frame(number)
        except TableMisfitError:
            self._track.rescan()
            decoder.restart()
            if number >= len(self):
                raise IndexError(f"{self._track.name} has no frame {number} any more: it was damaged") from None
            frame = decoder.frame(number)
        index = self._track.index
        unit = int(index.order[number])
        damaged, media_s = index.is_affected(number), self._times.of(number)
        return Frame(number, media_s, index.is_keyframe(unit), damaged, frame, index.captured(unit))

    def in_order(self, numbers: range) -> Iterator[Frame]:
        """The frames of ``numbers``, ascending, by a decoder of their own: others can be asked for meanwhile.

        Those that cannot be decoded are left out, and told in the log.
        """
        decoder = FrameDecoder(self._track, is_in_order=True)
        # There may be fewer in the end: see _frame.
        there = (number for number in numbers if number < len(self))
        return passing_over(self._track.name, there, lambda number: self._frame(number, decoder))

    def __iter__(self) -> Iterator[Frame]:
        return self.in_order(range(len(self)))

    @property
    def fps(self) -> float:
        """Frames a second on average."""
        count = len(self)
        seconds = self._times.of(count - 1) - self._times.of(0) if count > 1 else 0.0
        return (count - 1) / seconds if seconds > 0 else 0.0

    @property
    def duration_s(self) -> float:
        """Seconds from the first time of any stream to the end of the last frame."""
        return self._times.end_s

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame that can be decoded, as it is shown; MediaError without one."""
        first = next(passing_over(self._track.name, range(len(self)), self.__getitem__), None)
        if first is None:
            raise MediaError(f"{self._track.name} has no frame that can be decoded")
        return first.size

    @property
    def is_growing(self) -> bool:
        """Whether somebody may still be writing it."""
        return self._store is not None and self._store.is_growing

    @property
    def coded_count(self) -> int:
        """How many coded frames there are, those that are never shown among them."""
        return len(self._track.index.units)

    @property
    def coded_bytes(self) -> int:
        """How many bytes they have together."""
        return int(self._track.index.bytes.sum())

    def marks_made(self) -> list[Mark]:
        """The marks of its log, or of those of all its files."""
        return self._marks()

    def keyframe_of(self, number: int) -> int:
        """The frame at which decoding begins for frame ``number``; itself if that one is never shown."""
        index = self._track.index
        shown = int(index.number[index.entry[index.order[number]]])
        return shown if shown >= 0 else number

    def time_of(self, number: int) -> float:
        """When frame ``number`` is shown, in seconds of media. Raises IndexError."""
        return self._times.of(number)

    def taken(self, number: int) -> Captured | None:
        """When frame ``number`` was taken; None if nothing says so. Raises IndexError."""
        index = self._track.index
        return index.captured(int(index.order[number]))

    def showing(self, media_s: float) -> int:
        """The number of the frame that is showing at ``media_s``, the first or last one outside of the video."""
        return self._times.showing(media_s)

    @property
    def frames(self) -> pd.DataFrame:
        """One row a frame, indexed by ``number``: times, keyframe, bytes, place in the file, what is lost before.

        ``captured`` is when it was taken (UTC, NaT where nothing says so), ``captured_by`` who says so (see
        CapturedBy), ``captured_error_s`` by how much that may be off.

        ``pts`` and ``dts`` are in units of ``attrs["time_base"]`` seconds, ``media_s`` in seconds, ``offset`` in
        bytes (-1 where the container does not tell); ``lost_before`` is how many frames are missing
        before this one, as far as the times tell.
        """
        return frame_table(self._track, self._times.all, self.path)

    @property
    def marks(self) -> pd.DataFrame:
        """One row a mark of the recording's log: ``name``, ``media_s``, ``time``, ``number`` and ``captured``.

        ``time`` is when it was made (UTC), ``number`` the frame that was showing, ``captured`` when that was taken.
        """
        return mark_table(self._marks(), self._track, self._times)

    def frames_at(self, marks: pd.DataFrame) -> pd.DataFrame:
        """The row of ``frames`` that was showing at each of ``marks`` (rows with ``media_s``), in their order."""
        return self.frames.iloc[[self._times.showing(at) for at in marks["media_s"]]]

    def pts_of(self, media_s: npt.ArrayLike) -> Any:  # noqa: ANN401 - an integer of one, an array of several
        """Seconds of media as PTS of the file, in units of ``frames.attrs["time_base"]``; see ``media_s_of``."""
        return _plain(self._times.pts(media_s))

    def media_s_of(self, pts: npt.ArrayLike) -> Any:  # noqa: ANN401 - a number of one, an array of several
        """PTS as seconds of media: ``pts`` times the time base, less ``frames.attrs["start_s"]``.

        That is the first time of any of the file's streams, so that seconds of media begin at 0. Of a number it
        is a number, of several (a list, a column) an array.
        """
        return _plain(self._times.media_s(pts))

    def captured_at(self, media_s: float) -> pd.Timestamp:
        """When what is shown at ``media_s`` was taken (UTC), evenly between two frames.

        Raises IndexError if the recording does not say when its frames were taken.
        """
        import pandas as pd

        return pd.Timestamp(self._times.captured_ns(media_s), unit="ns", tz="UTC")

    def media_s_at(self, captured: datetime) -> float:
        """When what was taken at ``captured`` is shown, in seconds of media; ``captured_at`` the other way.

        Before the first frame and behind the last it goes on as time does. Raises IndexError as that does,
        SettingsError for a time without its zone.
        """
        return self._times.of_captured(_nanoseconds("captured", captured))

    def at(self, when: float | str | datetime) -> Frame:
        """The frame that is showing at ``when``: seconds of media, the name of a mark, or a time of day.

        A time of day (datetime or pandas Timestamp, with its time zone) asks for the frame that was taken then.

        Raises IndexError for a time outside the video, KeyError for a mark that is not there.
        """
        if isinstance(when, str):
            return self[self._times.showing(self._mark(when).media_s)]
        return self[self.find(when)]

    def find(self, when: float | datetime) -> int:
        """The number of the frame that is showing at ``when``, as in ``at``. Raises IndexError, SettingsError."""
        if isinstance(when, datetime):
            return self._times.taken_at(_nanoseconds("when", when))
        if not len(self) or not 0 <= moment("when", when) <= self.duration_s:
            raise IndexError(f"{self._track.name} has no frame at {when} s: it ends at {self.duration_s:.3f} s")
        return self._times.showing(when)

    def between(self, begin: float, end: float) -> Frames:
        """The frames that begin to be shown at ``begin`` seconds of media or later, and before ``end``.

        Infinity is behind all of them. Raises SettingsError for what is no number.
        """
        first = self._times.before(moment("begin", begin))
        last = self._times.before(moment("end", end))
        return Frames(self, range(first, max(first, last)))

    def audio(self, begin: float = 0.0, end: float | None = None) -> tuple[npt.NDArray[np.float32], int]:
        """The first audio stream from ``begin`` to ``end`` seconds of media, and its rate in Hz.

        (samples, channels), full scale 1.0; 0 where there is no audio (before it begins, in a gap). Of a file
        without audio the array is empty and the rate 0. Without ``end``, or with infinity, to the last frame's end.
        Raises SettingsError for what is no number.
        """
        begin = 0.0 if begin == -inf else moment("begin", begin)
        end = self.duration_s if end in (None, inf) else moment("end", end)
        return audio_between(self._track, begin, end)

    @property
    def groups(self) -> list[int]:
        """The numbers of the frames with which groups begin that are decoded by themselves; 0 is the first."""
        return group_starts(self._track.index)

    def to_dask(self, *, size: SizeLike | None = None) -> Any:  # noqa: ANN401 - a dask.array.Array, of an optional package
        """A Dask array of (frames, height, width, 3), RGB, a block for each group of frames between keyframes.

        Each block opens the file by itself, so that blocks are computed beside each other. All frames are scaled
        to ``size`` (width and height in pixels, as they are shown), if it is given. Raises SourceError for a file
        without frames; computing it does for one whose frames change their size, if none is given, and MediaError
        for a frame that cannot be decoded: each has its row.
        """
        if not len(self):
            raise SourceError(self._track.name, "holds no frames")
        sides = maybe(SIZE)("size", size)
        width, height = self.size if sides is None else sides
        blocks = blocks_of(self.place, self.path, self.groups, len(self))
        return dask_array(blocks, (height, width, 3), self._reopen, sides)

    def frame_mappings(self) -> str:
        """What torchcodec's ``VideoDecoder`` takes as ``custom_frame_mappings``: JSON, a mapping for each frame.

        With it torchcodec finds each frame without a scan of its own.
        """
        return frame_mappings(self._track)

    def refresh(self) -> int:
        """Look for frames that were written meanwhile; how many there are now."""
        store = self._store
        if store is not None:
            if store.is_growing:
                self._track.refresh()
            else:
                self._track.finish()
        return len(self)

    def follow(self, *, from_number: int | None = None, timeout_s: float = 30.0) -> Iterator[Frame]:
        """Each frame as it is written, from ``from_number`` on (the next one by default), to the recording's end.

        Ends, too, when nothing new has come for ``timeout_s``.
        """
        number = len(self) if from_number is None else from_number
        deadline = time.monotonic() + timeout_s
        while True:
            is_growing = self._store is not None and self._store.is_growing
            count = self.refresh()
            if number < count:
                yield from passing_over(self._track.name, range(number, count), self.__getitem__)
                number = count
                deadline = time.monotonic() + timeout_s
                continue
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
    def _times(self) -> Times:
        # Whoever reads beside this may have found more, or have learnt all anew.
        if self._made is None or not self._made.is_of(self._track):
            self._made = Times(self._track)
        return self._made

    def _mark(self, name: str) -> Mark:
        marks = self._marks()
        found = next((mark for mark in marks if mark.name == name), None)
        if found is None:
            there = ", ".join(repr(mark.name) for mark in marks[:10]) or "none"
            raise KeyError(f"{self._track.name} has no mark {name!r}: there are {there}")
        return found


def _plain(found: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - see pts_of
    return found if found.ndim else found.item()


def _nanoseconds(name: str, when: datetime) -> int:
    import pandas as pd

    if when.tzinfo is None:
        raise SettingsError(name, when, "give it a time zone, such as UTC")
    return pd.Timestamp(when).value
