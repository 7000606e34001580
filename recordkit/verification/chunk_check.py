"""Holds an MP4 against the standard while it is read, fragments and finished recordings alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..bitstream.audio import adts_header, opus_control_header, parse_audio_specific_config
from ..errors import MediaError
from ..model import Codec
from ..mp4.nal import annexb
from ..mp4.report import ChunkEvent, Event, MovieEvent, ProblemKind, Sample, ScanReport, Track
from ..mp4.scanner import Scanner
from ..mpegts.report import PesEvent
from ..mpegts.tables import MappedStream
from ..ticks import TICKS_PER_SECOND
from .check import Problem, problems_of
from .facts import StreamFacts

_AS_THEY_ARE = (Codec.VP9, Codec.AV1, Codec.FLAC)
_BEGINNINGS = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide"})


def begins_an_mp4(head: bytes) -> bool:
    """Whether a file that begins so, with eight bytes or more, is an MP4."""
    return head[4:8] in _BEGINNINGS


class ChunkCheck:
    """Takes an MP4 in pieces, as ``Check`` does a transport stream; ``facts`` are the streams by track."""

    packet_bytes = 1
    demuxer = "mov"
    stream_name = "track {}"

    def __init__(self) -> None:
        self.facts: dict[int, StreamFacts] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._scanner = Scanner(payload=True)
        self._tracks: dict[int, Track] = {}
        self._movie: MovieEvent | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        self.take(self._scanner.feed(data))

    def close(self, read_at: Callable[[int, int], bytes]) -> None:
        """The file is at its end; what its ``moov`` lists outside any fragment is read by ``read_at``."""
        self.take(self._scanner.close())
        if not self.report.chunks:
            for number, track in self._tracks.items():
                for sample in _listed(track):
                    data = read_at(sample.offset, sample.size)
                    if len(data) == sample.size:
                        self._add(track, sample, data)
                if track.table is None:
                    self.facts.pop(number, None)
        self.problems = self._problems()

    @property
    def report(self) -> ScanReport:
        """What the scanner counted."""
        return self._scanner.report

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return self.report.bytes

    @property
    def programs(self) -> dict[int, list[StreamFacts]]:
        """An MP4 has none."""
        return {}

    @property
    def duration_s(self) -> float:
        """From the first frame or audio of all tracks to the last, as far as they are shown."""
        movie = self._movie
        tracks = list(self._tracks.values()) if movie is None or movie.fragmented else movie.tracks
        spans = [_shown(one, self.facts[one.number], movie) for one in tracks if one.number in self.facts]
        known = [span for span in spans if span is not None]
        return max(end for _, end in known) - min(begin for begin, _ in known) if known else 0.0

    def take(self, events: list[Event]) -> None:
        """Takes what the scanner has found, for whoever feeds that."""
        for event in events:
            if isinstance(event, MovieEvent):
                self._movie = event
            if isinstance(event, MovieEvent) and (event.fragmented or not self._scanner.report.chunks):
                for track in event.tracks:
                    self._tracks[track.number] = track
                    self.facts.setdefault(track.number, StreamFacts(_mapped(track), track.rate))
            elif isinstance(event, ChunkEvent):
                for sample in event.samples:
                    self._add(self._tracks[sample.track], sample, event.data(sample))

    def _add(self, track: Track, sample: Sample, data: bytes) -> None:
        described = track.described[min(sample.description, len(track.described)) - 1] if track.described else None
        if described is not None and described.codec is not None:
            data = _as_in_transport(data, track, sample, described.length_bytes)
        pts, dts = (time * TICKS_PER_SECOND // track.rate for time in (sample.pts, sample.dts))
        self.facts[track.number].add(
            PesEvent(track.number, sample.offset, pts, dts, sample.keyframe, False, data, sample.size, True)
        )

    def _problems(self) -> list[Problem]:
        report, found = self.report, []
        if ProblemKind.NOT_MP4 in report.problem_counts:
            detail = "the file is not an MP4" if report.bytes else "the file is empty"
            return [Problem(ProblemKind.NOT_MP4.value, 1, None, detail)]
        if ProblemKind.MISSING_MOVIE in report.problem_counts:
            detail = (
                "there is no moov, which says what is in the file: it was not finished, and is no fragmented one"
            )
            return [Problem(ProblemKind.MISSING_MOVIE.value, 1, None, detail)]
        for kind, count in report.problem_counts.items():
            first = next(problem for problem in report.problems if problem.kind is kind)
            where = "" if first.track is None else f" (track {first.track})"
            found.append(Problem(kind.value, count, first.offset, first.detail + where))
        return found + problems_of(self.facts, self.stream_name)


def _shown(track: Track, facts: StreamFacts, movie: MovieEvent | None) -> tuple[float, float] | None:
    """When a track is seen or heard first and when it ends, by its edit list (8.6.6), in seconds."""
    if facts.first_pts is None:
        return None
    begin, end = facts.first_pts / TICKS_PER_SECOND, facts.end_pts / TICKS_PER_SECOND
    media = [edit for edit in track.edits if edit[1] >= 0]
    if not media or movie is None or not movie.rate:
        return begin, end
    lasts = sum(edit[0] for edit in media) / movie.rate
    empty = sum(edit[0] for edit in track.edits) / movie.rate - lasts
    if lasts:
        return empty, empty + lasts
    hidden = media[0][1] / track.rate
    return empty + max(0.0, begin - hidden), empty + end - hidden


def _mapped(track: Track) -> MappedStream:
    described = track.described[0] if track.described else None
    known = None if described is None else described.codec
    codec = str(known) if known is not None else described.kind if described is not None else track.handler
    channels = 0 if described is None else described.channels
    return MappedStream(track.number, 0, codec, track.language, channels)


def _listed(track: Track) -> Iterator[Sample]:
    table = track.table
    if table is None:
        return
    columns = (table.offsets, table.sizes, table.dts, table.pts, table.keyframes)
    for offset, size, dts, pts, keyframe in zip(*(column.tolist() for column in columns), strict=True):
        yield Sample(track.number, offset, size, dts, pts, 0, keyframe, 1)


def _as_in_transport(data: bytes, track: Track, sample: Sample, length_bytes: int) -> bytes:
    """A sample as it stands in a transport stream, which is what the counters read."""
    described = track.described[min(sample.description, len(track.described)) - 1]
    if described.codec is None or described.codec in _AS_THEY_ARE:
        return data
    if described.codec.is_video:
        return described.sets + (annexb(data, length_bytes) or data) if sample.keyframe else annexb(data) or data
    if described.codec is Codec.OPUS:
        return opus_control_header(len(data)) + data
    config = parse_audio_specific_config(described.config) if described.codec is Codec.AAC else None
    try:
        return data if config is None else adts_header(config, len(data)) + data
    except MediaError:
        return data
