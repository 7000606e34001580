"""Receivers are found by their packets or reports, and aiortc's class is left as it was."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from recordkit.errors import TapError
from recordkit.sources.webrtc.finder import Finder

HANDLERS = ("_handle_rtp_packet", "_handle_rtcp_packet")


def handlers():
    return [vars(RTCRtpReceiver)[name] for name in HANDLERS]


def test_a_track_of_which_only_reports_come_is_found_by_them():
    before = handlers()

    async def run():
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receivers = [peer.addTransceiver("video", direction="recvonly").receiver for _ in range(2)]
        for receiver in receivers:
            receiver._track = RemoteStreamTrack("video")
        found = []
        finder = Finder.installed()
        finder.seek(receivers[0].track, found.append)
        assert Finder.installed() is finder
        report = RtcpSrPacket(ssrc=1, sender_info=RtcpSenderInfo(1 << 32, 0, 0, 0))
        await receivers[1]._handle_rtcp_packet(report)
        assert found == []
        await receivers[0]._handle_rtcp_packet(report)
        await receivers[0]._handle_rtcp_packet(report)
        assert found == [receivers[0]]
        await peer.close()

    asyncio.run(run())
    assert handlers() == before


@pytest.mark.parametrize("name", HANDLERS)
def test_an_aiortc_that_has_changed_is_told(name, monkeypatch):
    monkeypatch.delattr(RTCRtpReceiver, name)
    with pytest.raises(TapError, match=name):
        Finder.installed()
