"""The kinds of files that recordkit writes: the suffix of a path chooses."""

from __future__ import annotations

from pathlib import Path

from .container import Container
from .errors import OutputNameError
from .mp4.packager import Packager
from .mpegts.packetiser import Packetiser
from .names import SUFFIXES, suffix_of

TRANSPORT_STREAM = "MPEG-TS"
CONTAINERS = (
    Container(TRANSPORT_STREAM, ".ts", Packetiser.packet_bytes, lambda _: Packetiser()),
    Container("MP4", ".mp4", Packager.packet_bytes, lambda fragmented: Packager(fragmented=fragmented)),
)


def by_suffix(path: Path) -> Container:
    """The container that a path's suffix chooses. Raises OutputNameError for any other."""
    suffix = suffix_of(path.name)
    if not suffix or path.name == suffix:
        kinds, endings = " and ".join(one.name for one in CONTAINERS), " or ".join(SUFFIXES)
        raise OutputNameError(path, f"recordkit writes {kinds}: choose a name that ends in {endings}")
    return next(one for one in CONTAINERS if one.suffix == suffix)
