"""Opens what a media file names, and says why that fails in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer

from ..demux import LONGEST_SILENCE_S, open_media
from ..demuxed import DemuxedPacket
from ..errors import SourceError
from .encrypted import (
    ENCRYPTED,
    LOCKED_PLAYLIST,
    SCRAMBLED,
    is_locked_playlist,
    is_scrambled_on_air,
    scrambled_pids,
)
from .lasting import is_live, longest_silence_s
from .media_settings import MediaFileSettings
from .moved import following_moves

_MOST_SEGMENTS = 10_000
_LONGEST_LISTENING_S = 24 * 3600
_SHORT_ANALYSIS_US = 300_000
"""So long one that is back is looked at before anything is recorded, in a format that names its streams first."""
_NAMING = {"mpegts", "rtsp"}


def opened(file: MediaFileSettings, *, is_back: bool = False, kind: str | None = None) -> InputContainer:
    """What ``file`` names, open. Raises SourceError, which says why.

    ``is_back`` if it was open before, in the format ``kind``.
    """
    options = file.given_options
    if is_back:
        # All that a playlist still has: what came before is left out, and as little as can be is missing.
        options = {"live_start_index": str(-_MOST_SEGMENTS), **options}
    if kind in _NAMING:
        options = {"analyzeduration": str(_SHORT_ANALYSIS_US), **options}
    silence_s = LONGEST_SILENCE_S if file.reconnect is None else file.reconnect.silence_s
    if "listen" in options.get("rtsp_flags", ""):
        # FFmpeg 8 refuses its own default, which stands for ever.
        options = {"listen_timeout": str(_LONGEST_LISTENING_S), **options}
    try:
        container = open_media(file.url, kind=file.format, options=options, silence_s=silence_s)
        if file.reconnect is not None and (needed_s := longest_silence_s(container, file, silence_s)) > silence_s:
            container.close()
            container = open_media(file.url, kind=file.format, options=options, silence_s=needed_s)
        return container if is_live(container) else following_moves(container, file.url, options)
    except SourceError as error:
        if file.protocols is not None and isinstance(error.__cause__, av.ArgumentError):
            raise SourceError(
                file.url,
                f"cannot be opened: it may lead to what is not allowed ({', '.join(file.protocols)} is)",
            ) from error
        if scrambled_pids(Path(file.url)):
            raise SourceError(file.url, ENCRYPTED) from None
        if is_locked_playlist(Path(file.url)):
            raise SourceError(file.url, LOCKED_PLAYLIST) from error
        if not is_back and isinstance(error.__cause__, av.InvalidDataError) and "://" in file.url:
            _tell_if_scrambled(file, error)
        raise


def told_if_scrambled(
    file: MediaFileSettings, container: InputContainer, packets: Iterator[DemuxedPacket]
) -> Iterator[DemuxedPacket]:
    """``packets``; if none comes of a stream that is there, why not."""
    has_come = False
    try:
        for packet in packets:
            has_come = True
            yield packet
    except SourceError as error:
        if not has_come and container.format.name == "mpegts":
            container.close()
            _tell_if_scrambled(file, error)
        raise


def _tell_if_scrambled(file: MediaFileSettings, error: SourceError) -> None:
    if is_scrambled_on_air(file.url, file.given_options):
        raise SourceError(file.url, SCRAMBLED) from error
