"""The packetiser: each rule of the standard by a reader of its own, then a round trip through the scanner."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordkit.errors import MediaError
from recordkit.model import AccessUnit
from recordkit.mpegts.laying import PACKET_BYTES, PacketBuffer
from recordkit.mpegts.packetiser import LEAD, MOST_STREAMS, Packetiser
from recordkit.mpegts.report import PesEvent, ProblemEvent, ProblemKind
from recordkit.mpegts.scanner import Scanner

from .cases import CASES, Case
from .conformance import CHECKS, Laid, lay
from .reader import dump, read_packets
from .units import (
    AAC,
    AUDIO,
    H264,
    H265,
    MP3,
    OPUS,
    START,
    VIDEO,
    Declare,
    Step,
    audio,
    bare,
    mixed,
    on_the_wire,
    picture,
    sound,
    video,
)

GOLDEN = Path(__file__).with_name("golden")
GOLDEN_BYTES = 60_000
BY_NAME = {case.name: case for case in CASES}
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def laid(case: Case) -> Laid:
    return lay(case.steps)


def read_back(made: Laid) -> list[ProblemEvent]:
    """The problems that the scanner finds, having seen that it gives what went in."""
    scanner = Scanner()
    events = scanner.feed(made.data) + scanner.close()
    fold = 0
    for index in made.formats:
        sent = [unit for unit in made.units if unit.stream == index]
        found = [event for event in events if isinstance(event, PesEvent) and event.pid == 0x100 + index]
        # The scanner counts from the first timestamp on the wire, a whole number of folds away.
        fold = (sent[0].dts - found[0].dts) if sent else 0
        assert fold % 2**33 == 0
        for unit, event in zip(sent, found, strict=True):
            assert (unit.pts, unit.dts) == (event.pts + fold, event.dts + fold)
            assert event.data == on_the_wire(unit, made.formats[index])
            assert event.complete
            assert event.random_access == (unit.random_access and made.formats[index].codec.is_video)
            assert event.discontinuity or not unit.discontinuity
    assert scanner.report.packets * PACKET_BYTES == len(made.data)
    return [event for event in events if isinstance(event, ProblemEvent)]


def test_the_names_of_the_cases_are_their_own():
    assert len(BY_NAME) == len(CASES)


@each_case
@each_check
def test_conformance(case, check):
    check(laid(case))


@each_case
def test_round_trip(case):
    made = laid(case)
    assert made.late_units == case.late
    kinds = {problem.kind for problem in read_back(made)}
    assert kinds == ({ProblemKind.DTS_BEHIND_PCR} if case.late else set())


@each_case
@pytest.mark.parametrize(("capacity", "offset"), [(1, 0), (7, 0), (64, 3), (300, 64)])
def test_buffers_are_lent_at_any_time(case, capacity, offset):
    assert lay(case.steps, capacity, offset).data == laid(case).data


@pytest.mark.parametrize("case", [case for case in CASES if case.golden], ids=lambda case: case.name)
def test_golden(case, refresh_golden):
    path, text = GOLDEN / f"{case.name}.txt", dump(laid(case).data)
    if refresh_golden:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="ascii")
    assert path.read_text(encoding="ascii") == text, "see --refresh-golden"


def test_golden_files_are_those_of_the_table_and_small():
    files = list(GOLDEN.iterdir())
    assert {path.name for path in files} == {f"{case.name}.txt" for case in CASES if case.golden}
    assert sum(path.stat().st_size for path in files) < GOLDEN_BYTES


@st.composite
def steps(draw) -> list[Step]:
    """Units of some streams, no more than 0.8 s behind the newest, with a long gap now and then."""
    formats = draw(st.lists(st.sampled_from([H264, H265, AAC, MP3, OPUS]), min_size=1, max_size=4))
    start = draw(st.sampled_from([0, START, 2**33 - 90_000, 2**33 + 60_000]))
    declared_first = draw(st.integers(1, len(formats)))
    made: list[Step] = [Declare(index, formats[index]) for index in range(declared_first)]
    declared, now, last = set(range(declared_first)), start, {}
    gap = st.one_of(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 200_000), st.just(6_000_000))
    for number in range(draw(st.integers(1, 25))):
        stream = draw(st.integers(0, len(formats) - 1))
        now += draw(gap)
        dts = max(now - draw(st.integers(0, 72_000)), last.get(stream, now - 72_000) + 1)
        now, last[stream] = max(now, dts), dts
        if stream not in declared:
            made.append(Declare(stream, formats[stream]))
            declared.add(stream)
        unit = bare(number, dts, draw(st.one_of(st.integers(2, 600), st.integers(2, 5000))), stream)
        is_video = formats[stream].codec.is_video
        prefix = bytes(draw(st.one_of(st.just(0), st.integers(0, 400)))) if is_video else b""
        delay = draw(st.integers(0, 20_000)) if is_video else 0
        flags = {"random_access": draw(st.booleans()), "discontinuity": draw(st.integers(0, 9)) == 0}
        made.append(replace(unit, prefix=prefix, pts=dts + delay, **flags))
    return made


@RELAXED
@given(steps(), st.integers(1, 200), st.integers(0, 200))
def test_any_mix_of_streams_conforms_and_reads_back(made, capacity, offset):
    result = lay(made, capacity, offset)
    for check in CHECKS:
        check(result)
    assert result.late_units == 0
    assert read_back(result) == []
    assert lay(made).data == result.data


@RELAXED
@given(st.lists(st.integers(2, 40 * 184), min_size=1, max_size=20), st.integers(0, 300), st.booleans())
def test_units_of_any_size(sizes, prefix, has_dts):
    made: list[Step] = [Declare(VIDEO, H264), Declare(AUDIO, AAC)]
    for number, size in enumerate(sizes):
        dts = START + number * 1500
        stream = number % 3 % 2
        unit = bare(number, dts, size, stream, prefix=bytes(0 if stream else prefix))
        made.append(replace(unit, pts=dts + 3000 * has_dts))
    result = lay(made)
    for check in CHECKS:
        check(result)
    assert read_back(result) == []


@given(st.integers(1, 1_000_000), st.integers(0, 300), st.integers(0, 2_000_000), st.booleans())
@settings(deadline=None, max_examples=150)
def test_packets_for_is_an_upper_bound_and_not_far_off(size, prefix, gap, random_access):
    packetiser = Packetiser()
    packetiser.declare(VIDEO, H264)
    buffer = PacketBuffer(np.zeros((7000, PACKET_BYTES), np.uint8))
    packetiser.lay(picture(0, START, idr=True), buffer)
    unit = AccessUnit(VIDEO, START + 1 + gap, START + 1 + gap, bytes(size), bytes(prefix), random_access)
    needed, used = packetiser.packets_for(unit), buffer.used
    packetiser.lay(unit, buffer)
    assert buffer.used - used <= needed <= buffer.used - used + 10


def test_packets_for_holds_where_everything_falls_due_at_once():
    packetiser = Packetiser()
    packetiser.declare(VIDEO, H264)
    packetiser.declare(AUDIO, AAC)
    buffer = PacketBuffer(np.zeros((100, PACKET_BYTES), np.uint8))
    packetiser.lay(picture(0, START, idr=True), buffer)
    packetiser.lay(picture(1, START + 3600), buffer)
    packetiser.lay(sound(0, START + 5400), buffer)
    # A PCR and the tables are due, an IDR brings them once more, and its last packet has one byte.
    unit = replace(bare(3, START + 7201, 2 * 184 + 1 - 27, random_access=True), pts=START + 7202)
    needed, used = packetiser.packets_for(unit), buffer.used
    packetiser.lay(unit, buffer)
    assert buffer.used - used == 1 + 2 + 2 + 3
    assert needed == buffer.used - used + 1


def started() -> tuple[Packetiser, PacketBuffer]:
    packetiser = Packetiser()
    packetiser.declare(VIDEO, H264)
    packetiser.declare(AUDIO, AAC)
    buffer = PacketBuffer(np.zeros((2000, PACKET_BYTES), np.uint8))
    for unit in mixed(video(3), audio(4)):
        packetiser.lay(unit, buffer)
    return packetiser, buffer


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (bare(9, START + 90_000, 100, stream=5), "never declared"),
        (bare(9, START + 7200, 100), "does not come after"),
        (bare(9, START + 7199, 100), "does not come after"),
        (bare(9, START + 2 * 1920, 100, AUDIO), "does not come after"),
        (bare(9, START + 90_000, 65_520, AUDIO), "too long"),
        (bare(9, START + 9_000_000, 65_520, AUDIO), "too long"),
        (sound(9, START + 90_000, 8000, header=bytes(60_000)), "too long"),
        (sound(9, START + 90_000, 8185), "too long for ADTS"),
    ],
)
def test_what_cannot_be_laid_leaves_no_trace(unit, words):
    packetiser, buffer = started()
    untouched, other = started()
    before, used = bytes(buffer.bytes), buffer.used
    with pytest.raises(MediaError, match=words) as caught:
        packetiser.lay(unit, buffer)
    assert caught.value.stream == unit.stream
    assert (buffer.used, bytes(buffer.bytes)) == (used, before)
    for following in mixed(video(3, first=3), audio(3, START + 9600)):
        packetiser.lay(following, buffer)
        untouched.lay(following, other)
    assert bytes(buffer.bytes) == bytes(other.bytes)


def test_the_longest_audio_unit():
    made = lay([Declare(AUDIO, AAC), bare(0, START, 0xFFFF - 16, AUDIO)])
    for check in CHECKS:
        check(made)
    assert read_back(made) == []


def test_declare_refuses_what_it_cannot_carry():
    packetiser = Packetiser()
    for index in (-1, MOST_STREAMS):
        with pytest.raises(MediaError, match="numbered"):
            packetiser.declare(index, AAC)
    packetiser.declare(VIDEO, H264)
    with pytest.raises(MediaError, match="cannot change from h264 to aac") as caught:
        packetiser.declare(VIDEO, AAC)
    assert caught.value.stream == VIDEO
    assert packetiser.streams == {VIDEO: H264}


def test_what_it_knows_of_its_streams():
    packetiser, _ = started()
    assert packetiser.streams == {VIDEO: H264, AUDIO: AAC}
    assert packetiser.format(AUDIO) == AAC
    assert packetiser.format(7) is None
    assert packetiser.is_video(VIDEO)
    assert not packetiser.is_video(AUDIO)
    smaller = replace(H264, width=320)
    packetiser.declare(VIDEO, smaller)
    assert packetiser.format(VIDEO) == smaller


def test_pictures_declared_before_the_first_unit_carry_the_pcr():
    made = lay(
        [Declare(3, AAC), Declare(4, H264), sound(0, START, stream=3), picture(0, START, stream=4, idr=True)]
    )
    assert made.pcr_pid == 0x104
    assert made.packets[2].payload is None
    assert made.packets[2].pcr == START - LEAD


def test_pcr_of_adaptation_fields_alone_has_the_counter_of_the_packet_before():
    packets = read_packets(lay(BY_NAME["one_picture_a_second"].steps).data)
    alone = [at for at, packet in enumerate(packets) if packet.payload is None]
    assert len(alone) > 100
    pictures = [packet for packet in packets if packet.pid == 0x100]
    for before, packet in pairwise(pictures):
        assert packet.payload is not None or packet.counter == before.counter


def test_late_units_are_counted_from_a_lead_below_100_ms_on():
    packetiser, buffer = started()
    newest = START + 7200
    packetiser.declare(2, AAC)
    packetiser.lay(bare(0, newest - LEAD + 9000, 10, stream=2), buffer)
    assert packetiser.late_units == 0
    packetiser.declare(3, AAC)
    packetiser.lay(bare(0, newest - LEAD + 8999, 10, stream=3), buffer)
    assert packetiser.late_units == 1


@pytest.mark.parametrize("order", [(), (0, 1, 2), (1, 0), (2, 1, 0), (7, 1)])
def test_the_tables_list_the_streams_in_the_order_that_is_wanted(order):
    packetiser, buffer = Packetiser(), PacketBuffer(np.empty((50, PACKET_BYTES), np.uint8))
    packetiser.order = order
    for index, stream in ((0, H264), (1, AAC), (2, AAC)):
        packetiser.declare(index, stream)
    packetiser.lay(bare(0, START, 10), buffer)
    scanner = Scanner()
    scanner.feed(bytes(buffer.bytes[: buffer.used_bytes]) + b"".join(packetiser.finish(buffer.used_bytes).append))
    scanner.close()
    (program,) = scanner.report.programs
    wanted = [index for index in order if index < 3] + [index for index in range(3) if index not in order]
    assert [one.pid for one in program.streams] == [0x100 + index for index in wanted]
    assert program.pcr_pid == 0x100


@pytest.mark.parametrize("packets", [1, 10, 11, 500])
def test_a_very_short_file_ends_in_null_packets(packets):
    """So that libavformat, which wants to see ten of them, takes it for what it is."""
    added = b"".join(Packetiser().finish(packets * PACKET_BYTES).append)
    assert len(added) == max(0, 11 - packets) * PACKET_BYTES
    scanner = Scanner()
    scanner.feed(added)
    scanner.close()
    assert scanner.report.null_packets == len(added) // PACKET_BYTES
