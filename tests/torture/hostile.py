"""Hostile files and logs: every reader, with 1 GB of address space and 20 s; only declared errors, no traceback.

python -m tests.torture.hostile FILE    # all readers over one file, as each trial does
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import recordkit as rk

from ..recovery.material import media
from .broken import WAYS
from .outcome import Kind, Outcome, Trial

ROOT = Path(__file__).parents[2]
_MEMORY_BYTES = 1 << 30
_SECONDS = 20
_NUMBERS = [
    b"NaN",
    b"Infinity",
    b"1e308",
    b"-1e999",
    b"1" + b"0" * 400,
    b"[" * 5000,
    b'"\\u001b[2J"',
    b"true",
    b"{}",
]


def _log(chance: random.Random) -> bytes:
    """A log in which values are what they must not be, and bytes are what they were not."""
    header = {"type": "header", "schema_version": 1, "recording": "talk.ts", "started_ns": 10**18}
    line = {"type": "event", "time_ns": 10**18, "elapsed_s": 1.5, "kind": "commit", "fields": {"bytes": 188}}
    lines = []
    for document in (header, *[line] * 30):
        text = json.dumps(document).encode()
        if chance.random() < 0.7:
            text = text.replace(chance.choice([b"1.5", b"188", b"1000000000000000000", b'"commit"']), _bad(chance))
        if chance.random() < 0.2:
            at = chance.randrange(len(text))
            text = text[:at] + chance.randbytes(3) + text[at:]
        lines.append(text + b"\n")
    return b"".join(lines) + bytes(chance.choice([0, 0, 100_000]))


def _bad(chance: random.Random) -> bytes:
    return chance.choice(_NUMBERS)


def _flood(chance: random.Random) -> bytes:
    """Nothing but tables: random sections, or one again and again."""
    packet = bytearray(media()[:188])
    packets = bytearray()
    for _ in range(chance.randrange(2000, 12_000)):
        packet[3] = 0x10 | (packet[3] + 1) & 15
        if chance.random() < 0.5:
            packet[chance.randrange(5, 188)] = chance.randrange(256)
        packets += packet
    return bytes(packets)


def _flipped(chance: random.Random) -> bytes:
    data = bytearray(media())
    for _ in range(chance.randrange(1, 400)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _made(seed: int) -> tuple[str, bytes]:
    chance = random.Random(seed)
    if seed % 4 == 0:
        return "talk.flushes.jsonl", _log(chance)
    if seed % 4 == 1:
        return "talk.ts", _flood(chance)
    return "talk.ts", _flipped(chance) if seed % 4 == 2 else chance.choice(WAYS)(chance)[0]


@contextmanager
def readers(_: Path) -> Iterator[Trial]:
    """Each trial one file; whatever it is, each reader ends by itself."""

    def trial(seed: int, place: Path) -> Outcome:
        name, data = _made(seed)
        (place / name).write_bytes(data)
        command = [sys.executable, "-m", "tests.torture.hostile", str(place / name)]
        try:
            # The clock of the wall is for what hangs; the limit is of processor time.
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return Outcome(seed, ("a reader did not end",))
        faults = () if done.returncode == 0 else (f"ended with {done.returncode}: {done.stderr[-600:]}",)
        return Outcome(seed, faults)

    yield trial


def _image(path: Path) -> None:
    with rk.open(path) as video:
        for frame in video[:1]:
            frame.image  # noqa: B018 - decoding it is the point


def _summary(path: Path) -> None:
    rk.read_flush_log(path).summary()


def main(path: Path) -> None:
    """All readers; raises what is not declared."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    ways: list[Callable[[Path], object]] = [_summary]
    if path.suffix == ".ts":
        partial = path.with_name("left.recording.ts")
        partial.write_bytes(path.read_bytes())
        ways = [
            lambda one: rk.verify(one, decode=True),
            lambda one: rk.recover(one, output=one.with_name("copy.ts")),
            lambda one: rk.partials(one.parent),
            lambda one: rk.recover(one.parent),
            _image,
        ]
    for way in ways:
        used = resource.getrusage(resource.RUSAGE_SELF)
        # From here on so many seconds more: SIGXCPU, and then the end.
        limit = int(used.ru_utime + used.ru_stime) + _SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            way(path)
        except rk.RecordkitError as error:
            print(error)


KINDS = [Kind("hostile files and logs", "no reader without an end", readers, 1000, (0, 1))]

if __name__ == "__main__":
    main(Path(sys.argv[1]))
