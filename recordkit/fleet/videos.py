"""``rk.open_all``: the frames of many recordings as one sequence, one table and one Dask array."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np

from ..errors import SourceError
from ..reading.arrays import blocks_of, dask_array
from ..reading.frame import Frame
from ..reading.opening import open as open_video
from ..reading.video import SIZE, Frames, Video
from ..signatures import named
from ..telemetry.words import count_text
from ..values import SizeLike, flag, maybe
from .actions import ACTIONS
from .files import given
from .many import Files, Work, work
from .rows import table

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("recordkit")

_MOST_OPEN = 8
_MOST_TOLD = 3
_IN_ITS_FILE = ["pts", "dts"]
"""Columns that say something in the time base of one file only."""


@named
def open_all(
    files: Files,
    *,
    jobs: int | None = None,
    engine: Any = None,  # noqa: ANN401 - a distributed.Client, of an optional package
    progress: bool = True,
) -> Videos:
    """The frames of many recordings as one, in the order of their paths; arguments as of ``verify_all``.

    A recording that cannot be opened is told in the log and by ``Videos.problems``, and left out. No file stays
    open; each is as long as it was: what is written to it later is not seen.

    Raises SettingsError and FleetError as ``verify_all`` does.
    """
    what = Work("open", given("files", files))
    with closing(work(what, jobs=jobs, engine=engine, progress=flag("progress", progress))) as rows:
        return Videos(table(rows, ACTIONS[what.action].columns))


class Videos(Sequence[Frame]):
    """The frames of many recordings by number; ``recordkit.open_all`` makes it.

    ``files`` is a DataFrame, a row a recording: ``path``, ``first`` (the number of its first frame here),
    ``frames``, ``width`` and ``height`` in pixels, ``duration_s``, ``frame_rate`` a second. ``problems`` has
    ``path``, ``problem`` and ``detail`` of what could not be opened. Not to be used by two threads at once.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        good = rows["ok"].to_numpy(bool)
        self.problems = rows.loc[~good, ["path", "problem", "detail"]].reset_index(drop=True)
        found = rows[good].reset_index(drop=True)
        self._starts: list[list[int]] = found["groups"].tolist()
        self._counts = found["frames"].to_numpy(np.int64)
        self._firsts = np.concatenate(([0], np.cumsum(self._counts)))
        self.files = found[["path", "frames", "width", "height", "duration_s", "frame_rate"]].copy()
        self.files.insert(1, "first", self._firsts[:-1])
        self._paths: list[str] = self.files["path"].tolist()
        self._open: OrderedDict[int, Video] = OrderedDict()
        if len(self.problems):
            first = self.problems.iloc[0]
            words = f"{len(self.problems):,} of {count_text(len(rows), 'recording')} cannot be opened, such as"
            log.warning("%s %s: %s", words, first["path"], first["detail"])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __repr__(self) -> str:
        left_out = f", {len(self.problems):,} left out" if len(self.problems) else ""
        return f"<Videos {count_text(len(self._paths), 'recording')}, {len(self):,} frames{left_out}>"

    @overload
    def __getitem__(self, number: SupportsIndex) -> Frame: ...
    @overload
    def __getitem__(self, number: slice) -> Frames: ...
    def __getitem__(self, number: SupportsIndex | slice) -> Frame | Frames:
        """Frame ``number`` of all, which has its number in its own recording; of a slice some of them.

        Raises IndexError for a number that is not there, MediaError if the frame cannot be decoded, SourceError if
        the file cannot be read any more.
        """
        if isinstance(number, slice):
            return Frames(self, range(len(self))[number])
        count, asked = len(self), number.__index__()
        if not -count <= asked < count:
            raise IndexError(f"{self!r} has no frame {asked}")
        place, inside = self._place(asked % count)
        return self._video(place)[inside]

    def __iter__(self) -> Iterator[Frame]:
        return self.in_order(range(len(self)))

    def in_order(self, numbers: range) -> Iterator[Frame]:
        """The frames of ``numbers``, ascending, each recording by a decoder of its own."""
        while numbers:
            place, inside = self._place(numbers[0])
            end = min(int(self._counts[place]), inside + numbers.stop - numbers[0])
            here = range(inside, end, numbers.step)
            with self._reopened(place) as video:
                yield from video.in_order(here)
            numbers = numbers[len(here) :]

    def _place(self, number: int) -> tuple[int, int]:
        """Which recording has frame ``number``, and its number there."""
        place = int(np.searchsorted(self._firsts, number, "right")) - 1
        return place, number - int(self._firsts[place])

    def _video(self, place: int) -> Video:
        found = self._open.get(place)
        if found is None:
            found = self._open[place] = self._reopened(place)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(place)
        return found

    def _reopened(self, place: int) -> Video:
        """Raises SourceError if it has fewer frames than it had."""
        path, count = self._paths[place], int(self._counts[place])
        video = open_video(path)
        if len(video) < count:
            video.close()
            raise SourceError(
                path, f"had {count:,} frames when it was opened, and has {len(video):,}: open all anew"
            )
        return video

    @cached_property
    def frames(self) -> pd.DataFrame:
        """One row a frame, in their order: ``path``, ``number`` in that recording, and what ``Video.frames`` has.

        ``captured`` is when it was taken. ``pts`` and ``dts`` are left out: each file has them in a time base of
        its own. The index is the frame's number here. Raises SourceError if a file cannot be read any more.
        """
        import pandas as pd

        tables = []
        for place, count in enumerate(self._counts.tolist()):
            with self._reopened(place) as video:
                tables.append(video.frames.iloc[:count].drop(columns=_IN_ITS_FILE).reset_index())
        if not tables:
            return pd.DataFrame({"path": pd.Series(dtype="str"), "number": pd.Series(dtype="int64")})
        # What one table has for the whole of it is not that of the others.
        for one in tables:
            one.attrs.clear()
        joined = pd.concat(tables, ignore_index=True)
        codes = np.repeat(np.arange(len(self._paths)), self._counts)
        joined.insert(0, "path", pd.Series(pd.Categorical.from_codes(codes, pd.Index(self._paths))))
        return joined

    def to_dask(self, *, size: SizeLike | None = None) -> Any:  # noqa: ANN401 - a dask.array.Array, of an optional package
        """A Dask array of (frames, height, width, 3), RGB, a block for each group of frames between keyframes.

        Row ``n`` of it is frame ``n``, about which row ``n`` of ``frames`` says when it was taken. All are scaled
        to ``size`` (width and height in pixels, as they are shown) if it is given. Raises SourceError if there are
        no frames, or recordings of several sizes and no ``size``.
        """
        sides = maybe(SIZE)("size", size)
        if not len(self):
            left_out = f": {len(self.problems):,} could not be opened, see problems" if len(self.problems) else ""
            raise SourceError("these files", f"hold no frames{left_out}")
        shown = dict(zip(zip(self.files["width"], self.files["height"], strict=True), self._paths, strict=True))
        if sides is None and len(shown) > 1:
            kinds = ", ".join(
                f"{width}x{height} ({path})" for (width, height), path in list(shown.items())[:_MOST_TOLD]
            )
            raise SourceError(
                "these files", f"have frames of {len(shown)} sizes, such as {kinds}: give one for all"
            )
        width, height = next(iter(shown)) if sides is None else sides
        blocks = []
        for path, starts, count in zip(self._paths, self._starts, self._counts.tolist(), strict=True):
            blocks += blocks_of(path, Path(path), starts, count)
        return dask_array(blocks, (int(height), int(width), 3), open_video, sides)

    def close(self) -> None:
        """Close what is open; it is opened again when it is asked for."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Videos:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
