"""The rules of what recordkit writes (ISO/IEC 13818-1), each a check that can be held against any stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.laying import PACKET_BYTES, PacketBuffer
from recordkit.mpegts.packetiser import Packetiser

from .reader import Packet, Pes, Section, read_packets, read_pes, read_pmt, read_section, runs, unwrapped
from .units import Declare, Step, on_the_wire

PAT, PMT = 0x0000, 0x1000
SECOND = 90_000
LONG = 10 * SECOND


@dataclass
class Laid:
    """A stream as laid, what it was laid from, and what the packetiser says of it."""

    data: bytes
    steps: list[Step]
    late_units: int

    @cached_property
    def units(self) -> list[AccessUnit]:
        return [step for step in self.steps if isinstance(step, AccessUnit)]

    @cached_property
    def formats(self) -> dict[int, StreamFormat]:
        return {step.stream: step.format for step in self.steps if isinstance(step, Declare)}

    @cached_property
    def packets(self) -> list[Packet]:
        return read_packets(self.data)

    @cached_property
    def pat(self) -> list[Section]:
        return [read_section(run) for run in runs(self.packets, PAT)]

    @cached_property
    def pmt(self) -> list[Section]:
        return [read_section(run) for run in runs(self.packets, PMT)]

    @cached_property
    def pcr_pid(self) -> int:
        (pid,) = {read_pmt(section)[0] for section in self.pmt}
        return pid

    @cached_property
    def pairs(self) -> list[tuple[AccessUnit, Pes]]:
        """Each access unit and the PES packet that came of it, in the order in which they were laid."""
        per_pid = {0x100 + index: iter(runs(self.packets, 0x100 + index)) for index in self.formats}
        pairs = [(unit, read_pes(next(per_pid[0x100 + unit.stream]))) for unit in self.units]
        assert all(next(rest, None) is None for rest in per_pid.values()), "more PES packets than units"
        return pairs

    @cached_property
    def clock(self) -> list[int]:
        """At each packet, the newest PCR at or before it, unwrapped; the first one before that."""
        first = next(packet.pcr for packet in self.packets if packet.pcr is not None)
        times, now = [], unwrapped(first, self.units[0].dts)
        for packet in self.packets:
            if packet.pcr is not None:
                now = unwrapped(packet.pcr, now)
            times.append(now)
        return times

    @cached_property
    def jumps(self) -> list[int]:
        """Where the clock jumps: packets with both a PCR and discontinuity_indicator."""
        return [packet.index for packet in self.packets if packet.pcr is not None and packet.discontinuity]


def lay(steps: Iterable[Step], capacity: int = 4096, offset: int = 0) -> Laid:
    """Lays the steps into buffers of ``capacity`` packets, handed on as soon as a unit might not fit.

    Each begins ``offset`` bytes into its memory; nothing beside the buffer may be touched.
    """
    steps = list(steps)
    packetiser, chunks = Packetiser(), []

    def lend(packets: int) -> tuple[PacketBuffer, np.ndarray]:
        memory = np.full(offset + packets * PACKET_BYTES + 100, 0xA5, np.uint8)
        rows = memory[offset : offset + packets * PACKET_BYTES].reshape(packets, PACKET_BYTES)
        return PacketBuffer(rows), memory

    def take() -> None:
        end = offset + buffer.used_bytes
        assert bytes(memory[:offset]) == b"\xa5" * offset
        assert bytes(memory[end:]) == b"\xa5" * (len(memory) - end), "written beyond what was laid"
        chunks.append(memory[offset:end].tobytes())

    buffer, memory = lend(capacity)
    for step in steps:
        if isinstance(step, Declare):
            packetiser.declare(step.stream, step.format)
            continue
        needed = packetiser.packets_for(step)
        if buffer.capacity - buffer.used < needed:
            take()
            buffer, memory = lend(max(capacity, needed))
        used = buffer.used
        packetiser.lay(step, buffer)
        assert 0 < buffer.used - used <= needed, "packets_for was exceeded"
    take()
    return Laid(b"".join(chunks), steps, packetiser.late_units)


def tables_come_first(laid: Laid) -> None:
    assert [packet.pid for packet in laid.packets[:2]] == [PAT, PMT]
    assert {packet.pid for packet in laid.packets} <= {PAT, PMT} | {0x100 + index for index in laid.formats}


def tables_say_what_is_there(laid: Laid) -> None:
    expected: dict[int, StreamFormat] = {}
    version, fresh, seen = 0, True, []
    for step in laid.steps:
        if isinstance(step, Declare):
            expected[step.stream] = step.format
            version += not fresh
            fresh = True
        elif fresh:
            seen.append((version % 32, dict(expected)))
            fresh = False
    found = []
    for section in laid.pmt:
        if not found or found[-1].version != section.version:
            found.append(section)
    assert [section.version for section in found] == [version for version, _ in seen]
    for section, (_, formats) in zip(found, seen, strict=True):
        assert section.body[:2] == b"\0\1", "program 1"
        streams = [(stream.pid, stream.stream_type, stream.descriptors) for stream in read_pmt(section)[1]]
        assert streams == [(0x100 + index, *described(formats[index])) for index in sorted(formats)]
    assert {(section.version, section.body) for section in laid.pat} == {(0, b"\0\1\0\1\xf0\0")}


def described(stream: StreamFormat) -> tuple[int, bytes]:
    """stream_type and descriptors as the standards have them."""
    types = {Codec.H264: 0x1B, Codec.H265: 0x24, Codec.AAC: 0x0F, Codec.OPUS: 0x06, Codec.MP3: 3}
    type_ = types[stream.codec] + (stream.codec is Codec.MP3 and stream.sample_rate < 32_000)
    descriptors = b""
    if stream.codec is Codec.OPUS:
        descriptors = b"\x05\x04Opus\x7f\x02\x80" + bytes([stream.channels])
    elif stream.codec is Codec.H265:
        descriptors = b"\x05\x04HEVC"
    if stream.language:
        descriptors += b"\x0a\x04" + stream.language.encode() + b"\0"
    return type_, descriptors


def tables_every_100_ms(laid: Laid) -> None:
    # By the last PCR before each, as a reader measures it.
    for sections in (laid.pat, laid.pmt):
        places = [section.packets[0].index for section in sections]
        for before, after in zip(places, [*places[1:], len(laid.packets) - 1], strict=True):
            if not any(before < jump <= after for jump in laid.jumps):
                assert laid.clock[after] - laid.clock[before] <= 9000


def tables_before_each_idr(laid: Laid) -> None:
    for unit, pes in laid.pairs:
        if unit.random_access and laid.formats[unit.stream].codec.is_video:
            at = pes.first.index - 1
            while laid.packets[at].payload is None:
                at -= 1
            end = at
            while laid.packets[at].pid == PMT and not laid.packets[at].unit_start:
                at -= 1
            assert laid.packets[at].pid == PMT, f"no PMT before packet {end + 1}"
            assert laid.packets[at - 1].pid == PAT


def pcr_is_paced(laid: Laid) -> None:
    last = None
    for packet in laid.packets:
        if packet.pcr is not None:
            assert packet.pid == laid.pcr_pid
            now = laid.clock[packet.index]
            if last is not None and not packet.discontinuity:
                assert 0 < now - last <= 3600, f"PCR step of {now - last} ticks"
            last = now
    first_media = next(packet for packet in laid.packets if packet.pid not in (PAT, PMT))
    assert first_media.pcr is not None


def decoding_follows_the_clock(laid: Laid) -> None:
    late = 0
    for unit, pes in laid.pairs:
        lead = unit.dts - laid.clock[pes.first.index]
        assert lead <= SECOND
        late += lead < 9000
        assert unit.dts <= unit.pts
    assert late <= laid.late_units
    assert laid.late_units == 0 or late > 0


def times_are_exact(laid: Laid) -> None:
    for unit, pes in laid.pairs:
        assert (pes.pts, pes.dts) == (unit.pts % 2**33, unit.dts % 2**33)
        assert pes.dts_sent == (unit.pts != unit.dts)


def counters_count_payloads(laid: Laid) -> None:
    counters: dict[int, int] = {}
    for packet in laid.packets:
        carries = packet.payload is not None
        before = counters.get(packet.pid, (packet.counter - carries) & 15)
        assert packet.counter == (before + carries) & 15
        counters[packet.pid] = packet.counter


def stuffing_only_where_needed(laid: Laid) -> None:
    """A PES packet takes as few transport packets as it can, stuffed in the last one."""
    for _, pes in laid.pairs:
        for packet in pes.packets[1:-1]:
            assert packet.field_length is None
        flagged = pes.first.pcr is not None or pes.first.discontinuity or pes.first.random_access
        size = sum(len(packet.payload) for packet in pes.packets)
        field = 8 if pes.first.pcr is not None else 2 if flagged else 0
        assert len(pes.packets) == -(-(size + field) // 184)
        assert [packet.unit_start for packet in pes.packets] == [True] + [False] * (len(pes.packets) - 1)


def fields_alone_carry_a_pcr(laid: Laid) -> None:
    for packet in laid.packets:
        if packet.payload is None:
            assert packet.field_length == 183
            assert packet.pcr is not None
            assert not packet.unit_start


def pes_lengths(laid: Laid) -> None:
    for unit, pes in laid.pairs:
        wire = on_the_wire(unit, laid.formats[unit.stream])
        size = 3 + (10 if pes.dts_sent else 5) + len(wire)
        assert pes.length == (size if size <= 0xFFFF else 0)
        assert pes.length or laid.formats[unit.stream].codec.is_video
        assert pes.aligned


def units_are_whole(laid: Laid) -> None:
    """Each unit's bytes behind its header (delimiter, ADTS, Opus) and its prefix, and all of it in one place."""
    for unit, pes in laid.pairs:
        assert pes.data == on_the_wire(unit, laid.formats[unit.stream])
        places = [packet.index for packet in pes.packets]
        assert places == list(range(places[0], places[0] + len(places)))
    starts = [pes.first.index for _, pes in laid.pairs]
    assert starts == sorted(starts), "units in the order in which they came"


