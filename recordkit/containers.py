"""The kinds of files that recordkit writes: the suffix of a path chooses."""

from __future__ import annotations

from pathlib import Path

from .container import Container
from .errors import OutputNameError
from .mp4.packager import CARRIED as IN_MP4
from .mp4.packager import Packager
from .mpegts.packetiser import Packetiser
from .mpegts.tables import CARRIED as IN_TRANSPORT_STREAM
from .names import AUDIO_ALONE, SUFFIXES, suffix_of
from .sound.ogg import OggPackager
from .sound.packager import Mp3Packager, SoundPackager
from .sound.wav import WavPackager

TRANSPORT_STREAM = "MPEG-TS"


def _alone(name: str, suffix: str, packager: type[SoundPackager]) -> Container:
    codecs = packager.codecs
    return Container(name, suffix, packager.packet_bytes, lambda _: packager(), frozenset(codecs), codecs)


CONTAINERS = (
    Container(TRANSPORT_STREAM, ".ts", Packetiser.packet_bytes, lambda _: Packetiser(), IN_TRANSPORT_STREAM),
    Container("MP4", ".mp4", Packager.packet_bytes, lambda fragmented: Packager(fragmented=fragmented), IN_MP4),
    Container("M4A", ".m4a", Packager.packet_bytes, lambda _: Packager(), IN_MP4),
    _alone("WAV", ".wav", WavPackager),
    _alone("MP3", ".mp3", Mp3Packager),
    _alone("Ogg", ".ogg", OggPackager),
    _alone("Opus", ".opus", OggPackager),
)

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
    return next(one for one in CONTAINERS if one.suffix == suffix)
