"""Small media files of many kinds, made with PyAV and the synthetic source; for tests only."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recordkit.sources.synthetic import Synthetic


@contextmanager
def own_priority() -> Iterator[None]:
    """Give back the real-time priority that libsvtav1 gives its whole process if that is root's.

    What is started afterwards would inherit it: two busy children keep two processors from everything else.
    """
    before, parameters = os.sched_getscheduler(os.getpid()), os.sched_getparam(os.getpid())
    try:
        yield
    finally:
        os.sched_setscheduler(os.getpid(), before, parameters)


@own_priority()
def turn(path: Path) -> None:
    """Say in an MP4 that its first track is to be shown turned by 90 degrees (tkhd, ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    version = data.index(b"tkhd") + 4
    matrix = version + (52 if data[version] else 40)
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def make_clip(
    path: Path,
    *,
    video: str | None = "libx264",
    audio: Sequence[str] = ("aac",),
    seconds: float = 2,
    size: tuple[int, int] = (160, 120),
    fps: Fraction | int = 30,
    pixel_format: str = "yuv420p",
    sample_rate: int = 48_000,
    channels: int = 2,
    languages: Sequence[str | None] = (),
    options: Mapping[str, str] | None = None,
) -> Path:
    """Encode ``seconds`` of the synthetic source into ``path``; the suffix says the container."""
    source = Synthetic(
        width=size[0],
        height=size[1],
        fps=Fraction(fps),
        seconds=seconds,
        sample_rate=sample_rate,
        channels=channels,
        video=video is not None,
        audio=bool(audio),
    )
    with av.open(str(path), "w") as container:
        pictures = None
        if video is not None:
            pictures = container.add_stream(video, rate=Fraction(fps), options=dict(options or {}))
            pictures.width, pictures.height, pictures.pix_fmt = *size, pixel_format
            pictures.codec_context.time_base = 1 / Fraction(fps)
        sounds = []
        for number, codec in enumerate(audio):
            sound = container.add_stream(codec, rate=sample_rate)
            sound.layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
            if number < len(languages) and languages[number]:
                sound.metadata["language"] = languages[number]
            sounds.append(sound)
        for frame in source.frames():
            if isinstance(frame, av.VideoFrame):
                if pictures is not None:
                    container.mux(pictures.encode(frame.reformat(format=pixel_format)))
            else:
                for sound in sounds:
                    container.mux(sound.encode(frame))
        for stream in (pictures, *sounds):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def remuxed(
    source: Path,
    target: Path,
    takes: Callable[[av.Packet[Any]], bool] = lambda packet: True,
    options: Mapping[str, str] | None = None,
) -> Path:
    """``target``: ``source`` in another container, by libavformat; ``takes`` may alter a packet, or refuse it."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=dict(options or {})) as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.size and takes(packet):
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


def coded_packets(path: Path, kind: str, number: int = 0) -> list[bytes]:
    """The packets of the ``number``-th stream of ``kind`` as they stand in the file."""
    with av.open(str(path)) as container:
        stream = [one for one in container.streams if one.type == kind][number]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def pictures(path: Path) -> list[bytes]:
    """The luma of each decoded picture."""
    with av.open(str(path)) as container:
        return [bytes(frame.planes[0]) for frame in container.decode(video=0)]
