"""A recording that has ended, and the counters of what happened on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..model import FlushRecord, Received, StreamFormat
from ..plots import preview
from ..telemetry.frames import Log, Logged
from ..values import WholeLike

if TYPE_CHECKING:
    import pandas as pd

    from .. import Player
    from ..reading.embed import Embedded
    from ..reading.video import Video

MOST_EMBEDDED_BYTES = 5_000_000
"""Forges and viewers show notebooks of up to about twice that."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What has happened to the media so far.

    ``taken_items`` were queued; ``dropped_items`` were refused because the queue was full;
    ``late_items`` had times that went back a little, ``mistimed_items`` times that were not
    believed; ``rejected_items`` could not be encoded or carried. ``skipped_units`` are packets
    before the first frame that a decoder can start from. ``video_units`` and ``audio_units``
    have been packetised; ``late_units`` of them came over 0.8 s behind another stream.
    ``untimed_items`` came without a time, ``restarts`` counts sources that began anew,
    ``gap_count`` and ``gap_s`` gaps in the audio. ``abandoned_items`` were queued, or coded, when the
    recording ended by itself, and are not in the file. ``received`` is what came over a network,
    None where nothing does.
    """

    taken_items: int = 0
    dropped_items: int = 0
    late_items: int = 0
    mistimed_items: int = 0
    rejected_items: int = 0
    skipped_units: int = 0
    untimed_items: int = 0
    restarts: int = 0
    video_units: int = 0
    audio_units: int = 0
    late_units: int = 0
    gap_count: int = 0
    gap_s: float = 0.0
    abandoned_items: int = 0
    received: Received | None = None


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """One of several files of a recording: the ``number``-th, counted from 1.

    It begins ``begins_s`` into the recording and has ``duration_s`` of media, both in seconds. ``path`` is that of
    the partial if it is not ``committed``.
    """

    path: Path
    number: int
    bytes: int
    begins_s: float
    duration_s: float
    committed: bool


@dataclass(frozen=True)
class Recording(Logged):
    """A recording that has ended. ``path`` is None where no media came and no file was made.

    Of a recording in several files (``Segments``) ``segments`` tells of each, and ``path`` is the last one's;
    ``bytes``, ``duration_s`` and ``counters`` are those of all of them together.

    ``ended_because`` says why it ended by itself ("disk full", "the source ended"), or why nothing was
    recorded although media came; it is None when the recording was stopped.

    ``flushes``, ``samples``, ``events`` and ``alerts`` are DataFrames, built when they are asked for.
    In a terminal it prints as two lines, in a notebook it shows its figures, keyframes and plots.
    """

    path: Path | None
    bytes: int
    duration_s: float
    streams: dict[int, StreamFormat]
    counters: Counters
    flush_log: Log = field(repr=False)
    ended_because: str | None = None
    segments: tuple[SegmentFile, ...] = ()

    @property
    def log(self) -> Log:
        """All that is known of it."""
        return self.flush_log

    @property
    def flush_records(self) -> tuple[FlushRecord, ...]:
        """The newest flushes, oldest first."""
        return self.flush_log.contents.flushes

    def open(self) -> Video:
        """Its frames by number and by time, as of ``recordkit.open``. Raises SourceError without video."""
        # Who only records needs none of that, which takes memory.
        from ..reading.opening import open as open_video

        return open_video(self)

    def play(self) -> Player:
        """A player of it for a notebook's page, as of ``recordkit.Player``. Raises SourceError without video."""
        from .. import Player

        return Player(self)

    def embed(
        self,
        max_bytes: WholeLike = MOST_EMBEDDED_BYTES,
        *,
        start: float | str | None = None,
        end: float | str | None = None,
    ) -> Embedded:
        """A clip that plays in a notebook's page without a kernel: an MP4 that stands in the page itself.

        Show it as the last line of a cell. The page grows by ``max_bytes`` at most; of a longer recording the
        clip has what fits, from the beginning or from ``start`` on, and the page says so. ``start`` and ``end``
        are seconds of media or the names of marks. Nothing is encoded.

        Raises SettingsError if not even a frame fits, or the clip would reach beyond the recording's end;
        MediaError for a coding that browsers do not play; SourceError if the file is gone, or is audio alone
        that is no MP4.
        """
        from ..reading.embed import embed

        return embed(self, max_bytes=max_bytes, start=start, end=end)

    @property
    def frames(self) -> pd.DataFrame:
        """One row a frame, as in ``Video.frames``. Raises SourceError without video."""
        with self.open() as video:
            return video.frames

    @property
    def marks(self) -> pd.DataFrame:
        """One row a mark: ``name``, ``media_s``, ``time`` and the ``number`` of the frame that was showing."""
        with self.open() as video:
            return video.marks

    def frames_at(self, marks: pd.DataFrame) -> pd.DataFrame:
        """The row of ``frames`` that was showing at each of ``marks`` (rows with ``media_s``), in their order."""
        with self.open() as video:
            return video.frames_at(marks)

    def __str__(self) -> str:
        return preview.text(self)

    def _repr_html_(self) -> str:
        return preview.html(self)
