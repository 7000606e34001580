"""A slot of the crash-proof buffer: what counts as valid, and in which order that is said."""

import hashlib

import numpy as np

from recordkit.mpegts.laying import PACKET_BYTES
from recordkit.system import System
from recordkit.writer.header import read_header
from recordkit.writer.slot import Slot
from recordkit.writer.tail import Tail

from ..steering import read_tail


def test_bytes_count_once_they_are_published(output):
    tail = Tail(output, 50, System())
    first, second = tail.slots
    first.open(188)
    first.buffer.bytes[: 2 * PACKET_BYTES] = b"a" * 2 * PACKET_BYTES
    first.buffer.used = 2
    assert read_tail(output.tail_path).slots[0] == (188, b"")
    first.publish()
    second.open(3 * 188)
    second.buffer.bytes[:PACKET_BYTES] = b"b" * PACKET_BYTES
    second.buffer.used = 1
    second.publish()
    assert read_tail(output.tail_path).slots == ((188, b"a" * 376), (564, b"b" * 188))
    first.open(752)
    assert read_tail(output.tail_path).slots[0] == (752, b"")
    assert (first.buffer.used, first.offset, first.video_units, first.audio_units) == (0, 752, 0, 0)


def test_a_slot_loses_its_count_before_its_offset_changes(output, monkeypatch):
    """A kill between the two stores must leave a header that is true."""
    seen = []
    slot = Tail(output, 50, System()).slots[0]
    slot.open(1000)
    slot.buffer.used = 5
    slot.publish()
    slot.note_moved(188)
    store = Slot._store

    def watched(self, word, value):
        store(self, word, value)
        words = np.fromfile(output.tail_path, np.uint64, 11)
        seen.append((int(words[8]), int(words[9]), int(words[10])))

    monkeypatch.setattr(Slot, "_store", watched)
    slot.open(7000)
    # What it stands behind is stored in between: three words.
    assert list(dict.fromkeys(seen)) == [(1000, 0, 188), (1000, 0, 0), (7000, 0, 0)]
    assert len(seen) == 6


def test_a_slot_says_which_bytes_it_stands_behind(output):
    slot = Tail(output, 50, System()).slots[0]
    before = memoryview(bytes(range(188)) * 30)
    for given, count in ((before[:376], 376), (before, 4096), (None, 0)):
        slot.open(len(before), given)
        slot.buffer.used = 1
        slot.publish()
        (found,) = read_header(output.tail_path.read_bytes()).slots
        assert (found.seam, found.seam_bytes) == (len(before), count)
        assert found.seam_digest == hashlib.blake2b(bytes(given or b"")[-4096:], digest_size=16).digest()
