"""The values that pass between the rooms: frozen, slotted, validated when built.

Times named ``pts`` and ``dts`` are ticks of 90 kHz, unwrapped (plain integers that never fold
back at 33 bits); other times carry their unit as a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import TypedDict, Unpack

from .errors import MediaError

VIDEO_CODINGS = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
"""What live sources code video in; all other codings are audio."""


class Codec(StrEnum):
    """The codings that an elementary stream may have, under libavcodec's names."""

    H264 = "h264"
    H265 = "hevc"
    VP9 = "vp9"
    AV1 = "av1"
    AAC = "aac"
    MP3 = "mp3"
    MP2 = "mp2"
    AC3 = "ac3"
    EAC3 = "eac3"
    DTS = "dts"
    OPUS = "opus"
    FLAC = "flac"
    PCM = "pcm_s16le"

    is_video: bool
    """Whether it codes video."""
    has_nal_units: bool
    """Whether it is video made of NAL units, which stand behind start codes or lengths."""

    def __init__(self, name: str) -> None:
        # No properties: they are asked for several times a unit.
        self.is_video = name in VIDEO_CODINGS
        self.has_nal_units = name in ("h264", "hevc")


class CapturedBy(StrEnum):
    """Who told when a frame was taken, the best first."""

    ABS_CAPTURE_TIME = "abs-capture-time"
    SENDER_REPORT = "sender-report"
    DEVICE = "device"
    CALLER = "caller"
    SOURCE = "source"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Captured:
    """When a frame was taken: nanoseconds since the epoch in UTC, who says so, and by how much it may be off.

    ``error_s`` is in seconds, None if nobody knows.
    """

    time_ns: int
    by: CapturedBy
    error_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What one elementary stream carries.

    ``width`` and ``height`` are in pixels (video), ``sample_rate`` in Hz and ``channels`` a count
    (audio); ``language`` is an ISO 639-2 code of three letters, or None. ``config`` is what a decoder
    is told beforehand, as far as it is known: the parameter sets of video as an Annex B byte stream, the
    sequence header of AV1, of VP9 three numbers of ISO/IEC 23091-2 for its colours and what its keyframes say,
    the AudioSpecificConfig of AAC, the OpusHead of Opus, the STREAMINFO of FLAC; empty if it says nothing beyond
    the other fields. Parameter sets travel in the access units as well. Formats that differ in their ``config``
    alone are equal. ``priming`` is how many samples at the beginning are decoded and not heard.

    Raises MediaError where a value cannot be carried.
    """

    codec: Codec
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    language: str | None = None
    config: bytes = field(default=b"", repr=False, compare=False)
    priming: int = 0

    def __post_init__(self) -> None:
        if not self.codec.is_video:
            if self.sample_rate <= 0:
                raise MediaError(f"{self.codec} needs a sample rate, not {self.sample_rate}")
            if not 1 <= self.channels <= 8:
                raise MediaError(f"{self.codec} with {self.channels} channels cannot be carried (1 to 8)")
        if self.language is not None and not (
            len(self.language) == 3 and self.language.isascii() and self.language.isalpha()
        ):
            raise MediaError(f"language {self.language!r} is not an ISO 639-2 code of three letters")


class _Changes(TypedDict, total=False):
    """What of an access unit becomes another one on its way."""

    data: bytes
    prefix: bytes
    random_access: bool
    duration: int
    captured: Captured
    header: bytes
    nal_starts: tuple[int, ...]
    is_second_field: bool


@dataclass(slots=True)
class AccessUnit:
    """One coded video or audio frame in its elementary form, which is the same for every container.

    Nobody changes it (to be frozen would cost four times as much); ``altered`` makes another one of it.

    H.264 and H.265 are an Annex B byte stream without access unit delimiter, VP9 is a frame or superframe, AV1 a
    temporal unit without its delimiter, AAC is raw, Opus the bare packet.
    ``prefix`` stands before the ``data`` of video (parameter sets and other NAL units); it is kept apart so that
    a large frame is not copied to put a few bytes before it. ``pts``, ``dts`` and ``duration`` are ticks.
    ``discontinuity`` says that media is missing before this unit. ``start_trim`` and ``end_trim`` are samples
    at the beginning and end of a unit that are decoded and not heard, where a container has a place for that.
    ``captured`` is when a frame was taken, as far as anybody says.

    ``header`` is what a transport stream puts before the unit, and no other container does, as the source had
    it (delimiter, ADTS header); if it is empty, a transport stream makes its own. ``nal_starts`` are the offsets
    in ``data`` of all its NAL units, behind their start codes, from whoever knows them; empty if nobody does.
    ``is_second_field`` says that it is a field, and completes the frame of the unit before.
    """

    stream: int
    pts: int
    dts: int
    data: bytes
    prefix: bytes = b""
    random_access: bool = False
    discontinuity: bool = False
    duration: int = 0
    start_trim: int = 0
    end_trim: int = 0
    captured: Captured | None = None
    header: bytes = b""
    nal_starts: tuple[int, ...] = ()
    is_second_field: bool = False

    def __post_init__(self) -> None:
        if self.dts > self.pts:
            raise MediaError(f"DTS {self.dts} is after PTS {self.pts}", self.stream)
        if not self.data:
            raise MediaError("an access unit without bytes", self.stream)

    def altered(self, **changes: Unpack[_Changes]) -> AccessUnit:
        """Another one that differs in what is given (``dataclasses.replace`` takes several times as long).

        Raises MediaError as a new one does.
        """
        made = AccessUnit(
            self.stream,
            self.pts,
            self.dts,
            self.data,
            self.prefix,
            self.random_access,
            self.discontinuity,
            self.duration,
            self.start_trim,
            self.end_trim,
            self.captured,
            self.header,
            self.nal_starts,
            self.is_second_field,
        )
        for name, value in changes.items():
            setattr(made, name, value)
        made.__post_init__()
        return made


@dataclass(frozen=True, slots=True)
class EncodedUnit:
    """One coded video or audio frame as a live source gives it, not yet of any recording.

    ``codec`` is libavcodec's name of the coding ("h264", "vp8", "opus", "pcm_mulaw"); ``data`` one
    whole unit, H.264 as an Annex B byte stream. ``ticks`` is when it is shown, unwrapped, on the
    timeline that all streams of the source share; None where nobody knows. ``is_entry`` says that
    a decoder can start here, ``discontinuity`` that media is missing before it. ``duration`` is in
    ticks, 0 where it is not known. Video without ``data`` says that the last frame still stands at ``ticks``.
    ``captured`` is when a frame was taken, None if the source does not know. ``nal_starts`` are as those of an
    AccessUnit. Of audio ``data`` may be several packets that follow each other without a gap: ``sizes`` are theirs
    in bytes, empty if it is one.
    """

    codec: str
    data: bytes
    ticks: int | None
    is_entry: bool
    discontinuity: bool = False
    duration: int = 0
    captured: Captured | None = None
    nal_starts: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.data and not (self.is_video and self.ticks is not None):
            raise MediaError(f"a unit of {self.codec} without bytes")

    @property
    def is_video(self) -> bool:
        """Whether it is video."""
        return self.codec in VIDEO_CODINGS

    @property
    def packets(self) -> list[bytes]:
        """What ``data`` consists of."""
        if not self.sizes:
            return [self.data]
        ends = [*accumulate(self.sizes)]
        return [self.data[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]


@dataclass(frozen=True, slots=True)
class Received:
    """What came over a network, one stream or several.

    ``packets`` came in time, ``recovered_packets`` of them behind a later one (retransmitted, or
    only out of order); ``lost_packets`` were given up, ``late_packets`` of these came after all, too
    late; ``duplicate_packets`` came again. ``received_units`` were whole, ``dropped_units`` not, or
    refer to some that were not; for ``refused_units`` of the whole ones there was no room.
    ``keyframe_requests`` were sent. ``refused_packets`` came from other sources beside the one that is
    recorded.
    """

    packets: int = 0
    late_packets: int = 0
    lost_packets: int = 0
    recovered_packets: int = 0
    duplicate_packets: int = 0
    received_units: int = 0
    dropped_units: int = 0
    refused_units: int = 0
    keyframe_requests: int = 0
    refused_packets: int = 0

    def __add__(self, other: Received) -> Received:
        """Both together."""
        return Received(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __sub__(self, earlier: Received) -> Received:
        """What came since ``earlier``."""
        return Received(*(getattr(self, name) - getattr(earlier, name) for name in self.__slots__))


class FlushReason(StrEnum):
    """Why the buffer was flushed."""

    THRESHOLD = "threshold"
    INTERVAL = "interval"
    EXPLICIT = "explicit"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class FlushRecord:
    """One flush: one large write that ends on a transport-packet boundary.

    ``time_ns`` is wall-clock time since the epoch in UTC; ``elapsed_s`` is monotonic since the
    start; ``interval_s`` since the flush before (or the start). ``file_bytes`` is the main file's
    size after the flush, ``bytes_at_risk`` what a power cut just before the flush ended would
    have cost. ``media_s`` is the time that the flushed units cover. ``dropped_units`` counts from
    the start of the recording. ``rss_bytes`` is None if the system did not tell it.
    """

    index: int
    time_ns: int
    elapsed_s: float
    flush_bytes: int
    file_bytes: int
    write_s: float
    sync_s: float
    reason: FlushReason
    interval_s: float
    video_units: int
    audio_units: int
    media_s: float
    dropped_units: int
    queue_bytes: int
    bytes_at_risk: int
    rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """How the recording process stood at one moment; times as in FlushRecord.

    ``rss_bytes``, ``uss_bytes`` and ``peak_rss_bytes`` are of the whole process, ``cpu_share`` is
    its CPU time since the sample before as a share of one core. ``file_bytes`` is the size of the
    recording's file as the file system tells it; ``buffer_bytes`` waits for the next flush,
    ``queue_bytes`` to be encoded. ``full_in_s`` is when the disk will be full at the rate of the
    last minute. What a system does not tell, or does not apply, is None.
    """

    time_ns: int
    elapsed_s: float
    rss_bytes: int | None
    uss_bytes: int | None
    peak_rss_bytes: int | None
    cpu_share: float
    threads: int | None
    open_files: int | None
    file_bytes: int | None
    buffer_bytes: int
    queue_bytes: int
    dropped_units: int
    since_flush_s: float
    silent_s: float
    free_bytes: int | None
    full_in_s: float | None
    loop_lag_s: float | None


class EventKind(StrEnum):
    """What can happen to a recording."""

    START = "start"
    STREAM = "stream"
    LISTENING = "listening"
    FIRST_BYTE = "first byte"
    KEYFRAME = "keyframe"
    SIZE_CHANGE = "size change"
    GAP = "gap"
    DROP = "drop"
    STALL = "stall"
    DISCONTINUITY = "discontinuity"
    RECONNECT = "reconnect"
    LATE_STREAM = "late stream"
    EARLY_END = "early end"
    ALTERED = "altered"
    SOURCE_ENDED = "source ended"
    CLOCK = "clock"
    MARK = "mark"
    SEGMENT = "segment"
    DEGRADED = "degraded"
    RESTORED = "restored"
    ALERT_RAISED = "alert raised"
    ALERT_CLEARED = "alert cleared"
    STOP = "stop"
    COMMIT = "commit"
    DELETED = "deleted"
    PAUSE = "pause"
    RESUME = "resume"
    KEEP = "keep"
    HOOK_FAILED = "hook failed"
    FAILURE = "failure"


Field = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; ``fields`` say what, and are plain values that JSON can carry."""

    time_ns: int
    elapsed_s: float
    kind: EventKind
    fields: Mapping[str, Field]
