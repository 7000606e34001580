"""What the packager keeps for one stream: its sample entries, its samples, and where it stands in time."""

from __future__ import annotations

from ..bitstream.audio import AAC_SAMPLES
from ..model import AccessUnit, Codec, StreamFormat
from .entries import Entry, media_rate, priming, sample_entry
from .movie import MOVIE_RATE, TrackHead, scaled
from .samples import SampleTable

_NEVER = -(1 << 62)
_USUAL_DURATIONS = {
    Codec.AAC: AAC_SAMPLES,
    Codec.OPUS: 960,
    Codec.MP3: 1152,
    Codec.MP2: 1152,
    Codec.AC3: 1536,
    Codec.EAC3: 1536,
    Codec.DTS: 512,
}
_MPEG1_LEAST_RATE = 32_000
_USUAL_VIDEO_DURATION = MOVIE_RATE // 30


class StreamTrack:
    """What the packager keeps for one stream."""

    def __init__(self, index: int, stream_format: StreamFormat) -> None:
        self.number = index + 1
        self.format = stream_format
        self.codec = stream_format.codec
        self.is_video = stream_format.codec.is_video
        self.rate = media_rate(stream_format)
        self.sets = stream_format.config if self.is_video else b""
        self.entries = [sample_entry(stream_format, self.sets)]
        self.description = 1
        self.table = SampleTable()
        self.least_dts = _NEVER
        self.time = self.expected = _NEVER
        self.laid = -1
        is_low = self.codec is Codec.MP3 and self.rate < _MPEG1_LEAST_RATE
        self.usual_duration = 0 if self.is_video else 576 if is_low else _USUAL_DURATIONS[self.codec]
        self.last_duration = self.usual_duration or _USUAL_VIDEO_DURATION
        self._twice_rate = 2 * self.rate
        self._told_duration = 0
        self._duration = self.last_duration

    @property
    def entry(self) -> Entry:
        """The sample entry that holds now."""
        return self.entries[self.description - 1]

    def enter(self, entry: Entry) -> None:
        """From the next unit on this sample entry holds."""
        if not len(self.table):
            self.entries = [entry]
        elif entry not in self.entries:
            self.entries.append(entry)
        self.description = self.entries.index(entry) + 1

    def head(self, entries: list[Entry]) -> TrackHead:
        """What its ``trak`` says."""
        primed = priming(self.format)
        return TrackHead(
            self.number, self.is_video, self.rate, entries, self.format.language, self.usual_duration, primed
        )

    def place(self, unit: AccessUnit, ticks: int) -> tuple[int, int, int]:
        """When a unit is decoded, how much later it is shown and how long, in the track's own units.

        Ticks are coarser than the samples of audio: a unit that begins within one of where the one
        before it ends begins right there. ``laid`` is what its chunk says: a time before the recording's is
        exact only in the finished file's tables.
        """
        self.least_dts = unit.dts + 1
        duration = unit.duration
        if self.is_video:
            time = ticks
            if duration <= 0:
                duration = ticks - self.time if len(self.table) else self.last_duration
        else:
            time = (ticks * self._twice_rate + MOVIE_RATE) // (2 * MOVIE_RATE)
            if -1 <= time - self.expected <= 1:
                time = self.expected
            if time <= self.time:
                time = self.time + 1
            if duration != self._told_duration:
                self._told_duration = duration
                self._duration = self._exact(duration)
            duration = self._duration
        self.laid = time if time > self.laid else self.laid + 1
        self.time, self.expected, self.last_duration = time, time + duration, duration
        return time, unit.pts - unit.dts if self.is_video else 0, duration

    def _exact(self, ticks: int) -> int:
        """How long a unit of audio is that has this duration (0 or less: not known), in samples."""
        duration = scaled(ticks, MOVIE_RATE, self.rate) if ticks > 0 else self.last_duration
        return self.usual_duration if abs(duration - self.usual_duration) <= 1 else max(1, duration)
