"""What a connection that breaks leaves of a frame: its beginning, or its headers alone if it came in packets."""

from __future__ import annotations

from collections.abc import Iterator

import av

from ..bitstream.h264 import has_slice
from ..model import Codec
from .joined import PARSERS
from .source import Media, SourceItem

_MOST_BYTES = 1024
_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_START_CODES = (b"\0\0\1", b"\0\0\0\1")


def without_torn(items: Iterator[SourceItem]) -> Iterator[SourceItem]:
    """``items``; video of H.264 or H.265 without a slice is given with what comes next, and left out at the end.

    Audio that is shorter than its header says is left out: players would take what follows for the rest of it.

    Raises what ``items`` raise.
    """
    held: SourceItem | None = None
    for item in items:
        is_video = isinstance(item.media, av.Packet) and isinstance(item.media.stream, av.VideoStream)
        if held is not None and is_video:
            yield held
            held = None
        if is_video and _has_headers_alone(item.media):
            held = item
        elif is_video or not _is_cut_off(item.media):
            yield item


def _has_headers_alone(media: Media) -> bool:
    if not isinstance(media, av.Packet) or not 0 < media.size <= _MOST_BYTES:
        return False
    codec, data = _CODECS.get(media.stream.codec_context.codec.canonical_name), bytes(media)
    return codec is not None and data.startswith(_START_CODES) and not has_slice(data, codec)


def _is_cut_off(media: Media) -> bool:
    if not isinstance(media, av.Packet):
        return False
    parse = PARSERS.get(media.stream.codec_context.codec.canonical_name)
    header = parse(bytes(media)) if parse is not None else None
    return header is not None and header.frame_length > media.size
