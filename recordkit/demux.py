"""Files, URLs and devices through libavformat: the one place that opens them, and the way to read on."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

import av
from av.container import InputContainer

from .errors import SourceError

log = logging.getLogger("recordkit")

LONGEST_SILENCE_S = 30.0
"""After so long without a byte, or without one that makes sense, a source is held for dead."""

_TAGS: Mapping[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""PyAV 19 no longer takes this, and replaces what is not UTF-8 by itself."""

DemuxedPacket: TypeAlias = "av.Packet[Any]"


def open_media(
    url: str | os.PathLike[str] | BinaryIO, *, kind: str | None = None, options: Mapping[str, str] | None = None
) -> InputContainer:
    """Open ``url``, or a file that is open already, as ``kind`` if that is given ("mpegts").

    Raises SourceError if that fails. A tag that is not UTF-8 is no reason to refuse the media beside it.
    """
    name = os.fspath(url) if isinstance(url, str | os.PathLike) else "bytes in memory"
    try:
        container: InputContainer = av.open(
            name if isinstance(url, str | os.PathLike) else url,
            mode="r",
            format=kind,
            # Not merge_pmt_versions: it takes a stream for another one where a new program map has more of them.
            options=dict(options or {}),
            timeout=(LONGEST_SILENCE_S, LONGEST_SILENCE_S),
            **_TAGS,
        )
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(name, f"cannot be opened: {words(error)}") from error


def demux(container: InputContainer, streams: Sequence[av.stream.Stream]) -> Iterator[DemuxedPacket]:
    """The packets of ``streams`` to the end, and at the end an empty one of each that flushes its decoder.

    "Try again", which libavformat says of each stretch without a sync byte, is no end.
    Raises SourceError if it cannot be read on.
    """
    deadline = time.monotonic() + LONGEST_SILENCE_S
    while True:
        try:
            for packet in container.demux(*streams):
                yield packet
                deadline = time.monotonic() + LONGEST_SILENCE_S
            return
        except av.BlockingIOError as error:
            if time.monotonic() > deadline:
                raise SourceError(
                    container.name, f"nothing that could be read came for {LONGEST_SILENCE_S:.0f} s"
                ) from error
        except IndexError:
            # PyAV 18 trips at the very end of a file in which streams appeared on the way.
            log.warning("%s: streams that appeared on the way were left out", container.name)
            return
        except (av.FFmpegError, OSError) as error:
            raise SourceError(container.name, f"cannot be read on: {words(error)}") from error


def is_decodable(stream: av.stream.Stream) -> bool:
    """Whether libavcodec knows the coding of ``stream``; it has no codec context otherwise."""
    return getattr(stream, "codec_context", None) is not None


def words(error: Exception) -> str:
    """What ``error`` says, without its number and class."""
    if isinstance(error, av.ExitError):
        return f"nothing came for {LONGEST_SILENCE_S:.0f} s"
    return getattr(error, "strerror", None) or str(error)
