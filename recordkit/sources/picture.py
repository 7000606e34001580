"""The frames of the synthetic source: a background drawn once, small parts drawn anew."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from .marks import FLASH_S, Box, Plane, encode_number, layout, plane_rows

_LIT, _UNLIT = 235, 34
_NAVY, _AMBER, _TRACK = (0.04, 0.07, 0.13), (1.0, 0.66, 0.16), (0.20, 0.25, 0.34)
_BARS = (
    (0.75, 0.75, 0.75),
    (0.75, 0.75, 0.0),
    (0.0, 0.75, 0.75),
    (0.0, 0.75, 0.0),
    (0.75, 0.0, 0.75),
    (0.75, 0.0, 0.0),
    (0.0, 0.0, 0.75),
)
# Seven rows of five dots, one digit to the base 32 a row.
# A character, then its seven rows of five dots as one digit to the base 32 each.
_FONT = (
    "0ehhhhhe 14c4444e 2eh168gv 3eh161he 426aiv22 5vgu11he 668guhhe 7v124888 8ehhehhe 9ehhf12c "
    ":0040040 .0000004 a00e1fhf c00egghe d11djhhf e00ehvge f698s888 Hhhhvhhh i40c444e kggikoki "
    "m00qllhh o00ehhhe p00uhugg r00mpggg s00ege1u t88s8896 x00ha4ah z00v248v "
)


class Look(Protocol):
    """What a frame shows of its source."""

    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def rate(self) -> Fraction: ...  # noqa: D102
    @property
    def video(self) -> bool: ...  # noqa: D102
    @property
    def audio(self) -> bool: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102


class Painter:
    """Makes the frames of one ``Synthetic``: a background drawn once, small parts drawn anew.

    Holds about two frames of memory. Not for use by several threads at once.
    """

    def __init__(self, settings: Look) -> None:
        self._rate, self._hd = settings.rate, settings.height >= 720
        self._width, self._height = width, height = settings.width, settings.height
        self._cells, self._flash = layout(width, height)
        gap = 0.05 * min(self._cells[0].right - self._cells[0].left, self._cells[0].bottom - self._cells[0].top)
        self._lamps = [Box(c.left + gap, c.top + gap, c.right - gap, c.bottom - gap).pixels() for c in self._cells]
        self._glyphs: dict[tuple[str, int, int], NDArray[np.float64]] = {}
        self._tiles: dict[tuple[int, int, str], Plane] = {}
        self._shown: dict[tuple[int, int], str] = {}
        self._ball = 0
        half = ((height + 1) // 2, (width + 1) // 2)
        self._planes = [np.zeros((height, width), np.uint8), *(np.zeros(half, np.uint8) for _ in "uv")]
        self._draw_background(settings)
        self._blank = [plane.copy() for plane in self._planes]

    def paint(self, number: int) -> av.VideoFrame:
        """Frame ``number`` (0 upwards), as a new frame that the caller may keep."""
        luma = self._planes[0]
        bits = encode_number(number)
        for place, lamp in enumerate(reversed(self._lamps)):
            luma[lamp] = _LIT if bits >> place & 1 else _UNLIT
        ticks, second = number * self._rate.denominator, self._rate.numerator
        flash = ticks >= second and ticks % second < FLASH_S * second
        luma[self._flash.pixels()] = _LIT if flash else _UNLIT
        self._draw_texts(number, ticks * 1000 // second)
        self._draw_ball(math.pi * (ticks % (2 * second)) / second)
        return self._frame(number)

    def _frame(self, number: int) -> av.VideoFrame:
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for target, source in zip(frame.planes, self._planes, strict=True):
            rows = plane_rows(target)
            rows[:, : source.shape[1]] = source
            # Fresh memory holds anything: the padding too shall be the same each time.
            rows[:, source.shape[1] :] = 0
        frame.pts, frame.time_base = number, 1 / self._rate
        # H.273 codes: limited range; BT.709, or BT.601 of 525 lines, for small frames.
        frame.color_range = 1
        frame.colorspace = frame.color_primaries = frame.color_trc = 1 if self._hd else 6
        return frame

    def _draw_background(self, settings: Look) -> None:
        """The parts that never change: gradient, colour bars, panels, title and facts."""
        w, h = self._width, self._height
        self._fill(Box(0, 0, w, h), _NAVY)
        self._planes[0][:] = np.rint(np.linspace(24, 46, h))[:, None]
        for i, colour in enumerate(_BARS):
            self._fill(Box((0.05 + i * 0.9 / 7) * w, 0.175 * h, (0.05 + (i + 1) * 0.9 / 7) * w, 0.2 * h), colour)
        self._fill(Box(0.05 * w, 0.698 * h, 0.95 * w, 0.698 * h + max(1.0, 0.006 * h)), _TRACK)
        first, last, rim = self._cells[0], self._cells[-1], 0.012 * min(w, h)
        for left, right in ((first.left, last.right), (self._flash.left, self._flash.right)):
            self._fill(Box(left - rim, first.top - rim, right + rim, last.bottom + rim), (0, 0, 0))
        self._blank = [plane.copy() for plane in self._planes]
        unit = min(0.06 * h / 7, 0.3 * w / 53)
        if unit >= 1:
            self._write("recordkit", 0.05 * w, 0.075 * h, unit, 200)
        facts = [f"{w}x{h}", f"{float(self._rate):.5g} fps"] if settings.video else []
        facts += [f"{settings.sample_rate / 1000:g} kHz"] if settings.audio else []
        line, small = "  ".join(facts), 0.6 * unit
        if small >= 1:
            x = 0.95 * w - (6 * len(line) - 1) * small
            self._write(line, x, 0.075 * h + 7 * (unit - small), small, 150)

    def _draw_texts(self, number: int, milliseconds: int) -> None:
        seconds, ms = divmod(milliseconds, 1000)
        clock = f"{seconds // 3600 % 100:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
        unit = max(1.0, min(0.8 * self._width / 71, 0.17 * self._height / 7))
        self._write_centred(clock, 0.27 * self._height, unit, _LIT)
        label = f"frame {number % 10**8:08}"
        self._write_centred(label, 0.52 * self._height, max(1.0, 0.45 * unit), 170)

    def _write_centred(self, text: str, y: float, unit: float, luma: int) -> None:
        # In a tiny frame the end of a text matters most: it is what moves.
        fits = int((0.95 * self._width / unit + 1) // 6)
        if len(text) > fits:
            text = text[-fits:].split(" ")[-1].lstrip(":")
        self._write(text, (self._width - (6 * len(text) - 1) * unit) / 2, y, unit, luma)

    def _write(self, text: str, x: float, y: float, unit: float, luma: int) -> None:
        """``text`` with its top left corner at (x, y), each dot of the font ``unit`` pixels wide."""
        top, width, height = round(y), round(5 * unit), round(7 * unit)
        for i, char in enumerate(text):
            if char == " ":
                continue
            left = round(x + 6 * i * unit)
            if self._shown.get((left, top)) == char:
                continue
            self._shown[left, top] = char
            area = slice(top, top + height), slice(left, left + width)
            tile = self._tiles.get((left, top, char))
            if tile is None:
                glyph = self._glyphs.get((char, width, height))
                if glyph is None:
                    glyph = self._glyphs[char, width, height] = _glyph(char, width, height)
                tile = _blend(self._blank[0][area], luma, glyph)
                self._tiles[left, top, char] = tile
            self._planes[0][area] = tile

    def _draw_ball(self, phase: float) -> None:
        """A ball that swings from side to side and turns on each full second."""
        radius = max(1, round(0.026 * min(self._width, self._height)))
        reach = 0.44 * self._width - radius
        left = round(self._width / 2 - radius - reach * math.cos(phase))
        top, before, self._ball = (round(0.701 * self._height) - radius) & ~1, self._ball, left
        for i, value in enumerate(self._colour(_AMBER)):
            step = 2 if i else 1
            side, plane, blank = 2 * radius // step, self._planes[i], self._blank[i]
            rows = slice(top // step, top // step + side)
            plane[rows, before // step : before // step + side] = blank[
                rows, before // step : before // step + side
            ]
            columns = slice(left // step, left // step + side)
            plane[rows, columns] = _blend(blank[rows, columns], value, _disc(side))

    def _fill(self, box: Box, colour: tuple[float, float, float]) -> None:
        half = Box(box.left / 2, box.top / 2, box.right / 2, box.bottom / 2)
        for plane, area, value in zip(self._planes, (box, half, half), self._colour(colour), strict=True):
            plane[area.pixels()] = value

    def _colour(self, rgb: tuple[float, float, float]) -> tuple[int, int, int]:
        """Y'CbCr of limited range for R'G'B' (0 to 1): BT.709, or BT.601 for small frames."""
        red, blue = (0.2126, 0.0722) if self._hd else (0.299, 0.114)
        y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
        cb, cr = (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)
        return round(16 + 219 * y), round(128 + 224 * cb), round(128 + 224 * cr)


def _blend(below: Plane, value: int, cover: NDArray[np.float64]) -> Plane:
    return np.rint(below + (value - below.astype(np.float64)) * cover).astype(np.uint8)


def _disc(side: int) -> NDArray[np.float64]:
    """How much of each pixel of a square a disc covers, 0 to 1."""
    offset = np.arange(side) + 0.5 - side / 2
    cover: NDArray[np.float64] = np.clip(side / 2 + 0.5 - np.hypot(offset, offset[:, None]), 0, 1)
    return cover


def _glyph(char: str, width: int, height: int) -> NDArray[np.float64]:
    """How much of each pixel a character covers, 0 to 1: round strokes from dot to dot of the font."""
    start = 9 * _FONT[::9].index(char) + 1
    rows = [int(digit, 32) for digit in _FONT[start : start + 7]]
    dots = {(x, y) for y, row in enumerate(rows) for x in range(5) if row >> (4 - x) & 1}
    x_at = (np.arange(width) + 0.5) * 5 / width - 0.5
    y_at = ((np.arange(height) + 0.5) * 7 / height - 0.5)[:, None]
    nearest = np.full((height, width), np.inf)
    for x, y in dots:
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 1)):
            corner = dx and dy and ((x + dx, y) in dots or (x, y + dy) in dots)
            if (x + dx, y + dy) in dots and not corner:
                along = np.clip(((x_at - x) * dx + (y_at - y) * dy) / max(1, dx * dx + dy * dy), 0, 1)
                nearest = np.minimum(nearest, (x_at - x - along * dx) ** 2 + (y_at - y - along * dy) ** 2)
    cover: NDArray[np.float64] = np.clip((0.46 - np.sqrt(nearest)) * height / 7 + 0.5, 0, 1)
    return cover
