"""What a caller may choose of a recording: how it is brought to the disk, and all that its parts share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from ..errors import SettingsError
from ..intake import Overflow
from ..model import FlushRecord
from ..names import AUDIO_ALONE, SUFFIXES, WITHOUT_TIMES, segment_fields, segment_name
from ..signatures import named
from ..system import Clock, System
from ..telemetry.alerts import Alert, AlertSettings
from ..values import (
    NumberLike,
    PathLike,
    Setting,
    WholeLike,
    flag,
    function,
    instance,
    maybe,
    one_of,
    path,
    seconds,
    whole,
)
from .filing import Keep, Ring, Segments
from .media import AudioCodec, AudioSettings, VideoSettings

LONGEST_MARK = 500
_TWO_MOMENTS = (datetime(2001, 2, 3, 4, 5, 6, 7, UTC), datetime(2112, 11, 10, 21, 32, 43, 54, UTC))
"""They have nothing in common that strftime could write."""

Durability = Literal["flush", "process"]
OnDiskFull = Literal["stop", "wait"]
FinishKind = Literal["plain", "fragmented"]
OnPartial = Literal["error", "recover", "rename"]
AdmissionPolicy = Literal["check", "off"]

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
    ring: Ring | None


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
    ring: Setting[Ring | None, Ring | None] = Setting(
        maybe(instance(Ring, "give recordkit.Ring(seconds=...), or None to record all")), None
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
        if self.ring is not None:
            self._check_ring()
        if self.segments is not None or self.ring is not None:
            self._check_segments()

    def _check_ring(self) -> None:
        if self.segments is not None:
            advice = "a ring keeps what is asked for, segments keep all: give one of them"
            raise SettingsError("ring", self.ring, advice)
        if Path(self.path).suffix in WITHOUT_TIMES:
            names = " or ".join(one for one in SUFFIXES if one not in WITHOUT_TIMES)
            raise SettingsError("path", str(self.path), f"a ring needs a name that ends in {names}")

    def _check_segments(self) -> None:
        advice = "put {start:%Y-%m-%d_%H-%M-%S} or {number:04d} into it, so that each segment has a name of its own"
        try:
            named = segment_fields(str(self.path))
            names = {segment_name(str(self.path), moment, 1) for moment in _TWO_MOMENTS}
        except (ValueError, KeyError) as error:
            raise SettingsError("path", str(self.path), f"{error}: {advice}") from error
        if not named:
            raise SettingsError("path", str(self.path), advice)
        if "start" in named and len(names) == 1:
            raise SettingsError("path", str(self.path), f"its {{start}} is the same at all times: {advice}")
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
