"""The tail's header: where its bytes lie, and to which place of the recording they belong.

The file, ``talk.recording.tail``, is one page of header and two slots. All numbers are 64 bits in
the machine's own byte order (recovery happens on the machine that recorded)::

    0    magic, with the version of this layout
    8    bytes of a slot
    16   inode of the recording it belongs to
    24   the boot that it was written in (16 bytes)
    40   bytes of a packet of its container, of which every count here is a multiple (0: 188, as before)
    48   the slot, counted from 1, that holds a prelude (0: none): media that has not got its places yet, laid as it
         came from the beginning of the recording on. It counts if 2 is added: it has all that has come. Else of it
         and the other slot that which goes further counts
    64   slot 0: offset in the recording that its bytes belong at; count of bytes valid; of these, how
         many from the first on have been moved to the recording, durably (their space is given back);
         how many bytes of the recording before them the next 16 bytes are the digest of (BLAKE2b)
    128  slot 1: likewise
    4096 the slots' bytes, then the reserve
"""

from __future__ import annotations

import mmap
import os
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..mpegts.laying import PACKET_BYTES
from ..system import NO_HOLES, System
from .identity import seam_digest

MAGIC = b"RKTAIL\0\1"
HEADER_BYTES = 4096
SLOTS = 2
WORD_BYTES = 8
WORDS_PER_SLOT = 8
PACKET = 5
"""The word that has the bytes of a packet."""
EARLY = 6
"""The word that names the slot of a prelude."""
OFFSET, VALID, MOVED, SEAM, DIGEST = 8, 9, 10, 11, 12
"""The words of slot 0: its place, the bytes valid, of these the bytes moved, the bytes before it that its digest
(two words) is of; each slot has ``WORDS_PER_SLOT``."""
_SEAM_BYTES = 4096
_Bytes = bytes  # ``TailSlot`` has a field of that name
_LARGEST = 1 << 60
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_COPIED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TailSlot:
    """A slot as read: ``bytes`` are valid from ``start`` of the tail on, and belong at ``offset``.

    Before them ``moved_bytes`` of slot ``number`` have been moved to the recording already.
    ``ends_a_unit`` says that the last of them ends an access unit: only a unit that is larger
    than a slot is published in pieces, and each but the last fills its slot. ``seam_digest`` is of
    the ``seam_bytes`` of the recording before the slot's first byte, those moved included.
    """

    offset: int
    start: int
    bytes: int
    ends_a_unit: bool
    number: int
    moved_bytes: int
    seam_bytes: int
    seam_digest: _Bytes

    @property
    def seam(self) -> int:
        """Where in the recording its first byte belongs, those moved included."""
        return self.offset - self.moved_bytes

    @property
    def end(self) -> int:
        """Where in the recording its bytes end."""
        return self.offset + self.bytes


@dataclass(frozen=True, slots=True)
class TailHeader:
    """A tail's header as read; ``slots`` are those with valid bytes, in the order of their offsets.

    ``is_sane`` is False where it says what no writer ever said; a slot that cannot be has been
    left out then. ``packet_bytes`` tells the container. ``is_early`` says that the one slot is a prelude: what
    is in there will be replaced by the same media in its true places, if the recording goes on.
    """

    inode: int
    is_same_boot: bool
    is_sane: bool
    slots: tuple[TailSlot, ...]
    packet_bytes: int = PACKET_BYTES
    is_early: bool = False

    def unused(self, size: int) -> list[tuple[int, int]]:
        """Where in a tail of ``size`` bytes nothing valid lies: from where to where, in order."""
        found, at = [], HEADER_BYTES
        for slot in sorted(self.slots, key=lambda slot: slot.start):
            found.append((at, slot.start))
            at = slot.start + slot.bytes
        return [(begin, end) for begin, end in [*found, (at, size)] if begin < end]


