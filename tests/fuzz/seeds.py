"""What fuzzing begins with: streams from the table of cases, tails and logs as recordkit writes them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recordkit.model import Codec
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..mp4 import laying as chunk_laying
from ..mp4 import real
from ..mp4.cases import CASES as CHUNK_CASES
from ..mpegts.cases import CASES
from ..mpegts.conformance import lay
from ..recovery.material import unit_starts
from ..steering import PACKET

_LONGEST_BYTES = 30 * PACKET
"""Short ones are run often, and put together by the fuzzer itself."""


def streams() -> Iterator[bytes]:
    """Each case as a transport stream, or its beginning and its end."""
    for case in CASES:
        data = lay(case.steps).data
        yield data[:_LONGEST_BYTES]
        if len(data) > _LONGEST_BYTES:
            yield data[-_LONGEST_BYTES:]


def movies() -> Iterator[bytes]:
    """Short recordings as MP4, growing and finished, and the beginning of each case."""
    for codec in (Codec.H264, Codec.H265):
        laid = chunk_laying.lay(chunk_laying.recording(real.video(codec, 64, 48, 12), real.audio(Codec.AAC))[:26])
        yield laid.partial
        yield laid.whole
    for case in CHUNK_CASES:
        yield chunk_laying.lay(case.steps).partial[:_LONGEST_BYTES]


def tails() -> Iterator[bytes]:
    """Headers behind the magic: slots that follow each other, that do not, that are empty."""
    words = [(188 * 40, 188 * 9), (0, 0), (1 << 59, 188), (187, 188), (188 * 49, 1 << 40)]
    for first in words:
        for second in words:
            slots = b"".join(value.to_bytes(8, "little") for pair in (first, second) for value in (*pair, *[0] * 6))
            yield (1 << 16).to_bytes(8, "little") + (7).to_bytes(8, "little") + bytes(40) + slots


def logs() -> Iterator[bytes]:
    """A log as a recorder wrote it, whole, cut, and with lines that say other things."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.ts"
        source = Synthetic(width=64, height=48, fps=5, seconds=1, sample_rate=8000, channels=1)
        with Recorder(path, video=VideoSettings(preset="ultrafast")) as recorder:
            for frame in source.frames():
                recorder.write(frame)
        log = path.with_suffix(".flushes.jsonl").read_bytes()
    yield log
    yield log[: len(log) * 2 // 3]
    lines = log.splitlines(keepends=True)
    yield lines[0]
    yield b"".join([lines[0], b"[]\n", b'{"type":"flush"}\n', b'{"type":"event","kind":1}\n', b"\xff\n"])
    header = json.loads(lines[0])
    yield json.dumps(header | {"schema_version": 99}).encode() + b"\n"
    yield json.dumps(header | {"started_ns": 10**30}).encode() + b"\n" + log


def partials() -> Iterator[bytes]:
    """A stream of which the end lies in the slots of a tail, laid out as the target ``recover`` reads it."""
    for data in streams():
        starts = unit_starts(data)
        if len(starts) < 4:
            continue
        half, later = starts[len(starts) // 2], starts[len(starts) * 3 // 4]
        # The target counts the partial's bytes in sixteens.
        size = -(-half // 16)
        file = data[: size * 16].ljust(size * 16, b"\0")
        slots = ((half, data[half:later]), (later, data[later:]))
        words = b"".join(
            value.to_bytes(8, "little") for offset, held in slots for value in (offset, len(held), *[0] * 6)
        )
        body = b"".join(held.ljust(1 << 16, b"\0") for _, held in slots)
        yield size.to_bytes(2) + file + words[:80].ljust(80, b"\0") + body
        yield size.to_bytes(2) + file


SEEDS = {
    "scanner": streams,
    "chunks": movies,
    "tail": tails,
    "flush_log": logs,
    "recover": partials,
    "repair": streams,
}
