"""Which streams of a container belong together, and which of its videos is the one to record and to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import av
from av.stream import Disposition

from .demux import is_decodable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

Media: TypeAlias = "av.VideoStream | av.AudioStream"


def playable(container: InputContainer) -> list[Media]:
    """Its video and audio that can be decoded."""
    media = (stream for stream in container.streams if isinstance(stream, av.VideoStream | av.AudioStream))
    return [stream for stream in media if is_decodable(stream)]


def programs_of(container: InputContainer, streams: Sequence[Media]) -> list[list[Media]]:
    """``streams`` by programme (ISO/IEC 13818-1, 2.4.4.8; a variant in HLS): each has a clock of its own.

    PyAV does not name programmes, but its best stream stays within one.
    """
    # Variants in HLS share their audio, which libavformat then counts to the first of them.
    kinds = ("audio",) if container.format.name == "hls" else ("audio", "video")
    found: dict[tuple[int, ...], list[Media]] = {}
    for stream in streams:
        best = (container.streams.best(kind, related=stream) for kind in kinds)  # type: ignore[arg-type]
        found.setdefault(tuple(-1 if one is None else one.index for one in best), []).append(stream)
    return list(found.values())


def main_program(programs: Sequence[list[Media]], *, video: bool = True) -> list[Media]:
    """That of the largest video, or of the most audio if no ``video`` counts; empty without any."""

    def size(streams: list[Media]) -> tuple[int, int]:
        areas = (one.width * one.height for one in streams if isinstance(one, av.VideoStream))
        return max(areas, default=0) if video else 0, sum(isinstance(one, av.AudioStream) for one in streams)

    return max(programs, key=size, default=[])


def main_video(container: InputContainer, streams: Sequence[Media]) -> av.VideoStream | None:
    """The largest video of ``streams``, attached pictures aside."""
    pictures = [one for one in streams if isinstance(one, av.VideoStream) and not is_attached(one)]
    # Of equal ones libavformat knows which it has seen frames of: others may be there in name only.
    best = container.streams.best("video")
    seen = -1 if best is None else best.index
    return max(pictures, key=lambda one: (one.width * one.height, one.index == seen), default=None)


def is_attached(stream: Stream) -> bool:
    """Whether it is a picture beside the media, such as a cover."""
    return bool(stream.disposition & Disposition.attached_pic)
