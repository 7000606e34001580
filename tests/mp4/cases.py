"""One table of recordings: what is laid, what the scanner reads again, and what judges play."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recordkit.model import AccessUnit, Codec

from . import real
from .laying import Declare, recording


def with_streams(*codecs: Codec) -> list[Declare | AccessUnit]:
    return recording(*(real.video(one) if one.is_video else real.audio(one) for one in codecs))


def audio_first() -> list[Declare | AccessUnit]:
    """Audio begins 0.6 s before the video, and its units are laid first."""
    sound, frames = real.audio(Codec.AAC), real.video(Codec.H264)
    late = replace(frames, units=tuple(frames.moved(0, 54_000)))
    return recording(late, sound)


def video_first_audio_early() -> list[Declare | AccessUnit]:
    """The first unit laid is not the earliest: audio of a second before it comes later."""
    steps = recording(real.video(Codec.H264))
    sound = real.audio(Codec.OPUS)
    return [*steps[:3], Declare(1, sound.format), *sound.moved(1, -90_000)[:80], *steps[3:]]


def new_size(codec: Codec = Codec.H264) -> list[Declare | AccessUnit]:
    """The parameter sets change between two groups of frames, and back."""
    steps: list[Declare | AccessUnit] = []
    ticks = 0
    for width, height in ((320, 180), (240, 240), (320, 180)):
        part = real.video(codec, width, height, 25)
        steps += [Declare(0, part.format), *part.moved(0, ticks)]
        ticks += 25 * 3600
    return steps


def gap() -> list[Declare | AccessUnit]:
    """Twelve seconds without anything."""
    first, second = real.video(Codec.H264), real.audio(Codec.AAC)
    steps = recording(first, second)
    later = recording(*(replace(one, units=tuple(one.moved(0, 14 * 90_000))) for one in (first, second)))
    return steps + [step for step in later if isinstance(step, AccessUnit)]


@dataclass(frozen=True)
class Case:
    """``silent`` when ffmpeg has nothing to say of it."""

    name: str
    make: Callable[[], list[Declare | AccessUnit]]
    silent: bool = True

    @property
    def steps(self) -> list[Declare | AccessUnit]:
        return self.make()


_PAIRS = [(video, audio) for video in (Codec.H264, Codec.H265) for audio in (Codec.AAC, Codec.OPUS, Codec.MP3)]
_OPEN = [(Codec.VP9, Codec.OPUS), (Codec.VP9, Codec.FLAC), (Codec.AV1, Codec.OPUS), (Codec.AV1, Codec.FLAC)]
"""Codings that a transport stream has no place for."""
_ALONE = [(one,) for one in (Codec.H264, Codec.H265, Codec.AAC, Codec.OPUS, Codec.MP3)]

CASES = [
    *(Case("_".join(codecs), lambda codecs=codecs: with_streams(*codecs)) for codecs in (*_PAIRS, *_OPEN, *_ALONE)),
    Case("aac_44100", lambda: recording(real.video(Codec.H264), real.audio(Codec.AAC, 44_100))),
    Case("three_languages", lambda: with_streams(Codec.H264, Codec.AAC, Codec.OPUS, Codec.MP3)),
    Case("audio_first", audio_first, silent=False),
    Case("video_first_audio_early", video_first_audio_early, silent=False),
    Case("new_size", new_size, silent=False),
    Case("new_size_vp9", lambda: new_size(Codec.VP9), silent=False),
    Case("new_size_av1", lambda: new_size(Codec.AV1), silent=False),
    Case("gap", gap),
]
