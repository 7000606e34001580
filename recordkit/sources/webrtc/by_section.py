"""Sources that tell by themselves which section of the description they belong to (RFC 9143, 9.2).

An offer need not name its sources. Where several sections have the same payload types, as those of several audio
tracks do, the MID in the packets' header extension is what tells them apart then: aiortc asks for it, reads it, and
throws the packets away all the same.
"""

from __future__ import annotations

import logging
from typing import Any

from aiortc import RTCDtlsTransport
from aiortc.rtp import RtpPacket

from ...errors import TapError
from .internals import private

log = logging.getLogger("recordkit")


def route_by_section(transport: RTCDtlsTransport) -> None:
    """Let packets of unknown sources reach the receiver of the section that they name.

    If aiortc is not built as expected that is told, and all else goes on.
    """
    try:
        router = private(transport, "_rtp_router", lambda one: callable(getattr(one, "route_rtp", None)))
        by_mid = private(router, "mid_table", lambda table: isinstance(table, dict))
        by_ssrc = private(router, "ssrc_table", lambda table: isinstance(table, dict))
    except TapError as error:
        log.warning("audio tracks whose sources the offer does not name are not received: %s", error)
        return
    by_payload_type = router.route_rtp

    def route(packet: RtpPacket) -> Any:  # noqa: ANN401 - aiortc's receivers
        receiver = by_payload_type(packet)
        if receiver is None and packet.ssrc not in by_ssrc:
            receiver = by_mid.get(packet.extensions.mid)
            if receiver is not None:
                by_ssrc[packet.ssrc] = receiver
        return receiver

    router.route_rtp = route
