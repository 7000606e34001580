"""What a caller may choose: how media is encoded, and how it is brought to the disk. Frozen values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from .errors import SettingsError
from .intake import Overflow
from .model import FlushRecord
from .names import AUDIO_ALONE, segment_fields, segment_name
from .signatures import named
from .system import Clock, System
from .telemetry.alerts import Alert, AlertSettings
from .values import (
    NumberLike,
    PathLike,
    RateLike,
    Setting,
    SizeLike,
    WholeLike,
    flag,
    function,
    instance,
    maybe,
    number,
    one_of,
    path,
    rate,
    ratio,
    seconds,
    size,
    whole,
)

_DAY_S = 86_400
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
SMALLEST_SIDE, LARGEST_SIDE = 16, 8192
LONGEST_MARK = 500

AudioCodec = Literal["aac", "opus", "mp3", "pcm"]
Gaps = Literal["silence", "mark"]
Durability = Literal["flush", "process"]
OnDiskFull = Literal["stop", "wait"]
FinishKind = Literal["plain", "fragmented"]
OnPartial = Literal["error", "recover", "rename"]
AdmissionPolicy = Literal["check", "off"]


@named
@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How video is encoded (libx264, no frame held back).

    ``size`` is (width, height) in pixels or text such as ``"1280x720"``, None keeps that of the frames.
    ``bit_rate`` is in bits a second (``"2M"`` works); without it the quality is constant at ``crf`` (0 to 51,
    lower is better). ``keyframe_interval`` is in seconds. ``frame_rate`` is a hint for the rate control:
    timestamps alone say when a frame is shown. ``pixel_aspect`` is the width of a pixel over its height,
    None where they are square or nobody knows.

    Frames that come coded as H.264 from a live source are kept as they are, unless a ``size``, a
    ``bit_rate`` or ``transcode`` asks for them to be decoded and encoded anew; other codings always are.

    Raises SettingsError.
    """

    preset: Setting[str, str] = Setting(one_of(*PRESETS, advice=f"choose one of {', '.join(PRESETS)}"), "veryfast")
    bit_rate: Setting[WholeLike | None, int | None] = Setting(
        maybe(whole(10_000, 500_000_000, "bits per second")), None
    )
    crf: Setting[NumberLike, float] = Setting(number(0, 51, "give 0 (lossless) to 51"), 23.0)
    keyframe_interval: Setting[NumberLike, float] = Setting(seconds(0.1, 60, "give 0.1 to 60 seconds"), 2.0)
    size: Setting[SizeLike | None, tuple[int, int] | None] = Setting(maybe(size(SMALLEST_SIDE, LARGEST_SIDE)), None)
    frame_rate: Setting[RateLike | None, Fraction | None] = Setting(maybe(rate), None)
    pixel_aspect: Setting[RateLike | None, Fraction | None] = Setting(
        maybe(ratio(Fraction(1, 100), Fraction(100), "give 1/100 to 100, as a Fraction or text such as '4/3'")),
        None,
    )
    transcode: Setting[bool, bool] = Setting(flag, False)


