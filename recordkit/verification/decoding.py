"""Decodes a whole file and says which coded units the decoders found fault with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.logging
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from ..demux import demux, is_decodable, open_media
from ..errors import SourceError

_FOUND = tuple[str, int, int | None, str]
"""Kind, count, offset of the first, words of the first."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Frames or samples a channel by PID, the PIDs whose frames are interlaced, and the faults."""

    decoded: dict[int, int]
    interlaced: frozenset[int]
    problems: list[_FOUND]


@contextmanager
def _libav_errors() -> Iterator[list[tuple[int, str, str]]]:
    """What the libraries log as errors on this thread; the levels are put back afterwards."""
    level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield logs
    finally:
        av.logging.set_skip_repeated(skip_repeated)
        av.logging.set_level(level)


def decode_all(
    path: Path, advance: Callable[[int], None], demuxer: str | None = "mpegts", name: str = "PID 0x{:04X}"
) -> Decoded:
    """Decodes every audio and video stream, what an edit list hides as well.

    ``advance`` is called with the byte offset reached; ``name`` is how a stream is called by its number.

    Each codec decodes on the calling thread: the libraries log on the thread that meets the
    fault, and only so can it be distinguished from what other decoders of this process log meanwhile.
    """
    decoded: dict[int, int] = {}
    interlaced: set[int] = set()
    problems: dict[str, _FOUND] = {}

    def note(kind: str, offset: int | None, detail: str) -> None:
        count, first_offset, first_detail = problems.get(kind, (kind, 0, offset, detail))[1:]
        problems[kind] = kind, count + 1, first_offset, first_detail

    with _libav_errors() as logs:
        try:
            options = {"ignore_editlist": "1"} if demuxer == "mov" else {}
            with open_media(path, kind=demuxer, options=options) as container:
                streams = [
                    one
                    for one in container.streams
                    if isinstance(one, AudioStream | VideoStream) and is_decodable(one)
                ]
                for stream in streams:
                    stream.codec_context.thread_type = "NONE"
                for packet in demux(container, streams, tells_damage=False):
                    if packet.pos is not None:
                        advance(packet.pos)
                    logs.clear()
                    _decode(packet, packet.stream, decoded, interlaced, note, logs, name)
        except SourceError as error:
            note("cannot be opened for decoding", None, str(error))
    return Decoded(decoded, frozenset(interlaced), list(problems.values()))


def _decode(
    packet: av.Packet[Stream],
    stream: AudioStream | VideoStream,
    decoded: dict[int, int],
    interlaced: set[int],
    note: Callable[[str, int | None, str], None],
    logs: list[tuple[int, str, str]],
    name: str,
) -> None:
    pid, offset = stream.id, packet.pos
    try:
        frames: Sequence[av.AudioFrame | av.VideoFrame] = stream.decode(packet)
    except av.FFmpegError as error:
        words = logs[0][2].strip() if logs else error.strerror or str(error)
        note("undecodable unit", offset, f"{words} ({name.format(pid)})")
        return
    faulty = False
    for frame in frames:
        if isinstance(frame, av.AudioFrame):
            decoded[pid] = decoded.get(pid, 0) + frame.samples
        else:
            decoded[pid] = decoded.get(pid, 0) + 1
            if frame.interlaced_frame:
                interlaced.add(pid)
        faulty |= bool(frame.is_corrupt)
    if logs or faulty:
        words = logs[0][2].strip() if logs else "a decoded frame is marked as corrupt"
        note("undecodable unit", offset, f"{words} ({name.format(pid)})")
