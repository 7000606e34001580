"""All that the loopback needs of aiortc beyond its public interface, checked before it is used.

tap.py has the same for what is received, and is a module of its own on purpose: every recording stands
on that one and can fall back where it does not fit; this one is about a peer that sends, for trying
things out, and an aiortc that has changed there must not keep anybody from recording.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RtcpSrPacket

from ...errors import SourceError
from .internals import KNOWN_VERSIONS

LOCALHOST = "127.0.0.1"

Send = Callable[[bytes], Awaitable[None]]


def keep_to_localhost(connection: RTCPeerConnection) -> None:
    """Let ICE gather 127.0.0.1 alone, which it would leave out by itself; before the local description is set."""
    for ice in {transceiver.sender.transport.transport for transceiver in connection.getTransceivers()}:
        agent = _private(ice.iceGatherer, "_connection")
        gather = _private(agent, "get_component_candidates")

        async def gather_localhost(
            component: int,
            addresses: list[str],
            timeout: int = 5,
            gather: Callable[..., Awaitable[Any]] = gather,
        ) -> Any:  # noqa: ANN401 - aioice's candidates
            return await gather(component=component, addresses=[LOCALHOST], timeout=timeout)

        _replace(agent, "get_component_candidates", gather_localhost)


def divert_datagrams(transport: RTCDtlsTransport, divert: Callable[[Send], Send]) -> None:
    """Let ``divert`` of what sends a datagram now (already encrypted) take its place."""
    ice = transport.transport
    _replace(ice, "_send", divert(_private(ice, "_send")))


def on_keyframe_request(sender: RTCRtpSender, requested: Callable[[], None]) -> None:
    """Call ``requested`` for each PLI and FIR: aiortc itself heeds them only for frames that it encodes."""
    _replace(sender, "_send_keyframe", requested)


def state_times(sender: RTCRtpSender, ntp_of_last: Callable[[], int | None]) -> None:
    """Let sender reports tell when the last media sent was captured (NTP, 64 bits).

    RFC 3550, 6.4.1 wants the two times of a report to mean one instant. aiortc gives the moment of
    sending instead, which is later than the capture by what coding and queueing took.
    """
    send = _private(sender, "_send_rtcp")

    async def send_stated(packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and packet.sender_info.ntp_timestamp:
                packet.sender_info.ntp_timestamp = ntp_of_last() or 0
        await send(packets)

    _replace(sender, "_send_rtcp", send_stated)


def cut_sockets(connection: RTCPeerConnection) -> None:
    """Take the peer's sockets away without a word to the other side, as a killed process does."""
    for ice in {transceiver.sender.transport.transport for transceiver in connection.getTransceivers()}:
        for protocol in _private(_private(ice, "_connection"), "_protocols"):
            _private(protocol, "transport").abort()


def _replace(owner: object, name: str, by: Callable[..., Any]) -> None:
    """Shadow a method on this one object; the class keeps its own."""
    _private(owner, name)
    setattr(owner, name, by)


def _private(owner: object, name: str) -> Any:  # noqa: ANN401 - untyped over there
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise SourceError(
            "loopback",
            f"aiortc {version('aiortc')} has no {type(owner).__name__}.{name} any more; "
            f"the loopback is known to work with aiortc {KNOWN_VERSIONS}: install that",
        ) from error
