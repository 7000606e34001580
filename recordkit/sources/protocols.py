"""Which protocols a URL may lead over: what it names, and all that a playlist or a redirect leads to from there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import av

from ..errors import SettingsError

_SCHEME = re.compile(r"([A-Za-z0-9+.-]+):")
_LAYERS = {
    "hls": ("crypto",),
    "http": ("tcp",),
    "https": ("tls", "tcp", "httpproxy"),
    "rtmp": ("tcp",),
    "rtmps": ("tls", "tcp"),
    "rtp": ("udp",),
    "rtsp": ("rtp", "udp", "tcp"),
    "rtsps": ("rtp", "udp", "tls", "tcp"),
}
"""What a protocol stands on, by libavformat's names."""
_LEADING_ELSEWHERE = {
    "avisynth": None,
    "concat": None,
    "dash": None,
    "hls": "hls",
    "image2": None,
    "image2,gif": None,
    "imf": None,
    "lavfi": None,
    "sap": None,
    "sdp": None,
    "vapoursynth": None,
    "webm_dash_manifest": None,
}
"""Formats that name other files and addresses, and the protocol that stands for them, if one does."""


def protocols(name: str, value: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - whatever a caller gives
    """Read an argument: names of protocols; None allows all. Raises SettingsError."""
    if value is None:
        return None
    advice = 'give a list of protocols, such as ("https", "hls", "rtsp", "file"), or None for all'
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SettingsError(name, value, advice)
    names = tuple(value)
    if not names or not all(isinstance(one, str) and _SCHEME.fullmatch(f"{one}:") for one in names):
        raise SettingsError(name, value, advice)
    return names


def protocol_of(url: str) -> str:
    """The protocol that libavformat takes ``url`` to name; "file" if it names none."""
    if url.startswith("subfile,"):
        return "subfile"
    match = _SCHEME.match(url)
    return "file" if match is None else match[1]


def check(url: str, allowed: tuple[str, ...] | None) -> None:
    """Raise SettingsError if ``url`` names a protocol that is not allowed."""
    if allowed is not None and protocol_of(url) not in allowed:
        raise SettingsError("url", url, f"{protocol_of(url)} is not allowed: only {', '.join(allowed)}")


def bounds(allowed: tuple[str, ...] | None) -> dict[str, str]:
    """Options of libavformat that hold everything it opens on the way to what is allowed."""
    if allowed is None:
        return {}
    layers = dict.fromkeys([*allowed, *(layer for one in allowed for layer in _LAYERS.get(one, ()))])
    refused = {kind for kind, by in _LEADING_ELSEWHERE.items() if by is None or by not in allowed}
    formats = sorted(av.formats_available - refused)
    return {"protocol_whitelist": ",".join(layers), "format_whitelist": ",".join(formats)}
