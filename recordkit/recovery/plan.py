"""What is to be done with a partial and its tail; nothing is changed here."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeGuard

from ..mpegts.report import ProblemEvent, ProblemKind
from ..mpegts.scanner import Scanner
from ..mpegts.sync import PACKET_BYTES
from ..writer.header import HEADER_BYTES, MAGIC, TailHeader, TailSlot, read_header
from ..writer.identity import seam_digest
from . import chunks, sounds
from .ending import Piece, packets_end, usable_end, whole_packets_end
from .outcome import Cut
from .view import CHUNK_BYTES, Overlay, View, difference, is_zero, read_at

_CONTEXT_BYTES = 8 * 1024 * 1024 // PACKET_BYTES * PACKET_BYTES
"""So much of the file is read to tell whether packets continue it."""
_PAGE_BYTES = 4096
_HARMLESS = frozenset({ProblemKind.DTS_BEHIND_PCR, ProblemKind.MISSING_TABLES})
_ENDS = frozenset({ProblemKind.SYNC_LOST, ProblemKind.CUT_PACKET, ProblemKind.NOT_TRANSPORT_STREAM})


@dataclass
class Plan:
    """``size`` is the file's now, ``end`` what it will be; ``overlays`` are written over it first.

    Of ``end`` bytes ``tail_bytes`` come from the tail. ``cuts`` go to the rejected file before
    anything is changed, read from ``sources`` at their offsets. ``uses_tail`` says whether the
    tail is of this file, or has no owner, so that it can be removed when all is done; ``owns_tail``
    that its header names this file, ``keeps_whole_tail`` that all of it is among the cuts.
    """

    size: int
    end: int = 0
    tail_bytes: int = 0
    overlays: list[Overlay] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    sources: list[View] = field(default_factory=list)
    uses_tail: bool = False
    owns_tail: bool = False
    keeps_whole_tail: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Whether the file will not be as it is."""
        return self.end != self.size or self.tail_bytes > 0

    def cut(self, source: View, kind: str, begin: int, end: int, reason: str) -> None:
        """Note a cut."""
        if begin < end:
            self.cuts.append(Cut(kind, begin, end - begin, reason))
            self.sources.append(source)


def make_plan(descriptor: int, tail: int | None) -> Plan:
    """The plan for an open partial and its open tail. Raises OSError where they cannot be read."""
    status = os.fstat(descriptor)
    plan = Plan(status.st_size)
    header = None
    if tail is not None:
        header = _header(plan, descriptor, tail)
    file = View(descriptor, plan.size)
    slots = [] if header is None or tail is None else [_overlay(tail, slot) for slot in header.slots]
    whole = View(descriptor, plan.size, _without_holes(plan.size, slots))
    if chunks.is_mp4(whole):
        _plan_chunks(plan, descriptor, slots, header)
        return plan
    if sounds.is_sound(whole):
        _plan_sound(plan, descriptor, slots, header)
        return plan
    if header is None or tail is None or not slots:
        _settle(plan, descriptor, file, [], usable_end(file))
        return plan
    plan.overlays = _without_holes(plan.size, slots)
    view = View(descriptor, plan.size, plan.overlays)
    if header.is_same_boot and header.is_sane and _is_sound(view, plan.overlays):
        _settle(plan, descriptor, view, slots, usable_end(view, _unit_ends(header.slots)))
    else:
        plan.problems.append(_doubt(header))
        plan.overlays = []
        _settle_doubtful(plan, descriptor, slots)
    return plan


def _doubt(header: TailHeader) -> str:
    why = "it does not agree with itself, or with the file"
    if not header.is_same_boot:
        why = "the machine was started anew since"
    return f"the tail is believed only where it continues the file: {why}"


def _plan_chunks(plan: Plan, descriptor: int, slots: list[Overlay], header: TailHeader | None) -> None:
    """The plan for a recording in MP4."""
    file = View(descriptor, plan.size)
    if chunks.is_finished(file):
        # All of the tail is in it; what a slot has of the beginning is from before that was turned.
        plan.overlays = []
        _settle(plan, descriptor, file, [], (plan.size, []))
        return
    plan.overlays = _without_holes(plan.size, slots)
    if header is None or not plan.overlays:
        _settle(plan, descriptor, file, slots, chunks.usable_end(file))
        return
    view, begin = View(descriptor, plan.size, plan.overlays), plan.overlays[0].offset
    is_sound = not [at for at in chunks.scan(view, view.size).faults if at >= begin]
    if header.is_same_boot and header.is_sane and is_sound:
        _settle(plan, descriptor, view, slots, chunks.usable_end(view))
        return
    plan.problems.append(_doubt(header))
    alone, ending = chunks.usable_end(file), chunks.usable_end(view, chunks.doubtful_end(view, begin))
    if ending[0] > alone[0]:
        _settle(plan, descriptor, view, slots, ending)
    else:
        plan.overlays = []
        _settle(plan, descriptor, file, slots, alone)


