"""Unfinished recordings, laid out by hand: real media, a partial of any bytes, a tail of any kind."""

import functools
import hashlib
import tempfile
from pathlib import Path

import numpy as np

from recordkit.model import Codec
from recordkit.mpegts.laying import PacketBuffer
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..mp4 import real
from ..mp4.laying import Laid, lay, recording
from ..steering import PACKET, packetiser, unit


@functools.cache
def media(crf: int = 40, seconds: float = 1.0, size: tuple[int, int] = (160, 90)) -> bytes:
    """A recording as recordkit commits it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.ts"
        source = Synthetic(width=size[0], height=size[1], fps=25, seconds=seconds)
        with Recorder(path, video=VideoSettings(preset="ultrafast", crf=crf), flush_log=False) as recorder:
            for frame in source.frames():
                recorder.write(frame)
        return path.read_bytes()


@functools.cache
def large_units() -> bytes:
    """Units of 1,000 bytes, and each fourth of 100,000, which has no stated length."""
    made = packetiser()
    buffer = PacketBuffer(np.empty((4000, PACKET), np.uint8))
    for number in range(8):
        made.lay(unit(number, 100_000 if number % 4 == 3 else 1000), buffer)
    return bytes(buffer.bytes[: buffer.used_bytes])


def short_units() -> bytes:
    """Tables and two units, in less packets than a finished recording has at least."""
    made = packetiser()
    buffer = PacketBuffer(np.empty((20, PACKET), np.uint8))
    for number in range(2):
        made.lay(unit(number, 100), buffer)
    return bytes(buffer.bytes[: buffer.used_bytes])


def unit_starts(data: bytes) -> list[int]:
    """Where access units begin: packets with payload_unit_start_indicator that carry no table."""
    starts = []
    for at in range(0, len(data) - PACKET + 1, PACKET):
        pid = int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF
        if data[at + 1] & 0x40 and pid not in (0, 0x1000):
            starts.append(at)
    return starts


def boot_id() -> bytes:
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))


def tail_bytes(
    inode: int,
    slots=(),
    *,
    boot: bytes | None = None,
    slot_bytes: int = 1 << 20,
    recording: bytes | None = None,
    packet_bytes: int = 0,
) -> bytes:
    """A tail's bytes, laid out as recordkit/writer/header.py documents it.

    With ``recording`` the slots say which of its bytes they stand behind; recordings once did not.
    """
    header = bytearray(4096)
    header[:8] = b"RKTAIL\0\1"
    header[8:16] = slot_bytes.to_bytes(8, "little")
    header[16:24] = inode.to_bytes(8, "little")
    header[24:40] = boot_id() if boot is None else boot
    header[40:48] = packet_bytes.to_bytes(8, "little")
    body = bytearray(2 * slot_bytes)
    for number, (offset, data) in enumerate(slots):
        at = 64 * (number + 1)
        header[at : at + 8] = offset.to_bytes(8, "little")
        header[at + 8 : at + 16] = len(data).to_bytes(8, "little")
        if recording is not None:
            before = recording[max(0, offset - 4096) : offset]
            header[at + 24 : at + 32] = len(before).to_bytes(8, "little")
            header[at + 32 : at + 48] = hashlib.blake2b(before, digest_size=16).digest()
        body[number * slot_bytes : number * slot_bytes + len(data)] = data
    return bytes(header + body)


class Lying:
    """The files of one unfinished recording in a folder."""

    def __init__(self, folder: Path, name: str = "talk", suffix: str = ".ts") -> None:
        self.final = folder / f"{name}{suffix}"
        self.partial = folder / f"{name}.recording{suffix}"
        self.tail = folder / f"{name}.recording.tail"
        self.rejected = folder / f"{name}.rejected"
        self.folder = folder

    def lay(self, data: bytes, slots=None, **tail) -> "Lying":
        self.partial.write_bytes(data)
        if slots is not None:
            self.tail.write_bytes(tail_bytes(tail.pop("inode", self.partial.stat().st_ino), slots, **tail))
        return self

    def names(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir())

    def rejects(self) -> list[bytes]:
        """The pieces in the rejected file, without the lines before them."""
        pieces, data = [], self.rejected.read_bytes() if self.rejected.exists() else b""
        while data:
            assert data.startswith(b"\n=== recordkit: ")
            line, data = data[1:].split(b"\n", 1)
            size = int(line.split()[2])
            pieces.append(data[:size])
            data = data[size:]
        return pieces


@functools.cache
def chunks(count: int | None = None) -> Laid:
    """A recording in MP4, of its first ``count`` units only if that is given."""
    steps = recording(real.video(Codec.H264, 64, 48, 24), real.audio(Codec.AAC, 48_000, 1))
    return lay(steps if count is None else steps[: count + 2])


def lay_awkwardly(lying: Lying) -> bytes:
    """Everything at once: other bytes in the place of a slot, a slot full to the brim, a unit without its end.

    Gives what is to be recovered.
    """
    if lying.final.suffix == ".mp4":
        return _lay_chunks_awkwardly(lying)
    data = media()
    starts = unit_starts(data)
    last = next(number for number in range(65, len(starts)) if starts[number + 1] - starts[number] > 2 * PACKET)
    end = starts[last] + PACKET
    slots = [(starts[40], data[starts[40] : starts[45]]), (starts[45], data[starts[45] : end])]
    lying.lay(data[: starts[40]] + b"wrong" * 100, slots, slot_bytes=-(-len(slots[1][1]) // 4096) * 4096)
    return data[: starts[last]]


def _lay_chunks_awkwardly(lying: Lying) -> bytes:
    data, ends = chunks().partial, chunks().ends
    begin, middle, end = ends[20], ends[24], ends[40] + 30
    slots = [(begin, data[begin:middle]), (middle, data[middle:end])]
    slot_bytes = -(-len(slots[1][1]) // 4096) * 4096
    lying.lay(data[:begin] + b"wrong" * 100, slots, slot_bytes=slot_bytes, packet_bytes=1)
    return chunks(41).whole
