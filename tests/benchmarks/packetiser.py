"""CPU time of the packetiser against libavformat's mpegts muxer through PyAV, on the same packets.

    python tests/benchmarks/packetiser.py [--json] [--quick]

The same encoded packets go through each in turn, in one process: recordkit's packetiser into a
4 MiB buffer that is written out whenever it is full, libavformat's muxer through PyAV into a file,
and plain writes of the same payload bytes. All write to the same kind of temporary file. Figures
are CPU seconds (user and system) and medians over the rounds; ``ratio`` is recordkit to libavformat.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.laying import PACKET_BYTES, PacketBuffer
from recordkit.mpegts.packetiser import Packetiser

SECONDS = 10
CASES = {
    "720p 4 Mbit/s": (1280, 720, 4_000_000),
    "1080p 16 Mbit/s": (1920, 1080, 16_000_000),
    "4K 40 Mbit/s": (3840, 2160, 40_000_000),
    "audio only": (0, 0, 0),
}
FLUSH_PACKETS = 4 * 1024 * 1024 // PACKET_BYTES
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
        entries: list[tuple[Fraction, bool, int, bytes, bool]] = []
        if self.video:
            mean = bit_rate // 8 // 30
            for number in range(SECONDS * 30):
                key = number % 60 == 0
                size = int(mean * 4 if key else mean * random.uniform(0.6, 1.3))
                body = random.integers(1, 255, size, np.uint8).tobytes()
                nal = b"\0\0\0\1" + (b"\x65" if key else b"\x41") + body
                data = AUD + (self.parameter_sets if key else b"") + nal
                entries.append((Fraction(number, 30), True, number * 3000, data, key))
        for number in range(SECONDS * 48000 // 1024):
            body = random.integers(1, 255, int(random.uniform(300, 380)), np.uint8).tobytes()
            length = len(body) + 7
            header = bytes([0xFF, 0xF1, 0x4C, 0x80 | length >> 11, length >> 3 & 255, (length & 7) << 5 | 31, 252])
            entries.append((Fraction(number * 1024, 48000), False, number * 1920, header + body, True))
        entries.sort(key=lambda entry: entry[0])
        base = 180_000
        self.units = [
            AccessUnit(0 if video else 1, base + ticks, base + ticks, data, random_access=key)
            for _, video, ticks, data, key in entries
        ]

    def refresh(self) -> None:
        """New PyAV packets: muxing rescales and takes over those it is given."""
        self.packets: list[tuple[Any, int]] = []
        for unit in self.units:
            packet = av.Packet(unit.data)
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


def packetise(case: Case, path: Path) -> int:
    packetiser = Packetiser()
    if case.video:
        packetiser.declare(0, StreamFormat(Codec.H264, *case.size))
    packetiser.declare(1, StreamFormat(Codec.AAC, sample_rate=48000, channels=2))
    buffer = PacketBuffer(np.empty((FLUSH_PACKETS + 8192, PACKET_BYTES), np.uint8))
    written = 0
    with path.open("wb", buffering=0) as file:
        for unit in case.units:
            packetiser.lay(unit, buffer)
            if buffer.used >= FLUSH_PACKETS:
                written += file.write(buffer.bytes[: buffer.used_bytes])
                buffer.used = 0
        written += file.write(buffer.bytes[: buffer.used_bytes])
    return written


def mux(case: Case, path: Path) -> int:
    with av.open(str(path), "w", format="mpegts") as container:
        streams: dict[int, Any] = {}
        if case.video:
            streams[0] = container.add_mux_stream("h264", rate=30, width=case.size[0], height=case.size[1])
        streams[1] = container.add_mux_stream("aac", rate=48000)
        for packet, index in case.packets:
            packet.stream = streams[index]
            container.mux(packet)
    return path.stat().st_size


def plain(case: Case, path: Path) -> int:
    with path.open("wb", buffering=0) as file:
        return sum(file.write(unit.data) for unit in case.units)


def cpu(work: Callable[[Case, Path], int], case: Case, path: Path) -> tuple[float, int]:
    """Seconds of CPU from opening the file to closing it; what each is handed was made before."""
    path.unlink(missing_ok=True)
    case.refresh()
    gc.collect()
    started = time.process_time()
    size = work(case, path)
    return time.process_time() - started, size


def measure(rounds: int, names: list[str]) -> dict[str, Any]:
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.ts"
        for name in names:
            case = Case(*CASES[name])
            spent: dict[str, list[float]] = {"recordkit": [], "libavformat": [], "plain": []}
            sizes: dict[str, int] = {}
            for _ in range(rounds + 1):  # the first round warms up and does not count
                for label, work in (("recordkit", packetise), ("libavformat", mux), ("plain", plain)):
                    seconds, sizes[label] = cpu(work, case, path)
                    spent[label].append(seconds)
            medians = {label: statistics.median(values[1:]) for label, values in spent.items()}
            pairs = zip(spent["recordkit"][1:], spent["libavformat"][1:], strict=True)
            results[name] = {
                **{f"{label}_cpu_s": round(value, 6) for label, value in medians.items()},
                "ratio": round(statistics.median(ours / theirs for ours, theirs in pairs), 3),
                "bytes": sizes,
            }
    return {
        "media_s": SECONDS,
        "rounds": rounds,
        "python": platform.python_version(),
        "av": av.__version__,
        "cases": results,
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="two rounds of the first case")
    options = parser.parse_args(arguments)
    names = list(CASES)[:1] if options.quick else list(CASES)
    report = measure(2 if options.quick else 15, names)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"CPU milliseconds for {SECONDS} s of media, median of {report['rounds']} rounds")
    print(f"{'case':<18}{'recordkit':>11}{'libavformat':>13}{'plain':>9}{'ratio':>8}")
    for name, row in report["cases"].items():
        figures = [row[f"{label}_cpu_s"] * 1000 for label in ("recordkit", "libavformat", "plain")]
        print(f"{name:<18}{figures[0]:>11.2f}{figures[1]:>13.2f}{figures[2]:>9.2f}{row['ratio']:>8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
