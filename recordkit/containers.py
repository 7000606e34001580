"""The kinds of files that recordkit writes: the suffix of a path chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .container import Container
from .errors import OutputNameError
from .names import AUDIO_ALONE, SUFFIXES, suffix_of

if TYPE_CHECKING:
    from .sound.packager import SoundPackager

TRANSPORT_STREAM = "MPEG-TS"


# A recording has one container, and its process loads that one alone.


def _transport_stream(suffix: str) -> Container:
    from .mpegts.packetiser import Packetiser
    from .mpegts.tables import CARRIED

    return Container(TRANSPORT_STREAM, suffix, Packetiser.packet_bytes, lambda _: Packetiser(), CARRIED)


def _mp4(suffix: str) -> Container:
    from .mp4.packager import CARRIED, Packager

    return Container(
        "MP4", suffix, Packager.packet_bytes, lambda fragmented: Packager(fragmented=fragmented), CARRIED
    )


def _m4a(suffix: str) -> Container:
    from .mp4.packager import CARRIED, Packager

    return Container("M4A", suffix, Packager.packet_bytes, lambda _: Packager(), CARRIED)


def _wav(suffix: str) -> Container:
    from .sound.wav import WavPackager

    return _alone("WAV", suffix, WavPackager)


def _mp3(suffix: str) -> Container:
    from .sound.packager import Mp3Packager

    return _alone("MP3", suffix, Mp3Packager)


def _ogg(suffix: str) -> Container:
    from .sound.ogg import OggPackager

    return _alone(suffix[1:].capitalize(), suffix, OggPackager)


def _alone(name: str, suffix: str, packager: type[SoundPackager]) -> Container:
    codecs = packager.codecs
    return Container(name, suffix, packager.packet_bytes, lambda _: packager(), frozenset(codecs), codecs)


_MADE: dict[str, Callable[[str], Container]] = {
    ".ts": _transport_stream,
    ".mp4": _mp4,
    ".m4a": _m4a,
    ".wav": _wav,
    ".mp3": _mp3,
    ".ogg": _ogg,
    ".opus": _ogg,
}

_NEAR = {
    ".webm": ".mp4",
    ".mkv": ".mp4",
    ".mov": ".mp4",
    ".m4v": ".mp4",
    ".m2ts": ".ts",
    ".aac": ".m4a",
    ".oga": ".ogg",
    ".wave": ".wav",
    ".flac": ".wav",
}
"""What is nearest to a kind of file that recordkit does not write."""


def by_suffix(path: Path) -> Container:
    """The container that a path's suffix chooses. Raises OutputNameError for any other."""
    suffix = suffix_of(path.name)
    if not suffix or path.name == suffix:
        video = " or ".join(one for one in SUFFIXES if one not in AUDIO_ALONE)
        near = _NEAR.get(path.suffix.lower())
        words = f"choose a name that ends in {near or video}"
        raise OutputNameError(
            path,
            f"recordkit writes MPEG-TS and MP4: {words}"
            + ("" if near else f", or {', '.join(AUDIO_ALONE)} for audio alone"),
        )
    return _MADE[suffix](suffix)


def containers() -> list[Container]:
    """All of them, MPEG-TS first."""
    return [made(suffix) for suffix, made in _MADE.items()]
