"""Files, URLs and devices through libavformat: the one place that opens them, and the way to read on."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, TypeVar

import av
from av.container import InputContainer

from .demuxed import Care, DemuxedPacket
from .errors import SourceError
from .printable import discreet
from .remedies import OVER_HTTP, remedy

log = logging.getLogger("recordkit")

LONGEST_SILENCE_S = 30.0
"""After so long without a byte, or without one that makes sense, a source is held for dead."""

MOST_PIXELS = 139_264 * 256
"""The largest frame of any level (ITU-T H.264, A.3, and H.265, A.4: level 6.2, 8K). A decoder refuses what claims
to be larger: a file of 4 kB can say that its frames have a gigabyte each."""
_MOST_THREADS = 4
"""Each thread of a decoder holds a frame more."""

_LONGEST_ANALYSIS_S = 1.5
"""So long the beginning of what comes live is looked at for streams; libavformat takes 7 s, and FLV a minute and a
half. All that was looked at is recorded, and what a transport stream names is there although it comes later."""

_KEPT_OPEN: Mapping[str, str] = {"multiple_requests": "1"}
"""FFmpeg 8.1 asks for a connection to be closed, goes on reading from it if the answer does not say that it will be
(RFC 9112, 9.6), and misses what it seeks (see findings/)."""
_WALLCLOCK = "use_wallclock_as_timestamps"
_BY_ARRIVAL: Mapping[str, str] = {_WALLCLOCK: "1"}
_NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS: a format that has none."""

