"""Whatever lies there: only declared errors, and no byte of it is lost."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recordkit as rk
from recordkit.recovery.outcome import Outcome

from ..steering import PACKET
from .material import Lying, boot_id, media, tail_bytes, unit_starts

DATA = media()
STARTS = unit_starts(DATA)

junk = st.one_of(
    st.binary(max_size=600), st.integers(1, 6000).map(bytes), st.integers(1, 30).map(lambda n: b"G" * n * PACKET)
)
places = st.integers(0, len(DATA))
mutations = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), places, junk),
        st.tuples(st.just("overwrite"), places, junk),
        st.tuples(st.just("remove"), places, st.integers(1, 5000)),
        st.tuples(st.just("cut"), places, st.just(0)),
        st.tuples(st.just("double"), places, st.integers(1, 40).map(lambda n: n * PACKET)),
    ),
    max_size=4,
)


def mutated(data: bytes, steps) -> bytes:
    out = bytearray(data)
    for what, at, how in steps:
        at = min(at, len(out))
        if what == "insert":
            out[at:at] = how
        elif what == "overwrite":
            out[at : at + len(how)] = how
        elif what == "remove":
            del out[at : at + how]
        elif what == "cut":
            del out[at:]
        else:
            out[at:at] = out[at : at + how]
    return bytes(out)


def holds(lying: Lying, found: rk.Recovery, old: bytes, slots) -> None:
    """Each byte of the file and of the slots is in its old place, or in a piece that was set aside."""
    kept = found.final_path.read_bytes() if found.final_path else b""
    pieces = lying.rejects()
    left = lying.tail.read_bytes() if lying.tail.exists() else b""
    assert len(pieces) == len(found.cuts)
    assert [len(piece) for piece in pieces] == [cut.bytes for cut in found.cuts]
    sources = [("file", 0, old)] + [("slot", offset, data) for offset, data in slots]
    for source, start, data in sources:
        missing = [at for at in range(len(data)) if kept[start + at : start + at + 1] != data[at : at + 1]]
        for cut, piece in zip(found.cuts, pieces, strict=True):
            # What a slot has too may stand in either's piece.
            missing = [
                at
                for at in missing
                if not (
                    cut.source in ("file", "slot")
                    and cut.offset <= start + at < cut.offset + cut.bytes
                    and piece[start + at - cut.offset] == data[at]
                )
            ]
            if cut.source == "tail" and source == "slot":
                assert data in piece
                missing = []
        assert not missing or (source == "slot" and data in left), (source, start, missing[:5])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cut=places,
    steps=mutations,
    first=st.integers(0, len(STARTS) - 1),
    second=st.integers(0, len(STARTS) - 1),
    slot_steps=mutations,
    aligned=st.booleans(),
    boot=st.sampled_from([None, b"another boot, so"]),
    header=st.one_of(st.none(), st.tuples(st.integers(0, 160), st.binary(max_size=16))),
)
def test_no_byte_is_lost(cut, steps, first, second, slot_steps, aligned, boot, header):
    first, second = STARTS[min(first, second)], STARTS[max(first, second)]
    slots = [(first, DATA[first:second]), (second, mutated(DATA[second:], slot_steps))]
    if aligned:
        slots = [(offset, data[: len(data) // PACKET * PACKET]) for offset, data in slots]
    slots = [slot for slot in slots if slot[1]]
    old = mutated(DATA[:cut], steps)
    with tempfile.TemporaryDirectory() as folder:
        lying = Lying(Path(folder)).lay(old, slots, boot=boot)
        if header is not None:
            tail = bytearray(lying.tail.read_bytes())
            tail[header[0] : header[0] + len(header[1])] = header[1]
            lying.tail.write_bytes(tail)
        (partial,) = rk.partials(folder)
        planned = rk.recover(lying.final, dry_run=True)
        assert lying.partial.read_bytes() == old
        found = rk.recover(lying.final)
        assert (found.outcome, found.bytes) == (planned.outcome, planned.bytes)
        assert found.cuts == planned.cuts
        assert partial.recoverable_bytes == found.bytes
        if found.outcome is Outcome.RECOVERED:
            data = found.final_path.read_bytes()
            assert len(data) == found.bytes
            if header is None and not lying.tail.exists():
                holds(lying, found, old, slots)
            elif lying.tail.exists() or header is not None:
                holds(lying, found, old, [])
            # What was recovered has nothing more to recover.
            found.final_path.rename(lying.partial)
            lying.tail.unlink(missing_ok=True)
            again = rk.recover(lying.final)
            assert (again.bytes, again.cuts) == (len(data), ())
        else:
            assert found.outcome in (Outcome.NOTHING, Outcome.REMOVED)
            assert (lying.partial.read_bytes() if lying.partial.exists() else b"") == old
            assert not lying.rejected.exists()


@settings(max_examples=100, deadline=None)
@given(header=st.binary(max_size=200), size=st.integers(0, 9000), data=st.sampled_from([0, 5000, len(DATA)]))
def test_any_tail(header, size, data):
    data = DATA[:data]
    with tempfile.TemporaryDirectory() as folder:
        lying = Lying(Path(folder)).lay(data)
        inode = lying.partial.stat().st_ino.to_bytes(8, "little")
        head = b"RKTAIL\0\1" + header[:8].ljust(8, b"\0") + inode + boot_id() + bytes(24) + header[8:]
        lying.tail.write_bytes(head.ljust(size, b"\x47")[: max(size, len(head))])
        before = lying.tail.read_bytes()
        found = rk.recover(lying.final)
        if found.outcome is Outcome.RECOVERED:
            assert found.final_path.read_bytes() == data[: found.bytes]
        elif found.outcome is Outcome.NOTHING:
            assert lying.tail.read_bytes() == before


@settings(max_examples=80, deadline=None)
@given(steps=mutations, is_media=st.booleans())
def test_any_file_can_be_repaired(steps, is_media):
    hurt = mutated(DATA if is_media else b"", steps)
    with tempfile.TemporaryDirectory() as folder:
        path, fixed = Path(folder) / "other.ts", Path(folder) / "fixed.ts"
        path.write_bytes(hurt)
        planned = rk.recover(path, output=fixed, dry_run=True)
        found = rk.recover(path, output=fixed)
        assert path.read_bytes() == hurt
        left = len(hurt) - (found.bytes - found.added_bytes) - found.cut_bytes
        assert left == 0 if found.bytes else left >= 0  # junk may look like packets of 192 bytes
        assert (planned.outcome, planned.bytes, planned.cuts) == (found.outcome, found.bytes, found.cuts)
        if found.bytes:
            assert fixed.stat().st_size == found.bytes
            assert found.bytes % PACKET == 0
            assert rk.verify(fixed).ok == found.ok == (found.outcome is Outcome.REPAIRED)
        assert len(list(Path(folder).iterdir())) == 1 + fixed.exists()


def test_the_layouts_agree():
    assert len(tail_bytes(1)) == 4096 + 2 * (1 << 20)
