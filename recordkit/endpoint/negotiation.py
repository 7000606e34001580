"""Offers of publishers, and the answers to them (RFC 9725, section 4; RFC 8829)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiortc import (
    RTCConfiguration,
    RTCIceGatherer,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import MediaDescription, SessionDescription

from ..errors import SettingsError
from ..sources.webrtc import capture_time
from ..sources.webrtc.by_section import route_by_section
from . import dialect

_MOST_SECTIONS = 8
_COMPONENT = re.compile(r"^a=candidate:\S+ (\S+)", re.MULTILINE)
"""RFC 8839, 5.1."""
_TAKEN = "H.264 of any profile, VP8, Opus, G.722, PCMU or PCMA"
PARSER_FAULTS = (ValueError, LookupError, AttributeError, TypeError, AssertionError, OverflowError, StopIteration)
"""What aiortc's parser, made for the offers of browsers, raises for those of others."""


def read_offer(text: str) -> SessionDescription:
    """Parse an offer and look whether there is something in it that can be recorded.

    Raises HTTPBadRequest for what is no offer of a publisher, HTTPUnprocessableEntity for one that
    sends what cannot be taken.
    """
    try:
        offer = SessionDescription.parse(text)
    except PARSER_FAULTS as error:
        raise web.HTTPBadRequest(text=f"The body is no SDP offer: {error or type(error).__name__}.\n") from error
    sections = offer.media
    if not text.startswith("v=0") or not sections:
        raise web.HTTPBadRequest(text="The body is no SDP offer: it has no v=0 line or no media section.\n")
    if len(sections) > _MOST_SECTIONS:
        raise web.HTTPUnprocessableEntity(text=f"At most {_MOST_SECTIONS} media sections can be recorded.\n")
    mids = [section.rtp.muxId for section in sections]
    if not all(mids) or len(set(mids)) != len(mids):
        raise web.HTTPBadRequest(text="Each media section needs an a=mid of its own.\n")
    for section in sections:
        _check(section)
    bundles = [group.items for group in offer.group if group.semantic == "BUNDLE"]
    if len(sections) > 1 and [sorted(map(str, items)) for items in bundles] != [sorted(mids)]:
        # RFC 9725, 4.4.1. It also keeps aiortc from transports that do not exist.
        raise web.HTTPBadRequest(text="All media sections must stand in one a=group:BUNDLE.\n")
    if len(sections) == 1 and bundles not in ([], [mids]):
        raise web.HTTPBadRequest(text="The a=group:BUNDLE names media sections that do not exist.\n")
    if sum(section.kind == "video" for section in sections) > 1:
        text = "A recording has one video: publish each further one by itself, under a name of its own.\n"
        raise web.HTTPUnprocessableEntity(text=text)
    if not any(section.direction in ("sendonly", "sendrecv") for section in sections):
        raise web.HTTPUnprocessableEntity(text="The offer sends neither video nor audio.\n")
    return offer


def _check(section: MediaDescription) -> None:
    if section.kind not in ("audio", "video"):
        raise web.HTTPUnprocessableEntity(text=f"Only audio and video can be published, not {section.kind!r}.\n")
    if section.ice is None or not section.ice.usernameFragment or not section.ice.password:
        raise web.HTTPBadRequest(text="The offer lacks a=ice-ufrag or a=ice-pwd.\n")
    if section.dtls is None or not section.dtls.fingerprints:
        raise web.HTTPBadRequest(text="The offer lacks a=fingerprint: media must come encrypted.\n")
    if section.direction is None:
        raise web.HTTPBadRequest(text="Each media section needs a direction: a=sendonly.\n")
    if not section.rtcp_mux:
        raise web.HTTPBadRequest(text="The offer lacks a=rtcp-mux.\n")


def ice_configuration(ice_servers: Sequence[str | Mapping[str, Any]]) -> RTCConfiguration:
    """The configuration that asks these STUN and TURN servers, and no others; raises SettingsError."""
    try:
        servers = [
            RTCIceServer(urls=server) if isinstance(server, str) else RTCIceServer(**server)
            for server in ice_servers
        ]
        RTCIceGatherer(servers)  # which reads their URLs
    except (TypeError, ValueError, AttributeError) as error:
        advice = 'give "stun:HOST:PORT", or a mapping with urls, username and credential for TURN'
        raise SettingsError("ice_servers", "…", f"{advice} ({error})") from error
    # Without a list aiortc would ask a public server.
    return RTCConfiguration(iceServers=servers)


async def accept(peer: RTCPeerConnection, offer: SessionDescription, text: str) -> None:
    """Take the offer, receiving only, with what can be recorded as it comes in first place.

    Raises HTTPUnprocessableEntity if a media section has no codec that is known.
    """
    for section in offer.media:
        peer.addTransceiver(section.kind, direction="recvonly")
    try:
        await peer.setRemoteDescription(RTCSessionDescription(sdp=dialect.for_aiortc(text), type="offer"))
    except OperationError as error:
        offered = ", ".join(dialect.codings(text)) or "nothing with an a=rtpmap"
        raise web.HTTPUnprocessableEntity(
            text=f"A media section has no codec that can be received. Offered: {offered}. Taken: {_TAKEN}.\n"
        ) from error
    except (*PARSER_FAULTS, InvalidAccessError, InvalidStateError) as error:
        raise web.HTTPBadRequest(text=f"The offer cannot be taken: {error or type(error).__name__}.\n") from error
    first, *others = peer.getTransceivers()
    for one in others:
        # aiortc has moved the first section of each kind there alone.
        one.receiver.setTransport(first.receiver.transport)
        one.sender.setTransport(first.receiver.transport)
    if len(others) > 1:  # a video and an audio differ in their payload types
        route_by_section(first.receiver.transport)


async def answer(
    peer: RTCPeerConnection,
    offer_text: str,
    start_bit_rate: int | None = None,
    announced_address: str | None = None,
) -> str:
    """The answer, with all candidates in it and the bit rate that the publisher is to begin with, if there is one.

    Raises HTTPServiceUnavailable if there is no address or port at which media could come, HTTPBadRequest if it
    is the offer that has none.
    """
    offered = _COMPONENT.findall(offer_text)
    if offered and "1" not in offered:
        raise web.HTTPBadRequest(text="The offer has no candidate for component 1, which carries the media.\n")
    await peer.setLocalDescription(await peer.createAnswer())
    text = peer.localDescription.sdp
    if "1" not in _COMPONENT.findall(text):
        raise web.HTTPServiceUnavailable(text="This machine has no free UDP port for media; see media_ports.\n")
    text, number = capture_time.asked_for(text, offer_text)
    if number is not None:
        capture_time.listen({receiver.transport for receiver in peer.getReceivers()}, number)
    return dialect.for_publisher(text, offer_text, start_bit_rate, announced_address)
