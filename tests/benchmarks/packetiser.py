"""CPU time of the packetiser against libavformat's mpegts muxer through PyAV, on the same packets.

    python tests/benchmarks/packetiser.py [--quick] [--json PATH]

The same encoded packets go through each in turn, in one process. ``file``: recordkit's packetiser
into a buffer that is written out whenever it has 4 MiB, libavformat's muxer into a file, and plain
writes of the same payload bytes, all to the same kind of temporary file. ``memory``: the same
without the writing, so that what the kernel does for all of them is left out: the packetiser into
its buffer, the muxer to the null device, and a plain copy of the bytes into such a buffer, which
is the least that laying them can cost. Figures are CPU seconds (user and system) over the rounds;
``ratio`` is recordkit to libavformat, round by round, ``floor`` likewise plain to libavformat. ``MP4/TS`` is
recordkit's MP4 packager to its packetiser on the same units, ``searched`` the same for units of which nobody says
where their NAL units begin.
"""

from __future__ import annotations

import gc
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from figures import Figures, command_line, spread

from recordkit.bitstream.h264 import nal_units
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mp4.packager import Packager
from recordkit.mpegts.laying import PACKET_BYTES, PacketBuffer
from recordkit.mpegts.packetiser import Packetiser

SECONDS = 10
CASES = {
    "720p 4 Mbit/s": (1280, 720, 4_000_000),
    "1080p 16 Mbit/s": (1920, 1080, 16_000_000),
    "4K 40 Mbit/s": (3840, 2160, 40_000_000),
    "audio only": (0, 0, 0),
}
QUICK = ("720p 4 Mbit/s", "audio only")
ROUNDS, QUICK_ROUNDS = 15, 2
FLUSH_PACKETS = 4 * 1024 * 1024 // PACKET_BYTES
MP4_COLUMNS = {"mp4_to_ts": 9, "mp4_unsearched_to_ts": 10}
"""Figures that older results do not have."""
AUD = bytes.fromhex("0000000109f0")


class Case:
    """The packets of one case, once as PyAV packets and once as access units."""

    def __init__(self, width: int, height: int, bit_rate: int) -> None:
        random = np.random.default_rng(1)
        self.video = width > 0
        self.size = (width, height)
        # A real header from the real encoder, so that the muxer finds what it looks for; the
        # pictures behind it are of the sizes that the bit rate asks for: neither side decodes them.
        self.parameter_sets = _parameter_sets(width, height) if self.video else b""
        entries: list[tuple[Fraction, AccessUnit, bytes]] = []
        base = 180_000
        if self.video:
            mean = bit_rate // 8 // 30
            for number in range(SECONDS * 30):
                key = number % 60 == 0
                size = int(mean * 4 if key else mean * random.uniform(0.6, 1.3))
                # A slice that begins a frame (first_mb_in_slice 0): only so do readers count one in each packet.
                body = b"\x88" + random.integers(1, 255, size - 1, np.uint8).tobytes()
                nal = b"\0\0\0\1" + (b"\x65" if key else b"\x41") + body
                data = (self.parameter_sets if key else b"") + nal
                starts = tuple(start for _, start, _ in nal_units(data))
                time = base + number * 3000
                unit = AccessUnit(0, time, time, data, random_access=key, nal_starts=starts)
                entries.append((Fraction(number, 30), unit, AUD + data))
        for number in range(SECONDS * 48000 // 1024):
            body = random.integers(1, 255, int(random.uniform(300, 380)), np.uint8).tobytes()
            length = len(body) + 7
            header = bytes([0xFF, 0xF1, 0x4C, 0x80 | length >> 11, length >> 3 & 255, (length & 7) << 5 | 31, 252])
            time = base + number * 1920
            unit = AccessUnit(1, time, time, body, random_access=True)
            entries.append((Fraction(number * 1024, 48000), unit, header + body))
        entries.sort(key=lambda entry: entry[0])
        self.units = [unit for _, unit, _ in entries]
        self.wire = [wire for *_, wire in entries]
        # As of whoever does not know where its NAL units begin.
        self.unsearched = [replace(unit, nal_starts=()) for unit in self.units]

    def refresh(self) -> None:
        """New PyAV packets: muxing rescales and takes over those it is given."""
        self.packets: list[tuple[Any, int]] = []
        for unit, wire in zip(self.units, self.wire, strict=True):
            packet = av.Packet(wire)
            packet.time_base, packet.pts, packet.dts = Fraction(1, 90000), unit.pts, unit.dts
            packet.is_keyframe = unit.random_access
            self.packets.append((packet, unit.stream))


def _parameter_sets(width: int, height: int) -> bytes:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, 90000)
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    data = bytes(context.encode(av.VideoFrame(width, height, "yuv420p"))[0])
    return data[: data.index(b"\0\0\1\x65") - 1] if b"\0\0\1\x65" in data else data[:40]


def declared(case: Case) -> Packetiser:
    packetiser = Packetiser()
    if case.video:
        packetiser.declare(0, StreamFormat(Codec.H264, *case.size))
    packetiser.declare(1, StreamFormat(Codec.AAC, sample_rate=48000, channels=2))
    return packetiser


def packetise(case: Case, path: Path | None) -> int:
    """recordkit; without a path each full buffer is used anew."""
    packetiser = declared(case)
    buffer = PacketBuffer(np.empty((FLUSH_PACKETS + 8192, PACKET_BYTES), np.uint8))
    made = 0
    with (path or Path(os.devnull)).open("wb", buffering=0) as file:
        for unit in case.units:
            packetiser.lay(unit, buffer)
            if buffer.used >= FLUSH_PACKETS:
                made += file.write(buffer.bytes[: buffer.used_bytes])
                buffer.used = 0
        made += file.write(buffer.bytes[: buffer.used_bytes])
    return made


