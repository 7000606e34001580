"""Reads the marks of ``Synthetic`` back out of a finished file: lost frames, lip sync, jitter.

Works on files from any recorder or muxer that PyAV can open, after lossy coding and after scaling.
Memory stays bounded: frames leave a number behind, audio is searched in windows of a few seconds.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av

from ..demux import demux, open_media, settle
from ..errors import SourceError
from ..ticks import WRAP, Unwrapper
from .readings import Audio, Frames
from .synthetic import Synthetic


@dataclass(frozen=True, slots=True)
class Readback:
    """What a file holds of a synthetic source's frames and audio.

    ``frames`` is their count: ``numbers_ok`` of them gave a number, ``unreadable`` did not. ``first_number`` and
    ``last_number`` are the lowest and highest; ``lost`` counts the numbers between them that never
    came, ``repeated`` the frames whose number had come before, ``out_of_order`` those that came
    after a higher one. ``frame_jitter_s`` is the largest deviation of a frame's time from
    number / ``fps``, the first readable frame being right.

    ``samples`` counts per channel, ``audio_s`` is their playing time, ``audio_gaps`` the places
    where the audio's timestamps jump by more than 5 ms. ``sync_offsets_s`` has one entry for each
    second with both a flash and a beep: how much later the beep is than the flash (positive: audio
    is late), each measured against the time that its number tells; ``sync_worst_s`` is the one
    furthest from 0. Offsets beyond half a second cannot be told apart from smaller ones.

    ``sizes`` are the frames' (width, height) in order of first appearance. ``damaged_packets``
    counts packets that the decoders refused. Figures that could not be had are None.
    """

    frames: int
    numbers_ok: int
    unreadable: int
    lost: int
    repeated: int
    out_of_order: int
    first_number: int | None
    last_number: int | None
    fps: Fraction | None
    frame_jitter_s: float | None
    samples: int
    audio_s: float
    audio_gaps: int
    sync_offsets_s: tuple[float, ...]
    sync_worst_s: float | None
    sizes: tuple[tuple[int, int], ...]
    damaged_packets: int


def read_back(path: str | os.PathLike[str], fps: Fraction | float | str | None = None) -> Readback:
    """Decodes a finished file once and says what of the synthetic source is in it.

    ``fps`` is the source's rate as ``Synthetic`` takes it; without it the rate is estimated from
    the first frames. The first video and the first audio stream are read; either may be missing.

    Raises SourceError where the file cannot be opened or read on, or has neither; SettingsError
    for an unusable ``fps``.
    """
    rate = None if fps is None else Synthetic(fps=fps).rate
    container = open_media(path)
    shown, heard, damaged = Frames(rate), Audio(), 0
    with container:
        streams: list[av.VideoStream | av.AudioStream] = []
        streams += container.streams.video[:1]
        streams += container.streams.audio[:1]
        if not streams:
            raise SourceError(str(path), "has neither video nor audio")
        for stream in container.streams.video[:1]:
            stream.thread_type = "AUTO"
        # One unwrapper for both streams: they lie within a second of each other, so that
        # one that begins after the fold of the 33 bits still lands beside the other.
        clock = Unwrapper() if container.format.name == "mpegts" else None
        try:
            for packet in demux(container, streams):
                try:
                    frames: Sequence[av.VideoFrame | av.AudioFrame] = packet.decode()
                except av.FFmpegError:
                    # Which error a decoder answers damage with differs from decoder to decoder.
                    damaged += 1
                    continue
                for frame in frames:
                    if isinstance(frame, av.VideoFrame):
                        shown.add(frame, _time(frame, clock))
                    else:
                        heard.add(frame, _time(frame, clock))
        finally:
            for one in streams:
                settle(one.codec_context)
    shown.settle()
    heard.search(final=True)
    offsets = _sync_offsets(shown.flashes, sorted(heard.beeps))
    return Readback(
        frames=shown.count,
        numbers_ok=shown.readable,
        unreadable=shown.count - shown.readable,
        lost=shown.numbers.lost,
        repeated=shown.numbers.repeated,
        out_of_order=shown.numbers.out_of_order,
        first_number=shown.numbers.first,
        last_number=shown.numbers.last,
        fps=shown.fps,
        frame_jitter_s=shown.jitter_s,
        samples=heard.samples,
        audio_s=float(heard.seconds),
        audio_gaps=heard.gaps,
        sync_offsets_s=offsets,
        sync_worst_s=max(offsets, key=abs, default=None),
        sizes=tuple(shown.sizes),
        damaged_packets=damaged,
    )


def _time(frame: av.VideoFrame | av.AudioFrame, clock: Unwrapper | None) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    if clock is None:
        return frame.pts * frame.time_base
    return clock.unwrap(frame.pts % WRAP) * frame.time_base


def _sync_offsets(flashes: dict[int, float], beeps: list[float]) -> tuple[float, ...]:
    offsets = []
    for second, shift in sorted(flashes.items()):
        after = bisect_right(beeps, second + shift)
        near = min(beeps[max(0, after - 1) : after + 1], key=lambda beep: abs(beep - second - shift), default=None)
        if near is not None and abs(near - second - shift) < 0.5:
            offsets.append(near - second - shift)
    return tuple(offsets)
