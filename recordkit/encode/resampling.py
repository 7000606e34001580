"""Audio in the sample format, layout and rate that an encoder takes, by libswresample if it has to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

Samples = NDArray[np.float32]
_LEAST = 64
"""Samples at the lower of both rates: with fewer libswresample, whose filter has 32, lets nothing out at all."""


_MOST_PLANES = 8
_FULL_SCALE = 32_768
_KINDS: Mapping[str, tuple[type[np.generic], bool]] = {
    "s16": (np.int16, False),
    "s16p": (np.int16, True),
    "flt": (np.float32, False),
    "fltp": (np.float32, True),
}
"""Of the sample formats that numpy can convert: the type of a sample, and whether each channel is a plane."""


def planes_of(frame: AudioFrame) -> Samples:
    """The samples of ``frame``, a row a channel, of one of the formats above, as libswresample converts them.

    Its filter graph takes six times as long for that.
    """
    kind, is_planar = _KINDS[frame.format.name]
    samples, channels = frame.samples, frame.layout.nb_channels
    found = np.empty((channels, samples), np.float32)
    if is_planar:
        for row, plane in zip(found, frame.planes, strict=False):
            row[:] = np.frombuffer(memoryview(plane), kind, samples)
    else:
        found[:] = np.frombuffer(memoryview(frame.planes[0]), kind, samples * channels).reshape(samples, channels).T
    if kind is np.int16:
        found *= np.float32(1 / _FULL_SCALE)
    return found


def packed(frame: AudioFrame) -> AudioFrame:
    """``frame`` so that its samples can be read: those of eight planes and more in one.

    PyAV 18 gives it a plane too many, whose memory is not its own, and 19 none at all.
    """
    if not frame.format.is_planar or frame.layout.nb_channels < _MOST_PLANES:
        return frame
    (made,) = AudioResampler(frame.format.packed.name, frame.layout.name, frame.sample_rate).resample(frame)
    made.pts, made.time_base = frame.pts, frame.time_base
    return made


class Resampler:
    """Turns frames of one kind into planes of ``layout`` at ``rate`` Hz; not thread-safe."""

    def __init__(self, layout: str, rate: int) -> None:
        self._resampler = AudioResampler("fltp", layout, rate)
        self._layout = layout
        self._rate = rate
        self._last: AudioFrame | None = None
        self._fed = 0
        self._given = 0

    def put(self, frame: AudioFrame) -> list[Samples]:
        """What comes out when ``frame`` goes in; some of it stays inside where the rates differ."""
        if frame.sample_rate == self._rate and frame.layout.name == self._layout and frame.format.name in _KINDS:
            return [planes_of(frame)]
        self._fed += frame.samples
        self._last = frame if self._fed < self._least(frame.sample_rate) else None
        # Its own reckoning with timestamps is of no account: audio is placed by counting.
        return self._out(frame)

    def end(self) -> list[Samples]:
        """What is still inside; nothing can be put in any more."""
        last, self._last = self._last, None
        if last is None or last.sample_rate == self._rate:
            return self._out(None)
        # So few came that the filter is not full yet: more of the same brings them out.
        wanted = -(-self._fed * self._rate // last.sample_rate) - self._given
        pieces = []
        for _ in range(-(-self._least(last.sample_rate) // last.samples)):
            pieces += self._out(last)
        found = np.concatenate([*pieces, *self._out(None)], axis=1)
        return [found[:, :wanted]]

    def _least(self, rate: int) -> int:
        return _LEAST * -(-rate // self._rate)

    def _out(self, frame: AudioFrame | None) -> list[Samples]:
        frames = self._resampler.resample(frame)
        pieces = [np.asarray(piece.to_ndarray(), np.float32) for piece in frames if piece.samples]
        self._given += sum(piece.shape[1] for piece in pieces)
        return pieces


def widened(sound: Samples, source: str, target: str, rate: int) -> Samples:
    """``sound`` of the layout ``source`` in ``target``, which has more channels."""
    frame = AudioFrame.from_ndarray(sound, "fltp", source)
    frame.sample_rate = rate
    resampler = Resampler(target, rate)
    return np.concatenate([*resampler.put(frame), *resampler.end()], axis=1)