def _plan_sound(plan: Plan, descriptor: int, slots: list[Overlay], header: TailHeader | None) -> None:
    """The plan for a recording of audio alone."""
    file = View(descriptor, plan.size)
    plan.overlays = _without_holes(plan.size, slots)
    if header is not None and plan.overlays:
        view = View(descriptor, plan.size, plan.overlays)
        ending = sounds.usable_end(view)
        is_sure = header.is_same_boot and header.is_sane
        if is_sure or (sounds.is_believed(view) and ending[0] > sounds.usable_end(file)[0]):
            if not is_sure:
                plan.problems.append(_doubt(header))
            _settle(plan, descriptor, view, slots, ending)
            return
        plan.problems.append(_doubt(header))
        plan.overlays = []
    _settle(plan, descriptor, file, slots, sounds.usable_end(file))


def _header(plan: Plan, partial: int, tail: int) -> TailHeader | None:
    size = os.fstat(tail).st_size
    header = read_header(read_at(tail, 0, HEADER_BYTES))
    if header is None:
        plan.uses_tail = True
        if not was_never_used(tail):
            plan.cut(View(tail, size), "tail", 0, size, "a tail without a header that can be read")
        return None
    if not belongs(partial, tail, header):
        plan.problems.append("the tail that lies there belongs to another file; it was left alone")
        return None
    plan.uses_tail = plan.owns_tail = True
    if not header.is_sane and len(header.slots) < 2:
        # What its slots hold cannot be told from what they held before.
        whole = View(tail, size)
        plan.keeps_whole_tail = True
        plan.cut(whole, "tail", 0, size, "a tail whose header contradicts itself")
    return header


def was_never_used(tail: int) -> bool:
    """Whether a tail without a header is all zeros, as after a power cut, or was being made.

    The first bytes of its header come last; then its slots are all zeros.
    """
    whole = View(tail, os.fstat(tail).st_size)
    return is_zero(whole.read(0, len(MAGIC))) and whole.is_blank(HEADER_BYTES)


def belongs(partial: int, tail: int, header: TailHeader) -> bool:
    """Whether a tail is of this file: by its inode, or by its bytes where that is another one.

    It is in a copy, and on some file systems after each change of name, or once they have forgotten it.
    The last bytes before a slot are known by their digest; before the first slot of a recording there are
    none, and the file can only be the beginning of what that slot holds.
    """
    status = os.fstat(partial)
    if header.inode == status.st_ino:
        return True
    file = View(partial, status.st_size)
    for slot in header.slots:
        if slot.seam_bytes and slot.seam <= file.size:
            if seam_digest(file.read(slot.seam - slot.seam_bytes, slot.seam)) == slot.seam_digest:
                return True
        elif slot.offset == 0:
            held = View(tail, 0, [_overlay(tail, slot)])
            if difference(file, held, 0, min(file.size, slot.end)) is None:
                return True
    return False


def _overlay(tail: int, slot: TailSlot) -> Overlay:
    there = max(0, min(slot.bytes, os.fstat(tail).st_size - slot.start))
    return Overlay(tail, slot.start, slot.offset, there)


def _without_holes(size: int, slots: list[Overlay]) -> list[Overlay]:
    kept = []
    for slot in slots:
        if slot.offset > size:
            break
        kept.append(slot)
        size = max(size, slot.end)
    return kept


def _unit_ends(slots: Collection[TailSlot]) -> set[int]:
    return {slot.end for slot in slots if slot.ends_a_unit}


def _settle_doubtful(plan: Plan, descriptor: int, slots: list[Overlay]) -> None:
    """Takes of the slots what continues the packets of the file without a fault."""
    begin = packets_end(View(descriptor, plan.size))
    file = View(descriptor, plan.size)
    end = begin
    for slot in slots:
        if slot.offset > end:
            continue
        held = View(slot.descriptor, 0, [slot])
        skipped = 0
        if difference(file, held, slot.offset, min(end, slot.end)) is not None:
            skipped = end - slot.offset
        if skipped < slot.bytes and skipped % PACKET_BYTES == 0:
            # Whole where it agrees: written again, it is on the disk even if a sync of it has failed.
            plan.overlays.append(
                Overlay(slot.descriptor, slot.start + skipped, slot.offset + skipped, slot.bytes - skipped)
            )
            end = max(end, slot.end)
    if plan.overlays:
        view = View(descriptor, begin, plan.overlays)
        good = whole_packets_end(
            view, _believed_end(plan.overlays, _faults(view, begin)[1], begin, view.size), begin
        )
        plan.overlays = [
            Overlay(one.descriptor, one.start, one.offset, min(one.end, good) - one.offset)
            for one in plan.overlays
            if one.offset < good
        ]
    view = View(descriptor, begin, plan.overlays) if plan.overlays else View(descriptor, plan.size)
    _settle(plan, descriptor, view, slots, usable_end(view))


