"""Which section a source belongs to, where the description does not name its sources."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import HeaderExtensions, RtpPacket

from recordkit.sources.webrtc.by_section import route_by_section


def packet(ssrc: int, mid: str | None, payload_type: int = 111) -> RtpPacket:
    made = RtpPacket(payload_type=payload_type, ssrc=ssrc)
    made.extensions = HeaderExtensions(mid=mid)
    return made


def test_sources_that_share_payload_types_reach_the_section_that_they_name() -> None:
    router = RtpRouter()
    route_by_section(SimpleNamespace(_rtp_router=router))  # type: ignore[arg-type]
    router.register_receiver("video", ssrcs=[], payload_types=[96], mid="v")  # type: ignore[arg-type]
    router.register_receiver("first", ssrcs=[], payload_types=[111], mid="a")  # type: ignore[arg-type]
    router.register_receiver("second", ssrcs=[], payload_types=[111], mid="b")  # type: ignore[arg-type]
    assert router.route_rtp(packet(1, None)) is None
    assert router.route_rtp(packet(1, "a")) == "first"
    assert router.route_rtp(packet(2, "b")) == "second"
    # It is said until the other side has answered, and no longer.
    assert router.route_rtp(packet(1, None)) == "first"
    assert router.route_rtp(packet(2, None)) == "second"
    assert router.route_rtp(packet(3, "nobody's")) is None
    assert router.route_rtp(packet(4, None, payload_type=96)) == "video"
    # A source that is known is where it is.
    assert router.route_rtp(packet(4, "a", payload_type=111)) is None


def test_another_router_than_aiortcs_is_told_and_left(caplog: pytest.LogCaptureFixture) -> None:
    route_by_section(SimpleNamespace(_rtp_router=SimpleNamespace()))  # type: ignore[arg-type]
    assert "audio tracks whose sources the offer does not name are not received" in caplog.text
