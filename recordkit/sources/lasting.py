"""What ends by itself and what does not: whether the end of a source is its end, or a connection that broke."""

from __future__ import annotations

import re

import av
from av.container import InputContainer

from ..demux import raw_bytes
from .media_settings import MediaFileSettings
from .protocols import protocol_of

_NO_FILE = 1
"""AVFMT_NOFILE: a format that opens what it reads by itself, such as a device."""
_MADE_UP = {"lavfi", "sdp"}
SESSIONS = frozenset({"rtsp", "sdp", "rtp", "sap"})
"""Formats of which RTP is a part."""
_WITHOUT_WAY_BACK = {"file", "pipe", "fd", "cache", "concat", "concatf", "data", "subfile", "async"}
_DATAGRAMS = {"udp", "udplite", "rtp", "sap", "srtp"}
_LISTENING = re.compile(r"[?&](?:listen(?:=(?!0(?:&|$))|&|$)|mode=listener)", re.IGNORECASE)
_TARGET = re.compile(r"^#EXT-X-TARGETDURATION:\s*(\d+)", re.MULTILINE)
_LONGEST_S = 30 * 86_400.0
"""What is said to be longer is a header that was written before anybody knew: AVI and IVF fill it with ones."""
_LIKELY_TARGET_S = 6.0
"""What RFC 8216 (bis) recommends; a master playlist does not say it."""
_SEGMENTS = 3
_END = "#EXT-X-ENDLIST"
_MOST_PLAYLIST_BYTES = 1 << 20
_LONGEST_LOOK_S = 3.0


def is_live(container: InputContainer) -> bool:
    """Whether it comes over a connection or pipe without a length: nobody can tell its end from a break."""
    if container.format.name == "hls":
        return container.duration is None
    has_no_file = bool(container.format.flags & _NO_FILE)
    return container.format.name in SESSIONS or (not has_no_file and (container.size or 0) <= 0)


def comes_back(container: InputContainer, url: str) -> bool:
    """Whether its end is none: a device, or a connection to what has neither a length nor a duration."""
    name = container.format.name
    if name == "hls":
        return is_live(container)
    if bool(container.format.flags & _NO_FILE) and name not in SESSIONS:
        return name not in _MADE_UP
    return protocol_of(url) not in _WITHOUT_WAY_BACK and is_live(container) and not _knows_its_end(container)


def _knows_its_end(container: InputContainer) -> bool:
    """Whether it tells how long it will be, and not just how long it has been so far.

    FLV says 0 while it is being made. Of MP4 in fragments libavformat takes for its duration what has come at the
    opening; what a ``moov`` lists has samples (ISO/IEC 14496-12, 8.8: with fragments there may be none).
    """
    duration_s = (container.duration or 0) / av.time_base
    is_in_fragments = "mp4" in container.format.name.split(",") and not any(one.frames for one in container.streams)
    return 0 < duration_s < _LONGEST_S and not is_in_fragments


def waits_for_its_sender(file: MediaFileSettings) -> bool:
    """Whether it is the sender that comes here: then asking again costs nobody anything, and is never too early."""
    listens = str(file.options.get("listen", "0")) != "0" or "listen" in str(file.options.get("rtsp_flags", ""))
    listens = listens or str(file.options.get("mode", "")) in ("listener", "1")
    return listens or protocol_of(file.url) in _DATAGRAMS or bool(_LISTENING.search(file.url))


def longest_silence_s(container: InputContainer, file: MediaFileSettings, silence_s: float) -> float:
    """How long nothing may come of what is live, in seconds: of HLS three of its segments, if that is longer."""
    if container.format.name != "hls" or not is_live(container):
        return silence_s
    return max(silence_s, _SEGMENTS * segment_s(file))


def segment_s(file: MediaFileSettings) -> float:
    """How long the segments of an HLS playlist are at the most, in seconds."""
    found = _TARGET.search(_playlist(file))
    return _LIKELY_TARGET_S if found is None else float(found[1])


def is_finished(container: InputContainer, file: MediaFileSettings) -> bool:
    """Whether an HLS playlist says that nothing more comes (RFC 8216, 4.3.3.4)."""
    return container.format.name == "hls" and _END in _playlist(file)


def _playlist(file: MediaFileSettings) -> str:
    data = raw_bytes(file.url, file.given_options, most=_MOST_PLAYLIST_BYTES, longest_s=_LONGEST_LOOK_S)
    return data.decode("utf-8", "replace")
