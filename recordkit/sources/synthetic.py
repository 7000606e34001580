"""A test source: pictures that carry their number, a flash and a beep on each full second.

Each picture and each sound chunk is a pure function of its index, so two runs give the same bytes
and a finished recording can be judged to the unit by ``readback``. Nothing here sleeps or reads a
clock: whoever consumes the frames paces them with ``due_s``.
"""

from __future__ import annotations

import math
from binascii import crc_hqx
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.plane import AudioPlane
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from ..errors import SettingsError
from .source import OpenSource, SourceItem

BEEP_HZ = 2000
BEEP_S = 0.1
RAMP_S = 0.002
FLASH_S = Fraction(1, 10)
CHUNKS_PER_SECOND = 50
_TONES_HZ = tuple(range(440, 440 + 8 * 110, 110))
_TONE_LEVEL, _BEEP_LEVEL = 0.04, 0.4
_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
_NTSC_RATES = (12, 15, 24, 30, 48, 60, 90, 120, 240)
_MIN_SIZE, _MAX_SIDE = (64, 48), 8192

CODE_COLUMNS, CODE_ROWS = 16, 3
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

_Plane = NDArray[np.uint8]


def plane_rows(plane: VideoPlane | AudioPlane) -> _Plane:
    """The memory of a frame's plane (not a copy) as rows of bytes, each with its padding at the end."""
    line = plane.line_size if isinstance(plane, VideoPlane) else plane.buffer_size
    return np.frombuffer(cast("memoryview[int]", plane), np.uint8).reshape(-1, line)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture, its edges in pixels (fractions allowed)."""

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
    """Where the machine-readable parts lie in a picture of this size, in pixels.

    Returns the cells of the number (row by row, most significant bit first) and the flash patch.
    All of it is proportional to the size, so that a scaled picture is read just the same.
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

    The CRC starts at all ones, so that neither a black nor a white picture is a valid number.
    """
    data = (number & 0xFFFF_FFFF).to_bytes(4)
    return int.from_bytes(data) << 16 | crc_hqx(data, 0xFFFF)


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """A synthetic camera and microphone.

    ``width`` and ``height`` in pixels (64x48 to 8192x8192, odd ones too); ``fps`` in pictures a
    second, as a Fraction, a number or a string such as ``"30000/1001"`` (29.97, 23.976 and their
    like mean the exact n/1001 rate); ``sample_rate`` in Hz; ``channels`` 1 to 8; ``seconds`` is
    how much to give (None: without end); ``realtime`` asks the consumer to pace the frames.

    The picture flashes and all channels beep for 0.1 s from each full second on, the first at 1 s.

    Raises SettingsError for values that cannot be used.
    """

    width: int = 1280
    height: int = 720
    fps: Fraction | float | str = Fraction(30)
    sample_rate: int = 48_000
    channels: int = 2
    video: bool = True
    audio: bool = True
    seconds: float | None = None
    realtime: bool = True

    def __post_init__(self) -> None:
        if not (self.video or self.audio):
            raise SettingsError("video", self.video, "neither video nor audio; switch on at least one")
        for name, value, low, high in (
            ("width", self.width, _MIN_SIZE[0], _MAX_SIDE),
            ("height", self.height, _MIN_SIZE[1], _MAX_SIDE),
            ("sample_rate", self.sample_rate, 8000, 192_000),
            ("channels", self.channels, 1, len(_LAYOUTS)),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise SettingsError(name, value, f"give a whole number from {low} to {high}")
        timed = isinstance(self.seconds, (int, float)) and not isinstance(self.seconds, bool)
        if self.seconds is not None and not (timed and 0 < self.seconds < math.inf):
            raise SettingsError("seconds", self.seconds, "give a time above 0, or None for no end")
        object.__setattr__(self, "fps", _exact_rate(self.fps))

    @property
    def rate(self) -> Fraction:
        """Pictures a second, exactly: ``fps`` as it was understood."""
        return Fraction(self.fps)

    @property
    def picture_count(self) -> int | None:
        """How many pictures ``frames`` gives: those whose time is below ``seconds``; None without end."""
        exact = self._exact_seconds() if self.video else Fraction(0)
        return None if exact is None else math.ceil(exact * self.rate)

    @property
    def sample_count(self) -> int | None:
        """How many samples (per channel) ``frames`` gives; None without end."""
        exact = self._exact_seconds() if self.audio else Fraction(0)
        return None if exact is None else math.floor(exact * self.sample_rate + Fraction(1, 2))

    def frames(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """Pictures (yuv420p) and sound chunks of 20 ms (s16), in the order in which they are due.

        A picture's ``pts`` is its number in units of 1/fps, a chunk's is its first sample's index.
        """
        pictures, samples = self.picture_count, self.sample_count
        rate = self.rate
        painter = Painter(self) if self.video else None
        sound = _Sound(self) if self.audio else None
        number = chunk = 0
        while True:
            start, end = (i * self.sample_rate // CHUNKS_PER_SECOND for i in (chunk, chunk + 1))
            end = end if samples is None else min(end, samples)
            more_sound = sound is not None and start < end
            more_video = painter is not None and (pictures is None or number < pictures)
            # Both dues over one denominator. Sound goes first where they are equal: it began earlier.
            sound_first = end * rate.numerator <= number * rate.denominator * self.sample_rate
            if sound is not None and more_sound and (sound_first or not more_video):
                yield sound.chunk(start, end)
                chunk += 1
            elif painter is not None and more_video:
                yield painter.paint(number)
                number += 1
            else:
                return

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"synthetic {self.width}x{self.height}" if self.video else "synthetic sound"

    @contextmanager
    def open(self) -> Iterator[OpenSource]:
        """Begin to give frames, paced by their times where ``realtime`` asks for it."""
        items = (SourceItem(frame, 0, self.due_s(frame) if self.realtime else None) for frame in self.frames())
        yield OpenSource(items, self.video, self.audio, frame_rate=self.rate if self.video else None)

    def due_s(self, frame: av.VideoFrame | av.AudioFrame) -> float:
        """When a live device would have given out this frame, in seconds since its start.

        A picture is there at its own time, a chunk of sound when its last sample has been heard.
        """
        pts = frame.pts or 0
        if isinstance(frame, av.VideoFrame):
            return float(pts / self.rate)
        return (pts + frame.samples) / self.sample_rate

    def _exact_seconds(self) -> Fraction | None:
        # A float such as 0.1 * 3 lies a hair above 0.3 and would else give one picture too many.
        return None if self.seconds is None else Fraction(self.seconds).limit_denominator(1_000_000)


def _exact_rate(fps: Fraction | float | str) -> Fraction:
    advice = 'give pictures a second above 0 and up to 1000, such as 30, 29.97 or "30000/1001"'
    try:
        rate = Fraction(fps)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise SettingsError("fps", fps, advice) from error
    if isinstance(fps, bool) or not 0 < rate <= 1000:
        raise SettingsError("fps", fps, advice)
    if isinstance(fps, float) or (isinstance(fps, str) and "/" not in fps):
        ntsc = next((Fraction(n * 1000, 1001) for n in _NTSC_RATES if abs(n / 1.001 - rate) < 0.005), None)
        rate = ntsc or rate.limit_denominator(10_000)
    # A time base travels as two C ints in libav.
    if rate <= 0 or max(rate.numerator, rate.denominator) >= 1 << 31:
        raise SettingsError("fps", fps, "its numerator and denominator must stay below 2^31")
    return rate


class _Sound:
    """The sound as two tables of one second each: all frequencies are whole numbers of Hz."""

    def __init__(self, settings: Synthetic) -> None:
        self._rate, self._layout = settings.sample_rate, _LAYOUTS[settings.channels - 1]
        index = np.arange(self._rate, dtype=np.int64)
        tones = np.stack([self._sine(index, hz) for hz in _TONES_HZ[: settings.channels]], axis=1)
        time = index / self._rate
        rise, fall = np.clip(time / RAMP_S, 0, 1), np.clip((BEEP_S - time) / RAMP_S, 0, 1)
        beep = self._sine(index, BEEP_HZ) * np.minimum(rise, fall)
        self._quiet = self._table(_TONE_LEVEL * tones)
        self._beeping = self._table(_TONE_LEVEL * tones + _BEEP_LEVEL * beep[:, None])

    def _sine(self, index: NDArray[np.int64], hz: int) -> NDArray[np.float64]:
        wave: NDArray[np.float64] = np.sin((index * hz % self._rate).astype(np.float64) * (2 * np.pi / self._rate))
        return wave

    @staticmethod
    def _table(sound: NDArray[np.float64]) -> NDArray[np.int16]:
        return np.rint(sound * 32767).astype(np.int16)

    def chunk(self, start: int, end: int) -> av.AudioFrame:
        second, offset = divmod(start, self._rate)
        table = self._beeping if second else self._quiet
        frame = av.AudioFrame(format="s16", layout=self._layout, samples=end - start)
        part = table[offset : offset + end - start]
        plane_rows(frame.planes[0]).view(np.int16)[0, : part.size] = part.ravel()
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), start
        return frame


class Painter:
    """Makes the pictures of one ``Synthetic``: a background drawn once, small parts drawn anew.

    Holds about two pictures of memory. Not for use by several threads at once.
    """

    def __init__(self, settings: Synthetic) -> None:
        self._rate, self._hd = settings.rate, settings.height >= 720
        self._width, self._height = width, height = settings.width, settings.height
        self._cells, self._flash = layout(width, height)
        gap = 0.05 * min(self._cells[0].right - self._cells[0].left, self._cells[0].bottom - self._cells[0].top)
        self._lamps = [Box(c.left + gap, c.top + gap, c.right - gap, c.bottom - gap).pixels() for c in self._cells]
        self._glyphs: dict[tuple[str, int, int], NDArray[np.float64]] = {}
        self._tiles: dict[tuple[int, int, str], _Plane] = {}
        self._shown: dict[tuple[int, int], str] = {}
        self._ball = 0
        half = ((height + 1) // 2, (width + 1) // 2)
        self._planes = [np.zeros((height, width), np.uint8), *(np.zeros(half, np.uint8) for _ in "uv")]
        self._draw_background(settings)
        self._blank = [plane.copy() for plane in self._planes]

    def paint(self, number: int) -> av.VideoFrame:
        """Picture ``number`` (0 upwards), as a new frame that the caller may keep."""
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
        # H.273 codes: limited range; BT.709, or BT.601 of 525 lines, for small pictures.
        frame.color_range = 1
        frame.colorspace = frame.color_primaries = frame.color_trc = 1 if self._hd else 6
        return frame

    def _draw_background(self, settings: Synthetic) -> None:
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
        # In a tiny picture the end of a text matters most: it is what moves.
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
        """Y'CbCr of limited range for R'G'B' (0 to 1): BT.709, or BT.601 for small pictures."""
        red, blue = (0.2126, 0.0722) if self._hd else (0.299, 0.114)
        y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
        cb, cr = (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)
        return round(16 + 219 * y), round(128 + 224 * cb), round(128 + 224 * cr)


def _blend(below: _Plane, value: int, cover: NDArray[np.float64]) -> _Plane:
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
