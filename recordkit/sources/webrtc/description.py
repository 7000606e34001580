"""What the other side's session description tells of the media beyond what aiortc keeps of it."""

from __future__ import annotations

import binascii
import logging
import re
from base64 import b64decode

from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.sdp import SessionDescription

log = logging.getLogger("recordkit")

_PARAMETER_SETS = "sprop-parameter-sets"
_START_CODE = b"\0\0\0\1"


def sections(sdp: str) -> list[str]:
    """What stands before the sections of media, then each of them (RFC 8866, 5)."""
    return re.split(r"(?m)^(?=m=)", sdp)


def trimmed(sdp: str) -> str:
    """The same without blanks at the ends of attributes, where the grammar has none (RFC 8866, 9).

    Pion writes ``a=rtcp-fb:96 nack `` where there is no parameter, to aiortc another feedback than ``nack``.
    """
    return "".join(_trimmed_line(line) if line.startswith("a=") else line for line in sdp.splitlines(keepends=True))


def _trimmed_line(line: str) -> str:
    text = line.rstrip("\r\n")
    return text.rstrip(" \t") + line[len(text) :]


def parameter_sets(peer: RTCPeerConnection, track: MediaStreamTrack) -> dict[int, bytes]:
    """The H.264 parameter sets (Annex B) of a remote track's description, by payload type (RFC 6184, 8.1).

    What cannot be read is left out, and told.
    """
    remote = peer.remoteDescription
    mid = next((one.mid for one in peer.getTransceivers() if one.receiver.track is track), None)
    if remote is None or mid is None:
        return {}
    found: dict[int, bytes] = {}
    for media in SessionDescription.parse(remote.sdp).media:
        for codec in media.rtp.codecs if media.rtp.muxId == mid else ():
            told = {name.strip().lower(): value for name, value in codec.parameters.items()}.get(_PARAMETER_SETS)
            if codec.name.lower() == "h264" and codec.payloadType is not None and isinstance(told, str):
                found[codec.payloadType] = _annex_b(told)
    return found


def _annex_b(text: str) -> bytes:
    try:
        nals = [b64decode(one, validate=True) for one in text.split(",") if one.strip()]
    except (binascii.Error, ValueError) as error:
        log.warning(
            "%s of the description cannot be read (%s); parameter sets must come with the media", text, error
        )
        return b""
    return b"".join(_START_CODE + nal for nal in nals if nal)
