"""What is fuzzed: each target takes any bytes, and raises only where recordkit breaks its word.

Words that are kept: only errors of recordkit's own, no more memory than the input is worth, an end
in time, and no byte lost of a file that is recovered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import recordkit as rk
from recordkit.mp4.rebuild import Rebuilder
from recordkit.mp4.report import Event, MovieEvent
from recordkit.mp4.scanner import Scanner as ChunkScanner
from recordkit.mpegts.scanner import Scanner
from recordkit.recovery.outcome import Outcome
from recordkit.telemetry.logfile import read_log
from recordkit.writer.header import HEADER_BYTES, read_header

from ..recovery.material import Lying, boot_id

LONGEST_BYTES = 1 << 18
"""What an input may have at the most: what is quadratic would show."""
_PES_LIMIT_BYTES = 1 << 20
_PIECES = (1, 187, 188, 4096)


def scanner(data: bytes) -> None:
    """The scanner, fed whole and in pieces: the same events, and none may raise."""
    whole = Scanner(pes_limit_bytes=_PES_LIMIT_BYTES)
    events = [*whole.feed(data), *whole.close()]
    size = _PIECES[len(data) % len(_PIECES)]
    if len(data) // size > 2000:
        size = 4096
    pieces = Scanner(pes_limit_bytes=_PES_LIMIT_BYTES)
    again = [event for at in range(0, len(data), size) for event in pieces.feed(data[at : at + size])]
    again += pieces.close()
    assert events == again, f"in pieces of {size} bytes it gives other events"
    assert whole.report == pieces.report
    assert whole.report.bytes == len(data)


def _comparable(event: Event) -> object:
    return (event.offset, event.end, event.samples) if isinstance(event, MovieEvent) else event


def chunks(data: bytes) -> None:
    """The scanner of MP4, fed whole and in pieces: the same events, and none may raise; then what recovery does."""
    whole, pieces = ChunkScanner(payload=True), ChunkScanner(payload=True)
    events = [*whole.feed(data), *whole.close()]
    size = max((7, 100, 4096, 1 << 16)[len(data) % 4], len(data) // 2000)
    again = [event for at in range(0, len(data), size) for event in pieces.feed(data[at : at + size])]
    again += pieces.close()
    # Movies are compared by what they lead to: their tables are arrays.
    assert [_comparable(one) for one in events] == [_comparable(one) for one in again], f"in pieces of {size} bytes"
    assert whole.report == pieces.report
    assert whole.report.bytes == len(data)
    assert 0 <= whole.report.usable_end <= len(data)
    rebuilder = Rebuilder()
    for event in events:
        rebuilder.take(event)


def tail(data: bytes) -> None:
    """The header of a tail: what it says must be possible."""
    header = read_header(data)
    header_with_magic = read_header((b"RKTAIL\0\1" + data).ljust(HEADER_BYTES, b"\0"))
    assert header_with_magic is not None
    for one in (header, header_with_magic):
        for slot in () if one is None else one.slots:
            assert slot.bytes >= 0
            assert slot.bytes % 188 == slot.offset % 188 == 0
            assert slot.start >= HEADER_BYTES
            assert slot.end < 1 << 62


def flush_log(data: bytes) -> None:
    """The log of flushes: read, or refused as one that cannot be; then looked at as a DataFrame."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.flushes.jsonl"
        path.write_bytes(data)
        try:
            _, records = read_log(path)
        except rk.LogError:
            return
        rk.read_flush_log(path)
        assert len(records) <= data.count(b"\n")


def recover(data: bytes) -> None:
    """A partial and its tail of any bytes, recovered, and then whole; the rest of what lay there is set aside.

    The first two bytes say how much of ``data`` is the partial; the rest is a tail that names it.
    """
    size = int.from_bytes(data[:2]) * 16
    body, rest = data[2 : 2 + size], data[2 + size :]
    with tempfile.TemporaryDirectory() as folder:
        lying = Lying(Path(folder))
        lying.partial.write_bytes(body)
        if rest:
            inode = lying.partial.stat().st_ino.to_bytes(8, "little")
            head = b"RKTAIL\0\1" + (1 << 16).to_bytes(8, "little") + inode + boot_id() + bytes(24)
            lying.tail.write_bytes((head + rest[:80]).ljust(HEADER_BYTES, b"\0") + rest[80:])
        before = lying.tail.read_bytes() if rest else b""
        (listed,) = rk.partials(folder)
        found = rk.recover(lying.final)
        assert isinstance(found, rk.Recovery)
        assert found.bytes == listed.recoverable_bytes
        if found.outcome is Outcome.RECOVERED:
            assert lying.final.stat().st_size == found.bytes
            _holds(lying, found, body)
            rk.verify(lying.final)
        elif found.outcome is Outcome.NOTHING:
            assert lying.partial.read_bytes() == body
            assert not rest or lying.tail.read_bytes() == before
        else:
            assert found.outcome is Outcome.REMOVED
            assert not body


def _holds(lying: Lying, found: rk.Recovery, body: bytes) -> None:
    """Each byte of the partial is in its old place, or in a piece that was set aside."""
    kept = bytearray(lying.final.read_bytes().ljust(len(body), b"\0"))
    pieces = lying.rejects()
    assert len(pieces) == len(found.cuts)
    # What the tail holds too may stand in the piece of either.
    for source in ("slot", "file"):
        for cut, piece in zip(found.cuts, pieces, strict=True):
            if cut.source == source:
                end = min(cut.offset + len(piece), len(body))
                kept[cut.offset : end] = piece[: max(0, end - cut.offset)]
    assert bytes(kept[: len(body)]) == body


def repair(data: bytes) -> None:
    """Anybody's file, repaired as a copy: the original stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path, fixed = Path(folder) / "other.ts", Path(folder) / "fixed.ts"
        path.write_bytes(data)
        found = rk.recover(path, output=fixed)
        assert isinstance(found, rk.Recovery)
        assert path.read_bytes() == data
        if fixed.exists():
            assert fixed.stat().st_size == found.bytes
            assert found.bytes % 188 == 0
            rk.verify(fixed)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (scanner, chunks, tail, flush_log, recover, repair)
}