@named
@dataclass(frozen=True, kw_only=True)
class AudioSettings:
    """How audio is encoded: AAC-LC, or Opus with ``codec="opus"``, which fewer players read, or MP3.

    In a file of audio alone its suffix chooses: WAV has ``"pcm"`` (16 bits), which no other has a place for.

    Opus that comes from a live source is kept as it is where Opus is asked for.

    ``bit_rate`` is in bits a second (``"96k"`` works) of up to two channels, more get as much each;
    ``sample_rate`` in Hz, None keeps that of the frames where AAC has it, and takes 48,000 where not;
    ``channels`` is 1 or 2, None keeps up to 5.1 with AAC and stereo with Opus: what has more is mixed, and that
    is told. ``language`` is an ISO 639-2 code.

    Timestamps that differ from the count of samples by up to ``gap_tolerance`` seconds are taken
    for jitter. Beyond that there is a gap: ``gaps="silence"`` fills it (up to a minute),
    ``"mark"`` leaves it and marks the next unit as a discontinuity. Audio that overlaps what came
    before it is cut.

    Raises SettingsError.
    """

    bit_rate: Setting[WholeLike, int] = Setting(whole(8_000, 512_000, "bits per second"), 128_000)
    sample_rate: Setting[int | None, int | None] = Setting(
        maybe(one_of(*AAC_RATES, advice=f"AAC has {', '.join(map(str, AAC_RATES))} Hz")), None
    )
    channels: Setting[int | None, int | None] = Setting(maybe(one_of(1, 2)), None)
    language: Setting[str | None, str | None] = Setting(
        maybe(instance(str, "give an ISO 639-2 code, such as 'deu'")), None
    )
    gaps: Setting[Gaps, Gaps] = Setting(one_of("silence", "mark"), "silence")
    gap_tolerance: Setting[NumberLike, float] = Setting(seconds(0.001, 10, "give 0.001 to 10 seconds"), 0.03)
    codec: Setting[AudioCodec, AudioCodec] = Setting(one_of(*get_args(AudioCodec)), "aac")


_ROOM = whole(1, 1 << 62, "bytes")


@named
@dataclass(frozen=True, kw_only=True)
class Keep:
    """How much of a folder's recordings is kept: what is beyond one of the bounds goes, the oldest first.

    ``max_age`` is in seconds since a recording ended, ``max_bytes`` bounds all recordings of the folder together,
    with what lies beside them, ``min_free`` is what stays free on the disk, ``max_count`` the number of
    recordings. Text has units: ``"7d"``, ``"200GB"`` (thousands). With ``verified_only`` a recording goes only if
    ``verify`` finds nothing wrong with it, which reads all of it.

    Raises SettingsError, where there is no bound at all, too.
    """

    max_age: Setting[NumberLike | None, float | None] = Setting(
        maybe(seconds(1, 1e10, "give a time of at least a second, such as '7d' or '12h'")), None
    )
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(_ROOM), None)
    min_free: Setting[WholeLike | None, int | None] = Setting(maybe(_ROOM), None)
    max_count: Setting[int | None, int | None] = Setting(maybe(whole(1, 1 << 40, "recordings")), None)
    verified_only: Setting[bool, bool] = Setting(flag, False)

    def __post_init__(self) -> None:
        if self.max_age is self.max_bytes is self.min_free is self.max_count is None:
            raise SettingsError(
                "max_age", None, "give max_age, max_bytes, min_free or max_count: nothing is bounded"
            )


@named
@dataclass(frozen=True, kw_only=True)
class Segments:
    """When a recording goes on in the next of several files.

    ``every`` is how long a file is, in seconds of media (``"10min"`` works); with ``at_clock`` a file ends when the
    wall clock shows a whole multiple of it, counted from midnight of the local time zone. ``max_bytes`` is what a
    file may have, as far as it has more than one group of frames. With ``at_marks`` each mark begins a file.
    ``cut()`` begins one at any time.

    A file begins with a keyframe: at the first frame that is due if frames are encoded, else at the next keyframe
    that comes.

    Raises SettingsError.
    """

    every: Setting[NumberLike | None, float | None] = Setting(
        maybe(seconds(0.1, 30 * _DAY_S, "give 0.1 seconds to 30 days, such as '10min' or 3600")), None
    )
    max_bytes: Setting[WholeLike | None, int | None] = Setting(maybe(whole(100_000, 1 << 60, "bytes")), None)
    at_clock: Setting[bool, bool] = Setting(flag, False)
    at_marks: Setting[bool, bool] = Setting(flag, False)

    def __post_init__(self) -> None:
        if self.at_clock and (self.every is None or _DAY_S % self.every):
            raise SettingsError(
                "every", self.every, "files that end by the clock need a time that divides a day, such as '10min'"
            )


AudioLike = AudioSettings | Sequence[AudioSettings] | None
FlushLogLike = bool | PathLike