def _is_sound(view: View, slots: list[Overlay]) -> bool:
    """Whether the slots hold what was laid into them, as they do after a kill.

    A disk that was lost while the machine went on leaves old pages in them; those are packets, too.
    """
    if not slots:
        return True
    if any(slot.bytes % PACKET_BYTES for slot in slots):
        return False
    begin = slots[0].offset
    before, after = _faults(view, begin)
    if not after:
        return True
    # Where the file itself is damaged before them, they are judged by themselves.
    return bool(before) and not any(_faults(View(slots[0].descriptor, 0, slots), begin, 0))


def _believed_end(slots: list[Overlay], faults: list[int], begin: int, end: int) -> int:
    """The end of the packets before the page that the first fault lies in: it is lost, or old, as a whole."""
    for slot in slots:
        if faults and slot.offset <= faults[0] < slot.end:
            page = (slot.start + faults[0] - slot.offset) // _PAGE_BYTES * _PAGE_BYTES
            good = max(0, page - slot.start) // PACKET_BYTES * PACKET_BYTES
            return max(begin, slot.offset + good)
    return faults[0] if faults else end


def _faults(view: View, begin: int, context_bytes: int = _CONTEXT_BYTES) -> tuple[list[int], list[int]]:
    """Where faults are: shortly before ``begin``, and from there on up to shortly behind the first."""
    start = begin - min(begin // PACKET_BYTES * PACKET_BYTES, context_bytes)
    scanner = Scanner(payload=False, columns=True)
    faults: list[ProblemEvent] = []
    zeros = []
    stop = view.size
    for at, data in view.chunks(start, view.size):
        faults += [event for event in scanner.feed(data) if _is_fault(event)]
        if at >= begin and len(data) == CHUNK_BYTES and is_zero(data):
            zeros.append(at)  # which the scanner would go on and on about, until a packet comes
            break
        if stop == view.size and any(start + event.offset >= begin for event in faults):
            stop = at + _CONTEXT_BYTES  # only the first one counts, and is told of no later than that
        if at >= stop:
            break
    faults += [event for event in scanner.close() if isinstance(event, ProblemEvent) and event.kind in _ENDS]
    offsets = sorted([*zeros, *(start + event.offset for event in faults)])
    return [offset for offset in offsets if offset < begin], [offset for offset in offsets if offset >= begin]


def _is_fault(event: object) -> TypeGuard[ProblemEvent]:
    return isinstance(event, ProblemEvent) and event.kind not in _HARMLESS


def _settle(plan: Plan, descriptor: int, view: View, slots: list[Overlay], ending: tuple[int, list[Piece]]) -> None:
    """Notes what ``view`` up to its usable end takes from the tail, and leaves out of file and slots."""
    end, pieces = ending
    plan.end = end
    plan.overlays = [
        Overlay(one.descriptor, one.start, one.offset, min(one.end, end) - one.offset)
        for one in plan.overlays
        if one.offset < end
    ]
    file = View(descriptor, plan.size)
    for one in plan.overlays:
        plan.tail_bytes += max(0, one.end - max(one.offset, plan.size))
        unlike = difference(file, view, one.offset, min(one.end, plan.size))
        if unlike is not None:
            plan.tail_bytes += unlike[1] - unlike[0]
            plan.cut(file, "file", *unlike, "the tail holds other bytes for this place")
    pieces = [*pieces, Piece(max(end, view.size), plan.size, "no transport packets")]
    held = [View(slot.descriptor, 0, [slot]) for slot in slots]
    for begin, stop, reason in sorted(pieces):
        # What a slot holds too goes aside with the slot: it does so again after an interruption.
        at, stop = begin, min(stop, plan.size)
        for slot, its in zip(slots, held, strict=True):
            first, last = max(at, slot.offset), min(stop, slot.end)
            if first < last and difference(file, its, first, last) is None:
                plan.cut(file, "file", at, first, reason)
                at = last
        plan.cut(file, "file", at, stop, reason)
    if plan.keeps_whole_tail:
        return
    for slot, its in zip(slots, held, strict=True):
        unlike = difference(its, view, slot.offset, min(slot.end, end))
        first = max(end, slot.offset) if unlike is None else unlike[0]
        reason = next((piece.reason for piece in pieces if piece.begin <= first < piece.end), "")
        if slot.offset > max(plan.size, view.size):
            reason = "bytes of the tail behind a hole in the file"
        plan.cut(its, "slot", first, slot.end, reason or "bytes of the tail that do not continue the file")