def stream_ids(laid: Laid) -> None:
    expected, videos, sounds = {}, 0, 0
    for index in dict.fromkeys(step.stream for step in laid.steps if isinstance(step, Declare)):
        codec = laid.formats[index].codec
        expected[index] = 0xE0 + videos if codec.is_video else 0xBD if codec is Codec.OPUS else 0xC0 + sounds
        videos += codec.is_video
        sounds += not codec.is_video
    for unit, pes in laid.pairs:
        assert pes.stream_id == expected[unit.stream]


def random_access_is_flagged(laid: Laid) -> None:
    for unit, pes in laid.pairs:
        is_entry = unit.random_access and laid.formats[unit.stream].codec.is_video
        assert pes.first.random_access == is_entry
        assert not any(packet.random_access for packet in pes.packets[1:])
        if is_entry and pes.pid == laid.pcr_pid:
            assert pes.first.pcr is not None


def discontinuities_are_flagged(laid: Laid) -> None:
    newest: int | None = None
    last: dict[int, int] = {}
    allowed = set()
    for unit, pes in laid.pairs:
        jumps = newest is not None and unit.dts - newest > LONG
        silent = unit.dts - last.get(unit.stream, unit.dts) > LONG
        at = pes.first.index
        if jumps:
            before = laid.packets[at - 1]
            assert (at in laid.jumps) or (before.index in laid.jumps and before.pid == laid.pcr_pid)
            allowed |= {at, at - 1}
        assert pes.first.discontinuity or not (unit.discontinuity or (silent and not jumps))
        if unit.discontinuity or silent:
            allowed.add(at)
        newest = unit.dts if newest is None else max(newest, unit.dts)
        last[unit.stream] = unit.dts
    assert {packet.index for packet in laid.packets if packet.discontinuity} <= allowed


CHECKS = [
    tables_come_first,
    tables_say_what_is_there,
    tables_every_100_ms,
    tables_before_each_idr,
    pcr_is_paced,
    decoding_follows_the_clock,
    times_are_exact,
    counters_count_payloads,
    stuffing_only_where_needed,
    fields_alone_carry_a_pcr,
    pes_lengths,
    units_are_whole,
    stream_ids,
    random_access_is_flagged,
    discontinuities_are_flagged,
]