OnCommitLike = Callable[..., object] | Sequence[str] | None
"""A function that is called with the finished Recording, or a command as a list of words."""


class PortableOptions(TypedDict, total=False):
    """The settings of a recording that can be sent to another process; RecordingSettings describes them."""

    video: VideoSettings | None
    audio: AudioLike
    flush_threshold: WholeLike
    flush_interval: NumberLike
    durability: Durability
    overwrite: bool
    on_partial: OnPartial
    on_disk_full: OnDiskFull
    finish: FinishKind
    overflow: Overflow
    queue_bytes: WholeLike
    sample_interval: NumberLike
    flush_log: FlushLogLike
    alerts: AlertSettings
    keep: Keep | None
    on_commit: OnCommitLike
    on_commit_timeout: NumberLike
    admission: AdmissionPolicy
    embed_times: bool
    frame_table: bool
    segments: Segments | None


class RecordingOptions(PortableOptions, total=False):
    """All settings of a recording but its path, by name."""

    on_flush: Callable[[FlushRecord], None] | None
    on_alert: Callable[[Alert], None] | None
    _clock: Clock
    _system: System


def _audio(name: str, value: Any) -> tuple[AudioSettings, ...]:  # noqa: ANN401 - whatever a caller gives
    given = () if value is None else (value,) if isinstance(value, AudioSettings) else value
    if not isinstance(given, Sequence) or not all(isinstance(one, AudioSettings) for one in given):
        raise SettingsError(name, value, "give AudioSettings, a sequence of them, or None for no audio")
    return tuple(given)


def _on_commit(name: str, value: Any) -> Callable[..., object] | tuple[str, ...] | None:  # noqa: ANN401 - as above
    if value is None or callable(value):
        return cast("Callable[..., object] | None", value)
    words = tuple(value) if isinstance(value, list | tuple) else ()
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        advice = (
            "give a function, or a command as a list of words, such as ['rclone', 'move', '{path}', 'remote:cam']"
        )
        raise SettingsError(name, value, advice)
    return words


def _flush_log(name: str, value: Any) -> bool | Path:  # noqa: ANN401 - whatever a caller gives
    return flag(name, value) if isinstance(value, bool) else path(name, value)


