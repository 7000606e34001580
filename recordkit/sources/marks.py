"""The marks that the synthetic source makes and ``readback`` reads: where they lie and how to read them.

A number in each frame, as black and white cells; a flash in the frame and a beep in the audio
from each full second on. All places are proportional to the frame's size.
"""

from __future__ import annotations

import math
from binascii import crc_hqx
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar, cast

import av
import numpy as np
from av.audio.plane import AudioPlane
from av.video.plane import VideoPlane
from numpy.typing import NDArray

BEEP_HZ = 2000
BEEP_S = 0.1
RAMP_S = 0.002
FLASH_S = Fraction(1, 10)
CODE_COLUMNS, CODE_ROWS = 16, 3

_MIN_CONTRAST = 48.0
_CLEAR = 0.12
_FILTER_S, _SMOOTH_S = 0.003, 0.03
_LENGTH_ERROR_S = 0.008
_MIN_LEVEL = 0.01

Plane = NDArray[np.uint8]
Mono = NDArray[np.float32]
_Number = TypeVar("_Number", np.float64, np.complex128)


def plane_rows(plane: VideoPlane | AudioPlane) -> Plane:
    """The memory of a frame's plane (not a copy) as rows of bytes, each with its padding at the end."""
    line = plane.line_size if isinstance(plane, VideoPlane) else plane.buffer_size
    return np.frombuffer(cast("memoryview[int]", plane), np.uint8).reshape(-1, line)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a frame, its edges in pixels (fractions allowed)."""

    left: float
    top: float
    right: float
    bottom: float

    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns that a writer fills: the edges rounded to whole pixels."""
        return slice(round(self.top), round(self.bottom)), slice(round(self.left), round(self.right))

    def inner(self) -> tuple[slice, slice]:
        """Rows and columns that a reader samples: the middle half, at least the central pixel."""
        return _middle(self.top, self.bottom), _middle(self.left, self.right)


def _middle(low: float, high: float) -> slice:
    quarter = (high - low) / 4
    first, last = math.ceil(low + quarter), math.floor(high - quarter)
    centre = int((low + high) / 2)
    return slice(first, last) if last > first else slice(centre, centre + 1)


def layout(width: int, height: int) -> tuple[list[Box], Box]:
    """Where the machine-readable parts lie in a frame of this size, in pixels.

    Returns the cells of the number (row by row, most significant bit first) and the flash patch.
    All of it is proportional to the size, so that a scaled frame is read just the same.
    """
    cell_w, cell_h = 0.045 * width, 0.055 * height
    left, top = 0.05 * width, 0.785 * height
    cells = [
        Box(left + x * cell_w, top + y * cell_h, left + (x + 1) * cell_w, top + (y + 1) * cell_h)
        for y in range(CODE_ROWS)
        for x in range(CODE_COLUMNS)
    ]
    return cells, Box(0.82 * width, top, 0.95 * width, top + CODE_ROWS * cell_h)


def encode_number(number: int) -> int:
    """The 48 bits that stand in the cells: the number modulo 2^32, then a CRC-16 over it.

    The CRC starts at all ones, so that neither a black nor a white frame is a valid number.
    """
    data = (number & 0xFFFF_FFFF).to_bytes(4)
    return int.from_bytes(data) << 16 | crc_hqx(data, 0xFFFF)


def read_frame_number(frame: av.VideoFrame) -> int | None:
    """The number that stands in a frame of any size and pixel format, or None if it cannot be trusted."""
    luma = _luma(frame)
    cells, _ = layout(frame.width, frame.height)
    levels = np.array([luma[cell.inner()].mean() for cell in cells])
    low, high = float(levels.min()), float(levels.max())
    contrast = high - low
    if contrast < _MIN_CONTRAST:
        return None
    threshold = (low + high) / 2
    # A cell halfway between black and white is a guess, and guesses slip past 16 bits of CRC.
    if float(np.abs(levels - threshold).min()) < _CLEAR * contrast:
        return None
    word = 0
    for level in levels:
        word = word << 1 | bool(level > threshold)
    number = word >> 16
    return number if encode_number(number) == word else None


def read_flash(frame: av.VideoFrame) -> bool:
    """Whether the flash patch of a frame is lit."""
    _, flash = layout(frame.width, frame.height)
    return bool(_luma(frame)[flash.inner()].mean() > 128)


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    if not (frame.format.name.startswith(("yuv4", "yuvj4", "nv")) and frame.format.components[0].bits == 8):
        frame = frame.reformat(format="gray")
    return plane_rows(frame.planes[0])[: frame.height, : frame.width]


def find_beeps(samples: Mono, sample_rate: int) -> list[float]:
    """Where beeps begin, in seconds from the first of ``samples`` (mono, full scale 1.0).

    A beep that is not whole, or lies within 3 ms of either end of ``samples``, is left out.
    """
    fine = round(_FILTER_S * sample_rate / 2) * 2 + 1
    coarse = round(_SMOOTH_S * sample_rate / 2) * 2 + 1
    if samples.size < 2 * coarse:
        return []
    envelope = _envelope(samples, sample_rate, fine)
    # At low bit rates AAC lets the beep's amplitude waver: only its mean tells where a beep is at all.
    smooth = _moving_mean(envelope, coarse)
    peak = float(smooth.max())
    # In audio without beeps the envelope is the tone's leakage and noise: low, and without a step.
    if peak < _MIN_LEVEL or peak < 4 * float(np.percentile(smooth, 20)):
        return []
    loud = np.diff((smooth > peak / 3).astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    onsets = []
    for start, end in zip(np.flatnonzero(loud == 1).tolist(), np.flatnonzero(loud == -1).tolist(), strict=True):
        first, last = max(0, start - coarse), min(samples.size, end + coarse)
        half = float(np.median(envelope[start:end])) / 2
        above = np.flatnonzero(envelope[first:last] > half) + first
        if above.size == 0 or above[0] < fine or above[-1] >= samples.size - fine:
            continue
        if abs((above[-1] - above[0]) / sample_rate - (BEEP_S - RAMP_S)) > _LENGTH_ERROR_S:
            continue
        at, low, high = int(above[0]), envelope[above[0] - 1], envelope[above[0]]
        onsets.append((at - 1 + float((half - low) / (high - low))) / sample_rate - RAMP_S / 2)
    return onsets


def _envelope(samples: Mono, sample_rate: int, width: int) -> NDArray[np.float64]:
    """The amplitude at the beep's frequency around each sample, by quadrature demodulation."""
    turn = np.arange(samples.size) * BEEP_HZ % sample_rate * (2 * np.pi / sample_rate)
    # Two passes of a symmetric mean: the half-amplitude point of an edge stays in place.
    turned: NDArray[np.complex128] = np.multiply(samples, np.exp(-1j * turn), dtype=np.complex128)
    base = _moving_mean(_moving_mean(turned, width), width)
    amplitude: NDArray[np.float64] = 2 * np.abs(base)
    return amplitude


def _moving_mean(values: NDArray[_Number], width: int) -> NDArray[_Number]:
    """The mean of ``width`` (odd) values around each one, zeros beyond the ends."""
    total = np.cumsum(np.pad(values, (width // 2 + 1, width // 2)))
    mean: NDArray[_Number] = (total[width:] - total[:-width]) / width
    return mean
