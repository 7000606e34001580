"""The finish of a recording that ended without one, from what a scan found in it."""

from __future__ import annotations

from ..container import Finish
from .entries import Entry
from .movie import TrackHead, finished, keyframe_index, scaled
from .report import ChunkEvent, Event, MovieEvent, Track
from .samples import SampleTable

_MOST_PRIMING_S = 0.1
_OPUS_RATE = 48_000


class _Rebuilt:
    """One track: what it said first, the sample entries that its samples use, the samples."""

    def __init__(self, track: Track) -> None:
        self.track = self.now = track
        self.entries: list[Entry] = []
        self.table = SampleTable()

    def description(self, number: int) -> int:
        """The place among all sample entries of the ``number``-th of those that hold now."""
        entry = self.now.entries[min(number, len(self.now.entries)) - 1]
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry) + 1


class Rebuilder:
    """Takes the events of a scan in their order; ``shift`` is how much further behind the bytes will lie."""

    def __init__(self, shift: int = 0) -> None:
        self._shift = shift
        self._tracks: dict[int, _Rebuilt] = {}

    def __len__(self) -> int:
        return sum(len(one.table) for one in self._tracks.values())

    def take(self, event: Event) -> None:
        """Heeds a movie in front of fragments, and the samples of a chunk."""
        if isinstance(event, MovieEvent) and event.fragmented:
            for track in event.tracks:
                self._tracks.setdefault(track.number, _Rebuilt(track)).now = track
        elif isinstance(event, ChunkEvent):
            for sample in event.samples:
                one = self._tracks.get(sample.track)
                if one is None or not one.now.entries:
                    continue  # nothing says how it is decoded
                one.table.add(
                    sample.offset + self._shift,
                    sample.size,
                    sample.dts,
                    sample.pts - sample.dts,
                    sample.duration,
                    sample.keyframe,
                    one.description(sample.description),
                    breaks=sample.breaks,
                )

    def finish(self, file_bytes: int, front: int) -> Finish:
        """What makes a plain MP4 of ``file_bytes`` of fragments; its front box lies at ``front``."""
        return finished(self._heads(), file_bytes, front)

    def keyframe_index(self, head_bytes: int) -> bytes:
        """The ``mfra`` of chunks whose samples lie ``head_bytes`` behind their beginnings."""
        return keyframe_index(self._heads(), head_bytes)

    def _heads(self) -> list[tuple[TrackHead, SampleTable]]:
        return [
            (
                TrackHead(
                    number,
                    one.track.is_video,
                    one.track.rate,
                    one.entries,
                    one.track.language,
                    priming=_priming(one.track, one.table),
                ),
                one.table,
            )
            for number, one in sorted(self._tracks.items())
        ]


def _priming(track: Track, table: SampleTable) -> int:
    """How many samples are decoded and not heard: an Opus track says it, the front of a recording shows it.

    There the edit list says what is shown first; audio begins earlier by what it needs to settle.
    """
    if track.is_video or not len(table):
        return 0
    for described in track.described:
        if described.kind == "Opus" and len(described.config) >= 12:
            return scaled(int.from_bytes(described.config[10:12], "little"), _OPUS_RATE, track.rate)
    before = track.edits[0][1] - table.least_shown if track.edits else 0
    return before if 0 < before <= track.rate * _MOST_PRIMING_S else 0