@named
@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """The settings of one recording, which all its parts share; Recorder says what they mean.

    ``path`` is that of the finished file. ``clock`` and ``system`` are the machine's; tests give others, as
    ``_clock`` and ``_system``.

    Raises SettingsError.
    """

    path: Setting[PathLike, Path] = Setting(path)
    flush_threshold: Setting[WholeLike, int] = Setting(
        whole(64 * 1024, 1 << 30, "bytes (64 KiB to 1 GiB)", kilo=1024), 4 * 1024 * 1024
    )
    flush_interval: Setting[NumberLike, float] = Setting(
        seconds(0.05, 3600, "give 0.05 to 3600 seconds, such as 2 or '500ms'"), 2.0
    )
    durability: Setting[Durability, Durability] = Setting(one_of("flush", "process"), "flush")
    on_disk_full: Setting[OnDiskFull, OnDiskFull] = Setting(one_of("stop", "wait"), "stop")
    finish: Setting[FinishKind, FinishKind] = Setting(one_of("plain", "fragmented"), "plain")
    overwrite: Setting[bool, bool] = Setting(flag, False)
    video: Setting[VideoSettings | None, VideoSettings | None] = Setting(
        maybe(instance(VideoSettings, "give VideoSettings, or None for no video")), VideoSettings()
    )
    audio: Setting[AudioLike, tuple[AudioSettings, ...]] = Setting(_audio, AudioSettings())
    on_partial: Setting[OnPartial, OnPartial] = Setting(one_of("error", "recover", "rename"), "error")
    overflow: Setting[Overflow, Overflow] = Setting(one_of("block", "drop"), "block")
    queue_bytes: Setting[WholeLike, int] = Setting(whole(64 * 1024, 1 << 40, "bytes", kilo=1024), 16 * 1024 * 1024)
    sample_interval: Setting[NumberLike, float] = Setting(seconds(0, 3600, "give 0 (none) to 3600 seconds"), 1.0)
    flush_log: Setting[FlushLogLike, bool | Path] = Setting(_flush_log, True)
    alerts: Setting[AlertSettings, AlertSettings] = Setting(
        instance(AlertSettings, "give AlertSettings"), AlertSettings()
    )
    keep: Setting[Keep | None, Keep | None] = Setting(
        maybe(instance(Keep, "give recordkit.Keep(max_age=..., ...), or None to delete nothing")), None
    )
    on_commit: Setting[OnCommitLike, Callable[..., object] | tuple[str, ...] | None] = Setting(_on_commit, None)
    on_commit_timeout: Setting[NumberLike, float] = Setting(
        seconds(0.001, 1e6, "give a time above 0, such as 30 or '10min'"), 600.0
    )
    admission: Setting[AdmissionPolicy, AdmissionPolicy] = Setting(one_of("check", "off"), "check")
    embed_times: Setting[bool, bool] = Setting(flag, True)
    frame_table: Setting[bool, bool] = Setting(flag, True)
    segments: Setting[Segments | None, Segments | None] = Setting(
        maybe(instance(Segments, "give Segments, or None for one file")), None
    )
    on_flush: Setting[Callable[[FlushRecord], None] | None, Callable[[FlushRecord], None] | None] = Setting(
        maybe(function), None
    )
    on_alert: Setting[Callable[[Alert], None] | None, Callable[[Alert], None] | None] = Setting(
        maybe(function), None
    )
    _clock: Clock = field(default_factory=Clock, repr=False, compare=False)
    _system: System = field(default_factory=System, repr=False, compare=False)

    def __post_init__(self) -> None:
        alone = AUDIO_ALONE.get(Path(self.path).suffix)
        if alone is not None:
            # The dataclass is frozen, its fields read what they are given.
            object.__setattr__(self, "video", None)
            object.__setattr__(
                self, "audio", [replace(one, codec=cast("AudioCodec", alone)) for one in self.audio[:1]]
            )
        elif any(one.codec == "pcm" for one in self.audio):
            raise SettingsError("codec", "pcm", "only a recording whose name ends in .wav has a place for it")
        if self.video is None and not self.audio:
            raise SettingsError("video", None, "there must be video or audio to record")
        if self.keep is not None and self.flush_log is not True and (self.video is None or not self.frame_table):
            advice = "recordings are known by the log or the table beside them: leave flush_log or frame_table on"
            raise SettingsError("keep", self.keep, advice)
        if self.finish == "fragmented" and Path(self.path).suffix != ".mp4":
            raise SettingsError("finish", self.finish, "only a recording whose name ends in .mp4 has fragments")
        if self.segments is not None:
            self._check_segments()

    def _check_segments(self) -> None:
        advice = "put {start:%Y-%m-%d_%H-%M-%S} or {number:04d} into it, so that each segment has a name of its own"
        try:
            named = segment_fields(str(self.path))
            segment_name(str(self.path), datetime.now(UTC), 1)
        except (ValueError, KeyError) as error:
            raise SettingsError("path", str(self.path), f"{error}: {advice}") from error
        if not named:
            raise SettingsError("path", str(self.path), advice)
        if not isinstance(self.flush_log, bool) and self.flush_log.suffix:
            raise SettingsError(
                "flush_log", str(self.flush_log), "each segment has a log of its own: give a folder"
            )

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        return self._clock

    @property
    def system(self) -> System:
        """What carries out system calls."""
        return self._system


def mark_name(name: str) -> str:
    """``name`` of a mark, without the blanks around it. Raises SettingsError where it is none."""
    stripped = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(stripped) <= LONGEST_MARK:
        raise SettingsError("name", name, f"give a mark a name of 1 to {LONGEST_MARK} letters")
    return stripped