_REFERENCE_TIME = Struct("=qi")
"""AVProducerReferenceTime: microseconds since the epoch, and flags."""
_TAGS: Mapping[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""PyAV 19 no longer takes this, and replaces what is not UTF-8 by itself."""

_BOUNDS: Mapping[str, str] = {"max_pixels": str(MOST_PIXELS)}
_SOFTWARE: Mapping[str, str] = {"av1": "libdav1d"}
"""By the coding: whose decoder of the same name only hands on to a graphics card."""
T = TypeVar("T", bound="av.VideoCodecContext")


def open_media(
    url: str | os.PathLike[str] | BinaryIO,
    *,
    kind: str | None = None,
    options: Mapping[str, str] | None = None,
    silence_s: float = LONGEST_SILENCE_S,
) -> InputContainer:
    """Open ``url``, or a file that is open already, as ``kind`` if that is given ("mpegts").

    Raises SourceError if that fails, as ``demux`` does after ``silence_s`` seconds in which nothing came. A tag
    that is not UTF-8 is no reason to refuse the media beside it. What comes live is analysed for a moment only, if
    ``options`` do not say how long (``analyzeduration``), and has the times of its arrival in a format without any,
    for which libavformat makes some up by a frame rate.
    """
    is_named = isinstance(url, str | os.PathLike)
    name = os.fspath(url) if isinstance(url, str | os.PathLike) else str(getattr(url, "name", "bytes in memory"))
    if "\0" in name:
        raise SourceError(name, "no file has a NUL in its name")
    given = dict(options or {})
    if is_named and name.lower().startswith(OVER_HTTP):
        given = {**_KEPT_OPEN, **given}
    is_live = is_named and _may_be_live(name)
    since_s = time.monotonic()
    if is_live:
        given = _hasty() | given
    try:
        if is_live and kind is not None and _is_timeless(av.ContainerFormat(kind, "r")):
            given = {**_BY_ARRIVAL, **given}
        container = _opened(name if isinstance(url, str | os.PathLike) else url, kind, given, silence_s)
        if _is_timeless(container.format) and not given.keys() & _BY_ARRIVAL.keys():
            if is_live and not name.startswith("pipe:"):
                # Now that the format is known, once more: a connection can be made again, a pipe cannot.
                container.close()
                given.update(_BY_ARRIVAL)
                container = _opened(name, kind, given, silence_s)
            else:
                log.warning("%s has no times (%s): its frame rate counts", name, container.format.name)
        if _is_timeless(container.format) and given.get(_WALLCLOCK) == "1":
            log.warning("%s has no times (%s): its frames have those of their arrival", name, container.format.name)
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        because = words(error, silence_s)
        if isinstance(error, OSError) and error.errno == errno.EIO and time.monotonic() - since_s >= silence_s:
            because = words(av.ExitError(0, ""), silence_s)  # so it is: RTMP makes an error of its own of it
        helps = remedy(name, error, options=given)
        raise SourceError(name, f"cannot be opened: {because}{helps}") from _discreet(error)


def _opened(url: str | BinaryIO, kind: str | None, options: dict[str, str], silence_s: float) -> InputContainer:
    container: InputContainer = av.open(
        url,
        mode="r",
        format=kind,
        # Not merge_pmt_versions: it takes a stream for another one where a new program map has more of them.
        options={**_BOUNDS, **options},
        timeout=(silence_s, silence_s),
        **_TAGS,
    )
    for stream in container.streams:
        if isinstance(stream, av.VideoStream) and is_decodable(stream):
            bounded(stream.codec_context)
    return container


def decoder_name(codec: str) -> str:
    """How a decoder of ``codec`` (libavcodec's name of the coding) is called that needs no hardware."""
    name = _SOFTWARE.get(codec, codec)
    return name if name in av.codecs_available else codec


def bounded(decoder: T) -> T:
    """``decoder``, which refuses frames of more than ``MOST_PIXELS``, and holds no more of them than it must."""
    decoder.options = {**decoder.options, **_BOUNDS}
    decoder.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)
    return decoder


def raw_bytes(url: str, options: Mapping[str, str], *, most: int, longest_s: float) -> bytes:
    """What comes from ``url`` as it is: ``most`` bytes, or for ``longest_s`` seconds, or while it can be read."""
    data = bytearray()
    deadline = time.monotonic() + longest_s
    try:
        with av.open(url, format="data", options=dict(options), timeout=(longest_s, longest_s)) as raw:
            for packet in raw.demux():
                data += bytes(packet)
                if len(data) >= most or time.monotonic() > deadline:
                    break
    except (av.FFmpegError, OSError, ValueError):
        pass  # what has come by then is all there is
    return bytes(data)


def _is_timeless(kind: av.ContainerFormat) -> bool:
    return bool(kind.flags & _NO_TIMESTAMPS)


def _hasty() -> dict[str, str]:
    return {"analyzeduration": str(round(_LONGEST_ANALYSIS_S * av.time_base))}


def _may_be_live(name: str) -> bool:
    """Whether ``name`` is a connection, a pipe or a device: those who send do not wait for who looks."""
    scheme, is_url = name.split(":", 1)[0], ":" in name
    if is_url and scheme != "file" and not Path(name).exists():
        return True
    try:
        return not stat.S_ISREG(Path(name.removeprefix("file:")).stat().st_mode)
    except (OSError, ValueError):
        return False


def demux(
    container: InputContainer,
    streams: Sequence[av.stream.Stream],
    *,
    tells_damage: bool = True,
    takes_encrypted: bool = False,
) -> Iterator[DemuxedPacket]:
    """The packets of ``streams`` to the end, and at the end an empty one of each that flushes its decoder.

    "Try again", which libavformat says of each stretch without a sync byte, is no end. Packets that are cut off
    or damaged are counted in the log, unless that is told elsewhere; encrypted ones are left out, unless
    ``takes_encrypted``: who does that looks at them.
    Raises SourceError if it cannot be read on, was closed meanwhile, or all of it is encrypted.
    """
    _check_open(container)
    if not streams:
        return  # of which libavformat makes all
    silence_s = float(container.read_timeout or LONGEST_SILENCE_S)
    deadline = time.monotonic() + silence_s
    has_come = False
    by_arrival = container.options.get(_WALLCLOCK) == "1" and _is_timeless(container.format)
    care = Care(
        container, streams, tells_damage=tells_damage, takes_encrypted=takes_encrypted, by_arrival=by_arrival
    )
    try:
        while True:
            try:
                for one in container.demux(*streams):
                    for packet in care.taken(one):
                        yield packet
                        _check_open(container)
                    has_come, deadline = True, time.monotonic() + silence_s
                return
            except av.BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise SourceError(
                        container.name, f"nothing that could be read came for {silence_s:g} s"
                    ) from _discreet(error)
            except IndexError:
                # PyAV 18 trips at the very end of a file in which streams appeared on the way.
                log.warning("%s: streams that appeared on the way were left out", container.name)
                return
            except (av.FFmpegError, OSError) as error:
                helps = remedy(container.name, error, begun=None if has_come else container.format)
                because = f"cannot be read on: {words(error, silence_s)}{helps}"
                raise SourceError(container.name, because) from _discreet(error)
    finally:
        care.tell_counts()


def _check_open(container: InputContainer) -> None:
    """PyAV reads on from a container that was closed meanwhile, and the process ends by it."""
    try:
        container.start_time  # noqa: B018 - which a closed one does not tell
    except AssertionError:
        raise SourceError(container.name, "was closed while it was being read") from None


def settle(decoder: av.CodecContext | None) -> None:
    """Wait for what a decoder's threads still do: before it is let go, and its container closed.

    PyAV frees it with the interpreter's lock held. A thread that meets a fault then logs that, and waits for the
    lock, if the level of PyAV's log was ever set, as it is while a file is verified: for ever.
    """
    if decoder is not None:
        decoder.flush_buffers()


def is_decodable(stream: av.stream.Stream) -> bool:
    """Whether libavcodec knows the coding of ``stream``; it has no codec context otherwise."""
    return getattr(stream, "codec_context", None) is not None


def words(error: Exception, silence_s: float = LONGEST_SILENCE_S) -> str:
    """What ``error`` says, without its number and class."""
    if isinstance(error, av.ExitError):
        return f"nothing came for {silence_s:g} s"
    return getattr(error, "strerror", None) or str(error)


def _discreet(error: Exception) -> Exception:
    """``error``, which names what it was opened by, without what is secret in that: tracebacks show it."""
    error.args = tuple(discreet(one) if isinstance(one, str) else one for one in error.args)
    return error


def reference_time_ns(packet: DemuxedPacket) -> int | None:
    """When the frame of ``packet`` was produced, in nanoseconds since the epoch; None if nothing says so.

    libavformat has it of a camera's sender reports (RTSP), and of the ``prft`` boxes of MP4.
    """
    if not packet.has_sidedata("prft"):
        return None
    wall_us, _ = _REFERENCE_TIME.unpack_from(bytes(packet.get_sidedata("prft")))
    return int(wall_us) * 1000
