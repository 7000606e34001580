"""What the packager keeps for one stream: its sample entries, its samples, and where it stands in time."""

from __future__ import annotations

from ..bitstream.audio import AAC_SAMPLES
from ..bitstream.flac import flac_block, parse_flac
from ..model import AccessUnit, Codec, StreamFormat
from .entries import Entry, media_rate, priming, sample_entry
from .movie import MOVIE_RATE, TrackHead, first_shown, scaled
from .records import sets_in
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
_USUAL_FLAC_BLOCK = 4096
_MPEG1_LEAST_RATE = 32_000
_USUAL_VIDEO_DURATION = MOVIE_RATE // 30


class StreamTrack:
    """What the packager keeps for one stream."""

    def __init__(self, index: int, stream_format: StreamFormat) -> None:
        self.number = index + 1
        self.format = stream_format
        self.codec = stream_format.codec
        self.is_video = stream_format.codec.is_video
        self.has_nal_units = stream_format.codec.has_nal_units
        self.rate = media_rate(stream_format)
        self.sets = sets_in(self.codec, stream_format.config) if self.is_video else b""
        self.entries = [sample_entry(stream_format, self.sets)]
        self.description = 1
        self.table = SampleTable()
        self.least_dts = _NEVER
        self.time = self.expected = _NEVER
        self.laid = -1
        self._ahead = 0
        self.usual_duration = _usual_duration(stream_format, self.rate)
        self.last_duration = self.usual_duration or _USUAL_VIDEO_DURATION
        self._twice_rate = 2 * self.rate
        self._tick = 1 + self.rate // MOVIE_RATE
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

    def show_from(self, origin: int) -> None:
        """Its chunks count from where its edit list has the tick ``origin``, which is shown first."""
        self._ahead = scaled(origin, MOVIE_RATE, self.rate) - first_shown(self.head([]), origin)

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
            if -self._tick <= time - self.expected <= self._tick:
                time = self.expected
            if time <= self.time:
                time = self.time + 1
            if self.codec is Codec.FLAC:
                header = parse_flac(unit.data)
                self._duration = self._exact(duration) if header is None else header.samples
            elif duration != self._told_duration:
                self._told_duration = duration
                self._duration = self._exact(duration)
            # What fills up the last unit is not heard: its time ends before it (ISO/IEC 14496-12, 8.6.1.2).
            duration = max(1, self._duration - unit.end_trim)
        self.laid = max(time - self._ahead, self.laid + 1)
        self.time, self.expected, self.last_duration = time, time + duration, duration
        return time, unit.pts - unit.dts if self.is_video else 0, duration

    def _exact(self, ticks: int) -> int:
        """How long a unit of audio is that has this duration (0 or less: not known), in samples."""
        duration = scaled(ticks, MOVIE_RATE, self.rate) if ticks > 0 else self.last_duration
        return self.usual_duration if abs(duration - self.usual_duration) <= self._tick else max(1, duration)


def _usual_duration(stream_format: StreamFormat, rate: int) -> int:
    """How many samples a unit has unless it says something else; 0 for video."""
    codec = stream_format.codec
    if codec.is_video:
        return 0
    if codec is Codec.FLAC:
        return flac_block(stream_format.config) or _USUAL_FLAC_BLOCK
    return 576 if codec is Codec.MP3 and rate < _MPEG1_LEAST_RATE else _USUAL_DURATIONS[codec]
