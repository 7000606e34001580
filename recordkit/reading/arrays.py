"""A video as arrays: audio as samples, all frames as a Dask array, and what torchcodec reads by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..encode.resampling import packed
from ..errors import SourceError
from ..ticks import fraction
from .frame import Frame
from .index import Index
from .track import Track

Reopen = Callable[[str], AbstractContextManager[Sequence[Frame]]]
Samples = npt.NDArray[np.float32]

_CLOSE_S = Fraction(1, 500)
"""What comes over RTMP has whole milliseconds in every container."""
_SETTLED = 64
"""So many frames tell where a run of them begins."""


def audio_between(track: Track, begin: float, end: float) -> tuple[Samples, int]:
    """Audio from ``begin`` to ``end`` seconds of media, and its rate, as ``Video.audio`` says."""
    start = track.start_s
    result: Samples | None = None
    rate = 0
    laid = None
    for one in track.audio(Fraction(begin) + start, Fraction(end) + start):
        base = fraction(one.time_base)
        if base is None:
            continue
        samples = _samples(one)
        if result is None or laid is None:
            rate = one.sample_rate
            result = np.zeros((max(round((end - begin) * rate), 0), samples.shape[1]), np.float32)
            laid = _Laid(result, round(rate * _CLOSE_S))
        if one.sample_rate == rate and samples.shape[1] == result.shape[1]:
            at = None if one.pts is None else (one.pts * base - start - Fraction(begin)) * rate
            laid.put(samples, at, base * rate)
    if result is None or laid is None:
        return np.zeros((0, 0), np.float32), 0
    laid.end()
    return result, rate


class _Laid:
    """Audio frames that follow each other, without a gap or an overlap where their times are only rounded.

    Matroska has them in milliseconds, MPEG-TS in ticks that are no whole samples: the first ones together tell
    where they belong; the very first counts less, of which a decoder may have cut off its lead. Times further apart
    than ``close`` samples, or than one unit of theirs, are a gap.
    """

    def __init__(self, result: Samples, close: int) -> None:
        self._result, self._close = result, close
        self._waiting: list[Samples] = []
        self._length = self._written = 0
        self._begin: int | None = None
        self._low = self._high = Fraction(0)

    def put(self, samples: Samples, at: Fraction | None, unit: Fraction) -> None:
        """Samples that begin ``at`` some sample of the result, in times of whole ``unit`` samples.

        None: not known, behind those before; without any they are left out.
        """
        if at is None:
            if self._length:
                self._take(samples)
            return
        begin = at - self._length
        low, high = min(self._low, begin), max(self._high, begin)
        apart = high - low
        if not self._length or (apart > unit and apart > self._close):
            self.end()
            low = high = at
        elif self._begin is None and len(self._waiting) == 1:
            low = high = begin
        self._low, self._high = low, high
        self._take(samples)

    def _take(self, samples: Samples) -> None:
        self._waiting.append(samples)
        self._length += len(samples)
        if self._begin is not None or len(self._waiting) >= _SETTLED:
            self._write()

    def end(self) -> None:
        """Nothing follows what has come."""
        self._write()
        self._length = self._written = 0
        self._begin = None

    def _write(self) -> None:
        if self._begin is None:
            self._begin = round((self._low + self._high) / 2)
        for samples in self._waiting:
            place = self._begin + self._written
            first, last = max(place, 0), min(place + len(samples), len(self._result))
            if first < last:
                self._result[first:last] = samples[first - place : last - place]
            self._written += len(samples)
        self._waiting.clear()


def _samples(frame: Any) -> Samples:  # noqa: ANN401 - an av.AudioFrame, whose format varies
    """An audio frame as (samples, channels), full scale 1.0."""
    frame = packed(frame)
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if np.issubdtype(data.dtype, np.unsignedinteger):
        data = (data.astype(np.float32) - 128) / 128
    elif np.issubdtype(data.dtype, np.integer):
        data = data / -float(np.iinfo(data.dtype).min)
    return cast("Samples", data.T.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Block:
    """Frames of a file that are decoded together, ``first`` up to ``last``; ``state`` changes with the file."""

    path: str
    first: int
    last: int
    state: tuple[int, ...]


def group_starts(index: Index) -> list[int]:
    """The numbers of the frames at which decoding begins, 0 among them."""
    return sorted({0, *(int(one) for one in np.flatnonzero(index.keyframe[index.order]))})


def blocks_of(name: str, path: Path, starts: Sequence[int], count: int) -> list[Block]:
    """A block for each group of the ``count`` frames of a file."""
    state = _state(path, count)
    return [Block(name, first, last, state) for first, last in pairwise((*starts, count))]


def dask_array(
    blocks: Sequence[Block], shape: tuple[int, ...], reopen: Reopen, size: tuple[int, int] | None = None
) -> Any:  # noqa: ANN401 - a dask.array.Array, of an optional package
    """The frames of ``blocks`` one behind the other, as ``Video.to_dask`` says."""
    array, tokenize = import_module("dask.array"), import_module("dask.base").tokenize
    name = f"recordkit-{tokenize(shape, size, *((one.path, one.first, one.last, one.state) for one in blocks))}"
    zeros = (0,) * len(shape)
    keys = [(name, number, *zeros) for number in range(len(blocks))]
    graph = {key: (_block, one, shape, reopen, size) for key, one in zip(keys, blocks, strict=True)}
    chunks = (tuple(one.last - one.first for one in blocks), *((side,) for side in shape))
    return array.Array(graph, name, chunks, np.uint8)


def _state(path: Path, count: int) -> tuple[int, ...]:
    """What changes with the file: blocks of another one have other names."""
    try:
        status = path.stat()
    except OSError:
        return (count,)  # a URL
    return status.st_ino, status.st_size


def _block(
    block: Block, shape: tuple[int, ...], reopen: Reopen, size: tuple[int, int] | None
) -> npt.NDArray[np.uint8]:
    """The images of a block's frames."""
    images = np.empty((block.last - block.first, *shape), np.uint8)
    with reopen(block.path) as video:
        for number in range(block.first, block.last):
            frame = video[number]
            image = frame.image if size is None else frame.scaled(*size)
            if image.shape != shape:
                advice = (
                    f"its frames change their size, at frame {number}: that makes no array without a size for all"
                )
                raise SourceError(block.path, advice)
            images[number - block.first] = image
    return images


def frame_mappings(track: Track) -> str:
    """JSON, a mapping for each frame, as ``Video.frame_mappings`` says."""
    index = track.index
    times = index.shown_pts
    steps = np.diff(times)
    durations = [*steps.tolist(), int(np.median(steps)) if len(steps) else 1]
    keyframes = index.keyframe[index.order].tolist()
    # Of a clip that begins between two keyframes the one before is not shown; a seek to the first frame finds it.
    if keyframes:
        keyframes[0] = True
    rows = zip(times.tolist(), durations, keyframes, strict=True)
    return json.dumps(
        {"frames": [{"pts": pts, "duration": length, "key_frame": int(key)} for pts, length, key in rows]}
    )
