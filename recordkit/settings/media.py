"""How media is encoded. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from ..signatures import named
from ..values import (
    NumberLike,
    RateLike,
    Setting,
    SizeLike,
    WholeLike,
    flag,
    instance,
    maybe,
    number,
    one_of,
    rate,
    ratio,
    seconds,
    size,
    whole,
)

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
SMALLEST_SIDE, LARGEST_SIDE = 16, 8192

AudioCodec = Literal["aac", "opus", "mp3", "pcm"]
Gaps = Literal["silence", "mark"]


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
