"""What helps where a URL cannot be opened, or read on."""

from __future__ import annotations

import re
from collections.abc import Mapping

import av

OVER_HTTP = ("http:", "https:")
_ESCAPED_BADLY = re.compile(
    r"[A-Za-z0-9+.-]+://[^/?#\s:@\[]*:(?!\d+(?:[/?#\s]|$))(?:[^@\s]*[/?#@:][^@\s]*@|\S*@\S*@)"
)
"""A password with what ends it, or its host: RFC 3986, 3.2.1, wants that written as % and two digits."""
_HOW_TO_LOG_IN = (
    ". Name and password belong into the URL, as USER:PASSWORD@ before the host, "
    "with %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %"
)
_DASH = re.compile(r"\.mpd(?:[?#]|$)", re.IGNORECASE)
_CERTIFICATE = {("tls_verify", "1"), ("verify", "1")}


def remedy(
    url: str,
    error: Exception,
    *,
    options: Mapping[str, str] | None = None,
    begun: av.ContainerFormat | None = None,
) -> str:
    """The end of a message about ``error``: a sentence, or nothing if nobody knows better.

    ``options`` are those it was opened with; ``begun`` is the format of what was opened, and gave no packet yet.
    """
    if isinstance(error, av.error.HTTPUnauthorizedError) or _ESCAPED_BADLY.match(url):
        return _HOW_TO_LOG_IN
    if isinstance(error, av.error.ProtocolNotFoundError):
        return _without_protocol(url.split(":", 1)[0])
    if isinstance(error, av.error.PatchWelcomeError):
        return (
            ". The stream went on in another form (rate, channels or coding), which FFmpeg cannot follow: "
            "with reconnect (--reconnect) it is opened anew, and the recording goes on"
        )
    if isinstance(error, av.InvalidDataError) and _DASH.search(url):
        return ". The FFmpeg in PyAV reads no DASH: take the server's HLS playlist (.m3u8), if it has one"
    if url.lower().startswith("https:") and _CERTIFICATE & (options or {}).items():
        return ". It may be that its certificate is not trusted: name one that is, by the option ca_file"
    if url.lower().startswith(OVER_HTTP) and begun is not None and "mov" in begun.name:
        return ". Its index may lie at its end, and the server give no parts (HTTP 206): download it first"
    return ""


def _without_protocol(scheme: str) -> str:
    if scheme.lower() == "srt":
        return (
            ". The FFmpeg in PyAV comes without SRT: let srt-live-transmit receive it and hand it on, "
            "as srt-live-transmit srt://HOST:PORT udp://127.0.0.1:5000, and record udp://127.0.0.1:5000"
        )
    return f". The FFmpeg in PyAV comes without {scheme}"