def package(case: Case, path: Path | None) -> int:
    """recordkit's MP4, its finish included; without a path each full buffer is used anew."""
    return _package(case, case.units, path)


def package_unsearched(case: Case, path: Path | None) -> int:
    """The same, where the start codes have to be searched for."""
    return _package(case, case.unsearched, path)


def _package(case: Case, units: list[AccessUnit], path: Path | None) -> int:
    packager = Packager()
    if case.video:
        packager.declare(0, StreamFormat(Codec.H264, *case.size))
    packager.declare(1, StreamFormat(Codec.AAC, sample_rate=48000, channels=2))
    memory = packager.lend(np.empty(((FLUSH_PACKETS + 8192) * PACKET_BYTES, 1), np.uint8))
    made = 0
    with (path or Path(os.devnull)).open("wb", buffering=0) as file:
        for unit in units:
            packager.lay(unit, memory)
            if memory.used >= FLUSH_PACKETS * PACKET_BYTES:
                made += file.write(memory.bytes[: memory.used])
                memory.used = 0
        made += file.write(memory.bytes[: memory.used])
        finish = packager.finish(made)
        made += sum([file.write(piece) for piece in finish.append])
    return made


def mux(case: Case, path: Path | None) -> int:
    """libavformat through PyAV."""
    with av.open(str(path or os.devnull), "w", format="mpegts") as container:
        streams: dict[int, Any] = {}
        if case.video:
            streams[0] = container.add_mux_stream("h264", rate=30, width=case.size[0], height=case.size[1])
        streams[1] = container.add_mux_stream("aac", rate=48000)
        for packet, index in case.packets:
            packet.stream = streams[index]
            container.mux(packet)
    return path.stat().st_size if path else 0


def plain(case: Case, path: Path | None) -> int:
    """The same bytes, written as they are; or copied, without a path."""
    if path is not None:
        with path.open("wb", buffering=0) as file:
            return sum(file.write(wire) for wire in case.wire)
    memory = np.empty((FLUSH_PACKETS + 8192) * PACKET_BYTES, np.uint8).data
    made = at = 0
    for wire in case.wire:
        size = len(wire)
        memory[at : at + size] = wire
        made += size
        at = 0 if at >= FLUSH_PACKETS * PACKET_BYTES else at + size
    return made


def cpu(work: Callable[[Case, Path | None], int], case: Case, path: Path | None) -> tuple[float, int]:
    """Seconds of CPU from opening the file to closing it; what each is handed was made before."""
    if path is not None:
        path.unlink(missing_ok=True)
    case.refresh()
    gc.collect()
    started = time.process_time()
    size = work(case, path)
    return time.process_time() - started, size


def measure(case: Case, path: Path | None, rounds: int) -> Figures:
    works = {
        "recordkit": packetise,
        "libavformat": mux,
        "plain": plain,
        "recordkit_mp4": package,
        "recordkit_mp4_unsearched": package_unsearched,
    }
    spent: dict[str, list[float]] = {label: [] for label in works}
    sizes: dict[str, int] = {}
    for _ in range(rounds + 1):  # the first round warms up and does not count
        for label, work in works.items():
            seconds, sizes[label] = cpu(work, case, path)
            spent[label].append(seconds)
    ours, theirs, least, mp4, unsearched = (values[1:] for values in spent.values())
    return {
        **{f"{label}_cpu_s": spread(values[1:]) for label, values in spent.items()},
        "ratio": spread([one / other for one, other in zip(ours, theirs, strict=True)], 3),
        "floor": spread([one / other for one, other in zip(least, theirs, strict=True)], 3),
        "mp4_to_ts": spread([one / other for one, other in zip(mp4, ours, strict=True)], 3),
        "mp4_unsearched_to_ts": spread([one / other for one, other in zip(unsearched, ours, strict=True)], 3),
        "bytes": {label: size for label, size in sizes.items() if size},
    }


def run(quick: bool) -> Figures:
    """CPU seconds and ratios, by case, into a file and into memory."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in QUICK if quick else CASES:
            case = Case(*CASES[name])
            sinks = {"file": Path(folder) / "out.ts", "memory": None}
            cases[name] = {sink: measure(case, path, rounds) for sink, path in sinks.items()}
    return {
        "media_s": SECONDS,
        "rounds": rounds,
        "python": platform.python_version(),
        "av": av.__version__,
        "cases": cases,
    }


def table(figures: Figures) -> str:
    lines = [
        f"CPU milliseconds for {SECONDS} s of media, median of {figures['rounds']} rounds",
        f"{'case':<18}{'into':<8}{'recordkit':>11}{'libavformat':>13}{'plain':>9}{'ratio':>8}{'low':>7}{'high':>7}{'floor':>8}"
        f"{'MP4/TS':>9}{'searched':>10}",
    ]
    for name, sinks in figures["cases"].items():
        for sink, row in sinks.items():
            spent = [row[f"{label}_cpu_s"]["median"] * 1000 for label in ("recordkit", "libavformat", "plain")]
            ratio, floor = row["ratio"], row["floor"]["median"]
            lines.append(
                f"{name:<18}{sink:<8}{spent[0]:>11.2f}{spent[1]:>13.2f}{spent[2]:>9.2f}"
                f"{ratio['median']:>8.2f}{ratio['low']:>7.2f}{ratio['high']:>7.2f}{floor:>8.2f}"
                + "".join(
                    f"{row[name]['median']:>{width}.2f}" for name, width in MP4_COLUMNS.items() if name in row
                )
            )
    return "\n".join(lines)


if __name__ == "__main__":
    command_line(__doc__ or "", run, table)