def read_header(data: bytes | bytearray, boot: bytes | None = None) -> TailHeader | None:
    """Reads the first ``HEADER_BYTES`` of a tail; None where they are no header.

    ``boot`` is ``boot_id()``, for who reads one many times a second.
    """
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    words: list[int] = np.frombuffer(data[:HEADER_BYTES], np.uint64).tolist()
    slot_bytes, inode, packet_bytes = words[1], words[2], words[PACKET] or PACKET_BYTES
    is_sane = 0 < slot_bytes <= _LARGEST and packet_bytes in (1, PACKET_BYTES)
    slots = []
    for number in range(SLOTS):
        at = number * WORDS_PER_SLOT
        offset, valid, moved = words[at + OFFSET], words[at + VALID], words[at + MOVED]
        if not valid:
            continue
        fits = moved <= valid <= slot_bytes and offset <= _LARGEST
        if not is_sane or not fits or any(count % packet_bytes for count in (offset, valid, moved)):
            is_sane = False
            continue
        start = HEADER_BYTES + number * slot_bytes + moved
        ends_a_unit = valid <= slot_bytes - mmap.PAGESIZE
        seam, digest = words[at + SEAM], data[8 * (at + DIGEST) : 8 * (at + DIGEST) + 16]
        seam = seam if seam <= min(offset, _SEAM_BYTES) else 0
        slots.append(
            TailSlot(offset + moved, start, valid - moved, ends_a_unit, number, moved, seam, bytes(digest))
        )
    early = words[EARLY]
    is_sane &= early <= 2 * SLOTS
    is_early = False
    if early and slots:
        # One of them is laid while the other stands for it: at each moment one has all that there is.
        number, has_all = (early - 1) % SLOTS, early > SLOTS
        furthest = max(slots, key=lambda slot: (has_all and slot.number == number, slot.end, slot.number != number))
        slots, is_early = [furthest], furthest.number == number
    slots.sort(key=lambda slot: slot.offset)
    is_sane &= all(one.end == other.seam for one, other in pairwise(slots))
    boot = boot_id() if boot is None else boot
    is_same_boot = data[24:40] == boot and any(boot)  # one that the system does not tell is all zeros
    return TailHeader(inode, is_same_boot, is_sane, tuple(slots), packet_bytes, is_early)


def give_back(descriptor: int, size: int, system: System) -> int:
    """Give the disk space of a tail of once ``size`` bytes back that holds nothing valid; how many bytes that is.

    What was given back before counts, too. Where no holes can be made the end is cut off. What the header
    says is on the disk before, and the space is free for others when this returns. Raises OSError.
    """
    header = read_header(os.pread(descriptor, HEADER_BYTES, 0))
    if header is None:
        return 0
    # What it says of the pages must be on the disk before they are zeros.
    system.sync_tail(descriptor)
    given = 0
    try:
        for begin, end in header.unused(size):
            begin, end = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
            if begin < end:
                system.punch(descriptor, begin, end - begin)
                given += end - begin
    except OSError as error:
        if error.errno not in NO_HOLES:
            raise
        end = max((slot.start + slot.bytes for slot in header.slots if slot.bytes), default=HEADER_BYTES)
        if end < os.fstat(descriptor).st_size:
            system.truncate(descriptor, end)
        given = size - end
    # Others can have it only once the file system's journal is committed (ext4).
    system.sync_tail(descriptor)
    return given


def lower(descriptor: int, system: System) -> int:
    """Move what the second slot holds to the place of the first, which holds nothing valid, so that its end can go.

    Returns by how many bytes it was moved, 0 where there is nothing to do. A kill at any point leaves it in
    one of the places, or in both. Raises OSError.
    """
    data = os.pread(descriptor, HEADER_BYTES, 0)
    header = read_header(data)
    if header is None or not header.is_sane:
        return 0
    needed = [slot for slot in header.slots if slot.bytes]
    if [slot.number for slot in needed] != [1]:
        return 0
    slot = needed[0]
    shift = int.from_bytes(data[WORD_BYTES : 2 * WORD_BYTES], sys.byteorder)
    words = WORDS_PER_SLOT * WORD_BYTES

    def copy(word: int) -> None:
        value = data[word * WORD_BYTES + words : (word + 1) * WORD_BYTES + words]
        system.store(descriptor, value, word * WORD_BYTES)

    system.store(descriptor, bytes(WORD_BYTES), VALID * WORD_BYTES)
    for at in range(slot.start, slot.start + slot.bytes, _COPIED_BYTES):
        piece = os.pread(descriptor, min(_COPIED_BYTES, slot.start + slot.bytes - at), at)
        system.store(descriptor, piece, at - shift)
    for word in (OFFSET, SEAM, DIGEST, DIGEST + 1, MOVED, VALID):
        copy(word)
    system.store(descriptor, bytes(WORD_BYTES), VALID * WORD_BYTES + words)
    return shift


def moved_word(slot: TailSlot, upto: int) -> tuple[bytes, int]:
    """The word of the header, and its place, that says that what ``slot`` holds before ``upto`` was moved."""
    moved = slot.moved_bytes + max(0, min(upto, slot.end) - slot.offset) // PACKET_BYTES * PACKET_BYTES
    return np.uint64(moved).tobytes(), 8 * (slot.number * WORDS_PER_SLOT + MOVED)


def seam_words(before: memoryview | None) -> list[tuple[int, int]]:
    """The words of a slot, and their values, that say what it stands behind in the recording."""
    last = b"" if before is None else before[-_SEAM_BYTES:]
    digest = seam_digest(last)
    halves = [int.from_bytes(digest[at : at + WORD_BYTES], sys.byteorder) for at in (0, WORD_BYTES)]
    return [(DIGEST, halves[0]), (DIGEST + 1, halves[1]), (SEAM, len(last))]


def boot_id() -> bytes:
    """The boot that runs: pages mapped in an earlier one did not survive as they were."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)
