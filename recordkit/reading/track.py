"""What the decoder needs of a file's video, whatever container it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import SourceError
from .index import Index
from .sound import Heard

if TYPE_CHECKING:
    import av
    from av.video.codeccontext import VideoCodecContext

    Packet = av.Packet[Any]


class TableMisfitError(SourceError):
    """The file has not the frames that its table says: it was damaged since, and ``rescan`` learns what is left."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "is not as its frame table says: it was damaged since; open it anew")


class Track(Protocol):
    """The video of a file: its index, and its coded frames from any place on."""

    @property
    def name(self) -> str:
        """What messages call the file."""

    @property
    def index(self) -> Index:
        """Its frames."""

    @property
    def start_s(self) -> Fraction:
        """The first time of any stream, in seconds of the file's clock: where ``media_s`` is 0."""

    def decoder(self) -> VideoCodecContext:
        """A new decoder for it."""

    def packets(self, first: int) -> Iterator[Packet]:
        """The coded frames from unit ``first`` on, one packet each, in decoding order. Raises SourceError."""

    def audio(self, begin: Fraction, end: Fraction) -> Iterator[av.AudioFrame]:
        """Decoded audio that covers what there is from ``begin`` to ``end``, in seconds of the file's clock."""

    def coded_audio(self, begin: int, end: int) -> Iterator[Heard]:
        """The coded frames of the first audio stream that are heard from ``begin`` on and before ``end``.

        In ticks of the file's clock; nothing if MP4 has no place for it. Raises SourceError.
        """

    def refresh(self) -> bool:
        """Look for what was written meanwhile; whether frames have been added."""

    def rescan(self) -> None:
        """Believe no table any more: learn all from the file."""

    def finish(self) -> bool:
        """It grows no more: the same, with the very last frame."""

    def close(self) -> None:
        """Give back what is open."""
