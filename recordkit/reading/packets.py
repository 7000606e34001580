"""Coded frames as libavcodec takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
from av.video.codeccontext import VideoCodecContext

from ..demux import bounded, decoder_name
from ..errors import SourceError
from ..model import Codec

if TYPE_CHECKING:
    Packet = av.Packet[Any]


def packet_of(data: bytes) -> Packet:
    """A packet whose memory libavcodec owns.

    Of one that refers to Python's bytes the decoder's threads let go under the interpreter's lock, which
    whoever throws the decoder away holds while it waits for those threads.
    """
    packet: Packet = av.Packet(len(data))
    packet.update(data)
    return packet


def decoder_of(codec: Codec | None, name: str) -> VideoCodecContext:
    """A decoder that takes its parameter sets from the keyframes; raises SourceError about the file ``name``."""
    context = av.CodecContext.create(decoder_name(str(codec)), "r")
    if not isinstance(context, VideoCodecContext):
        raise SourceError(name, f"there is no decoder for {codec}")
    return bounded(context)
