"""Coded frames as libavcodec takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av

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
