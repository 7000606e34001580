"""What is coded in a unit, whatever a container puts around it, as a number to compare by.

Between containers start codes and lengths, access unit delimiters, ADTS and control headers change; all other
bytes are the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ..bitstream.audio import parse_adts, parse_opus_control_header
from ..errors import MediaError
from ..model import AccessUnit, Codec
from ..mp4.boxes import BoxError, top_level
from ..mp4.nal import LENGTH_BYTES, cuts
from ..mp4.reading import read_movie
from ..mp4.report import Track
from ..mpegts.report import PesColumns, PesEvent
from ..mpegts.scanner import Scanner
from ..mpegts.tables import FIRST_STREAM_PID
from ..sound.scan import SoundScanner
from ..ticks import TICKS_PER_SECOND
from ..writer.whole import WholeFile

_PIECE_BYTES = 4 * 1024 * 1024
_TS_PIECE_BYTES = 188 * 16_384
_ROWS = 1 << 16
_DELIMITERS = {Codec.H264: (0x1F, 9), Codec.H265: (0x7E, 35 << 1)}
_TOLERANCE = 2
"""Ticks by which times may differ: the samples of audio are finer than ticks."""


def of_bytes(data: bytes, codec: Codec) -> int:
    """Of one unit as a byte stream has it."""
    if codec.has_nal_units:
        value = 0
        for stream, start, end in cuts(data, codec):
            value = crc32(memoryview(stream)[start:end], value)
        return value
    if codec is Codec.AAC:
        header = parse_adts(data)
        return crc32(memoryview(data)[header.header_length if header is not None else 0 :])
    if codec is Codec.OPUS:
        opus = parse_opus_control_header(data)
        return crc32(memoryview(data)[opus[0] if opus is not None else 0 :])
    return crc32(data)


def of_unit(unit: AccessUnit, codec: Codec) -> int:
    """Of an access unit."""
    if codec.has_nal_units:
        value = of_bytes(unit.prefix, codec) if unit.prefix else 0
        for stream, start, end in cuts(unit.data, codec, unit.nal_starts):
            value = crc32(memoryview(stream)[start:end], value)
        return value
    return crc32(unit.data)


def of_sample(sample: memoryview, codec: Codec) -> int:
    """Of a sample of an MP4 whose NAL units have lengths of four bytes."""
    if not codec.has_nal_units:
        return crc32(sample)
    value, at = 0, 0
    mask, delimiter = _DELIMITERS[codec]
    while at + LENGTH_BYTES <= len(sample):
        size = int.from_bytes(sample[at : at + LENGTH_BYTES])
        at += LENGTH_BYTES
        if size and sample[at] & mask != delimiter:
            value = crc32(sample[at : at + size], value)
        at += size
    return value


@dataclass(slots=True)
class Essence:
    """The units of one stream: of each the digest, and when it is decoded and shown (ticks)."""

    codec: Codec
    digests: array[int] = field(default_factory=lambda: array("L"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    pts: array[int] = field(default_factory=lambda: array("q"))

    def add(self, digest: int, dts: int, pts: int) -> None:
        """One more unit."""
        self.digests.append(digest)
        self.dts.append(dts)
        self.pts.append(pts)

    def first_difference(self, other: Essence, shift: int) -> int | None:
        """The number of the first unit that is not the same; ``other`` is ``shift`` ticks later."""
        if self.digests != other.digests:
            pairs = zip(self.digests, other.digests, strict=False)
            return next((at for at, (one, two) in enumerate(pairs) if one != two), min(len(self), len(other)))
        if not other.dts:
            return None  # a file without times
        for mine, its in ((self.dts, other.dts), (self.pts, other.pts)):
            for at, (one, two) in enumerate(zip(mine, its, strict=True)):
                if abs(one + shift - two) > _TOLERANCE:
                    return at
        return None

    def __len__(self) -> int:
        return len(self.digests)


def of_transport_stream(file: WholeFile, codecs: Mapping[int, Codec]) -> dict[int, Essence]:
    """What is in a transport stream of ours, by the numbers of its streams."""
    found = {FIRST_STREAM_PID + index: Essence(codec) for index, codec in codecs.items()}
    scanner = Scanner(columns=True)

    def take(events: Iterator[PesEvent]) -> None:
        for event in events:
            essence = found.get(event.pid)
            if essence is not None and event.pts is not None and event.dts is not None:
                essence.add(of_bytes(event.data, essence.codec), event.dts, event.pts)

    for begin in range(0, file.size + 1, _TS_PIECE_BYTES):
        data = file.read(begin, min(begin + _TS_PIECE_BYTES, file.size))
        events = scanner.feed(data) if data else []
        if begin + _TS_PIECE_BYTES > file.size:
            events = events + scanner.close()
        for event in events:
            if isinstance(event, PesColumns):
                take(event.events())
            elif isinstance(event, PesEvent):
                take(iter([event]))
    return {pid - FIRST_STREAM_PID: essence for pid, essence in found.items()}


def of_movie(file: WholeFile, codecs: Mapping[int, Codec]) -> dict[int, Essence]:
    """What the tables of an MP4 of ours list. Raises MediaError if it has none that can be read."""
    try:
        tracks = _tracks(file)
    except BoxError as error:
        raise MediaError(f"what was written cannot be read back: {error}") from error
    made = {index: Essence(codec) for index, codec in codecs.items()}
    _read_samples(file, [(track, made[track.number - 1]) for track in tracks])
    return made


def of_sound(file: WholeFile, codecs: Mapping[int, Codec]) -> dict[int, Essence]:
    """What is in a file of audio alone, without times."""
    ((index, codec),) = codecs.items()
    essence, scanner = Essence(codec), SoundScanner(lambda unit: essence.digests.append(crc32(unit)))
    for begin in range(0, file.size, _PIECE_BYTES):
        scanner.feed(file.read(begin, min(begin + _PIECE_BYTES, file.size)))
    scanner.finish()
    return {index: essence}


def _tracks(file: WholeFile) -> tuple[Track, ...]:
    for kind, at, size in top_level(file.read, file.size):
        if kind == "moov":
            return read_movie(file.read(at, at + size), at).tracks
    raise BoxError("there is no moov")


def _read_samples(file: WholeFile, of: Sequence[tuple[Track, Essence]]) -> None:
    """All samples in the order in which they lie in the file, so that it is read once."""
    tables = [(track, track.table, essence) for track, essence in of if track.table is not None]
    if not tables:
        return
    owners = np.repeat(np.arange(len(tables)), [len(table.offsets) for _, table, _ in tables])
    offsets = np.concatenate([table.offsets for _, table, _ in tables])
    sizes = np.concatenate([table.sizes for _, table, _ in tables])
    for track, table, essence in tables:
        own = np.argsort(table.offsets, kind="stable")
        essence.dts.frombytes(_ticks(table.dts[own], track.rate).tobytes())
        essence.pts.frombytes(_ticks(table.pts[own], track.rate).tobytes())
    codecs = [essence.codec for _, _, essence in tables]
    appending = [essence.digests.append for _, _, essence in tables]
    begin, piece, memory = 0, memoryview(b""), memoryview(bytearray(_PIECE_BYTES))
    order = np.argsort(offsets, kind="stable")
    for first in range(0, len(order), _ROWS):
        some = order[first : first + _ROWS]
        columns = (owners[some].tolist(), offsets[some].tolist(), sizes[some].tolist())
        for owner, offset, size in zip(*columns, strict=True):
            at = offset - begin
            if not 0 <= at <= at + size <= len(piece):
                if size > len(memory):
                    memory = memoryview(bytearray(size))
                at, begin, piece = 0, offset, memory[: file.read_into(offset, memory)]
            appending[owner](of_sample(piece[at : at + size], codecs[owner]))


def _ticks(times: npt.NDArray[np.integer[Any]], rate: int) -> npt.NDArray[np.int64]:
    return times.astype(np.int64) * TICKS_PER_SECOND // rate
