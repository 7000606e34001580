"""What a connection that breaks leaves of a frame: its beginning, or its headers alone if it came in packets."""

from __future__ import annotations

from collections.abc import Iterator

import av

from ..bitstream.h264 import has_slice
from ..demuxed import DemuxedPacket
from .joined import PARSERS
from .sliced import coding_in_nal_units
from .source import SourceItem

_MOST_BYTES = 1024


def without_torn(items: Iterator[SourceItem]) -> Iterator[SourceItem]:
    """``items``; what may be torn is given with what comes next of its stream, and left out at the end.

    That is video of H.264 or H.265 without a slice, and audio that is shorter than its header says: players would
    take what follows for the rest of it. In the midst it is how a sender cuts its packets.

    Raises what ``items`` raise.
    """
    held: dict[int, SourceItem] = {}
    for item in items:
        if isinstance(media := item.media, av.Packet):
            index = media.stream.index
            if index in held:
                yield held.pop(index)
            if _has_headers_alone(media) if isinstance(media.stream, av.VideoStream) else _is_cut_off(media):
                held[index] = item
                continue
        yield item


def _has_headers_alone(media: DemuxedPacket) -> bool:
    codec = coding_in_nal_units(media) if media.size <= _MOST_BYTES else None
    return codec is not None and not has_slice(bytes(media), codec)


def _is_cut_off(media: DemuxedPacket) -> bool:
    parse = PARSERS.get(media.stream.codec_context.codec.canonical_name)
    header = parse(bytes(media)) if parse is not None else None
    return header is not None and header.frame_length > media.size
