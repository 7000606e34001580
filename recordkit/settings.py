"""What a caller may choose about encoding. Plain values; nothing is imported for them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from .errors import SettingsError

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
LARGEST_SIDE = 8192
LONGEST_MARK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How pictures are encoded (libx264, no picture held back).

    ``size`` is (width, height) in pixels, None keeps that of the frames. ``bit_rate`` is in bits a
    second; without it the quality is constant at ``crf`` (0 to 51, lower is better).
    ``keyframe_interval`` is in seconds. ``frame_rate`` is a hint for the rate control: timestamps
    alone say when a picture is shown. ``pixel_aspect`` is the width of a pixel over its height,
    None where they are square or nobody knows.

    Pictures that come coded as H.264 from a live source are kept as they are, unless a ``size``, a
    ``bit_rate`` or ``transcode`` asks for them to be decoded and encoded anew; other codings always are.

    Raises SettingsError.
    """

    preset: str = "veryfast"
    bit_rate: int | None = None
    crf: float = 23.0
    keyframe_interval: float = 2.0
    size: tuple[int, int] | None = None
    frame_rate: Fraction | None = None
    pixel_aspect: Fraction | None = None
    transcode: bool = False

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise SettingsError("preset", self.preset, f"choose one of {', '.join(PRESETS)}")
        if self.bit_rate is not None and not 10_000 <= self.bit_rate <= 500_000_000:
            raise SettingsError("bit_rate", self.bit_rate, "give 10,000 to 500,000,000 bits a second")
        if not 0 <= self.crf <= 51:
            raise SettingsError("crf", self.crf, "give 0 (lossless) to 51")
        if not 0.1 <= self.keyframe_interval <= 60:
            raise SettingsError("keyframe_interval", self.keyframe_interval, "give 0.1 to 60 seconds")
        if self.size is not None and not all(16 <= side <= LARGEST_SIDE for side in self.size):
            raise SettingsError("size", self.size, f"give (width, height), each 16 to {LARGEST_SIDE} pixels")
        if self.frame_rate is not None and not 0 < self.frame_rate <= 1000:
            raise SettingsError("frame_rate", self.frame_rate, "give more than 0, at most 1000 a second")
        if self.pixel_aspect is not None and not Fraction(1, 100) <= self.pixel_aspect <= 100:
            raise SettingsError("pixel_aspect", self.pixel_aspect, "give 1/100 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """How sound is encoded: AAC-LC, or Opus with ``codec="opus"``, which fewer players read.

    Opus that comes from a live source is kept as it is where Opus is asked for.

    ``bit_rate`` is in bits a second; ``sample_rate`` in Hz, None keeps that of the frames where AAC
    has it, and takes 48,000 where not; ``channels`` is 1 or 2, None keeps mono and makes all else
    stereo. ``language`` is an ISO 639-2 code.

    Timestamps that differ from the count of samples by up to ``gap_tolerance`` seconds are taken
    for jitter. Beyond that there is a gap: ``gaps="silence"`` fills it (up to a minute),
    ``"mark"`` leaves it and marks the next unit as a discontinuity. Sound that overlaps what came
    before it is cut.

    Raises SettingsError.
    """

    bit_rate: int = 128_000
    sample_rate: int | None = None
    channels: int | None = None
    language: str | None = None
    gaps: Literal["silence", "mark"] = "silence"
    gap_tolerance: float = 0.03
    codec: Literal["aac", "opus"] = "aac"

    def __post_init__(self) -> None:
        if self.codec not in ("aac", "opus"):
            raise SettingsError("codec", self.codec, "give 'aac' or 'opus'")
        if not 8_000 <= self.bit_rate <= 512_000:
            raise SettingsError("bit_rate", self.bit_rate, "give 8,000 to 512,000 bits a second")
        if self.sample_rate is not None and self.sample_rate not in AAC_RATES:
            raise SettingsError("sample_rate", self.sample_rate, f"AAC has {', '.join(map(str, AAC_RATES))} Hz")
        if self.channels not in (None, 1, 2):
            raise SettingsError("channels", self.channels, "give 1 or 2")
        if self.gaps not in ("silence", "mark"):
            raise SettingsError("gaps", self.gaps, "give 'silence' or 'mark'")
        if not 0.001 <= self.gap_tolerance <= 10:
            raise SettingsError("gap_tolerance", self.gap_tolerance, "give 0.001 to 10 seconds")


def mark_name(name: str) -> str:
    """``name`` of a mark, without the blanks around it. Raises SettingsError where it is none."""
    stripped = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(stripped) <= LONGEST_MARK:
        raise SettingsError("name", name, f"give a mark a name of 1 to {LONGEST_MARK} letters")
    return stripped
