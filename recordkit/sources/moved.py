"""Streams that a new version of the program map moves to other PIDs (ISO/IEC 13818-1, 2.4.4.9)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from av.container import InputContainer
from av.stream import Stream

from ..demux import is_decodable, open_media
from ..errors import SourceError

log = logging.getLogger("recordkit")

_MERGE = "merge_pmt_versions"


def following_moves(container: InputContainer, url: str, options: Mapping[str, str]) -> InputContainer:
    """``container`` of a file, or one open in its place in which a stream that moves stays one stream.

    libavformat has two of it otherwise, of which one would be left out. It takes a stream for the one that stood at
    its place before, and is believed only if fewer of the same come of it.
    """
    before = Counter(map(_kind, container.streams))
    if container.format.name != "mpegts" or _MERGE in options or max(before.values(), default=0) < 2:
        return container
    try:
        merged = open_media(url, kind=container.format.name, options={**options, _MERGE: "1"})
    except SourceError:  # it is no longer there, say: what is open can be read
        return container
    after = Counter(map(_kind, merged.streams))
    if after.keys() == before.keys() and after < before:
        log.info("%s: %d streams move to other PIDs on the way, and are followed", url, (before - after).total())
        container.close()
        return merged
    merged.close()
    return container


def _kind(stream: Stream) -> tuple[str, str, str | None]:
    codec = stream.codec_context.name if is_decodable(stream) else ""
    return stream.type, codec, stream.language
