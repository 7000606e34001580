"""The scanner: what it reads from right streams, and what it says of wrong ones."""

import io
import random

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordkit.model import Codec, StreamFormat
from recordkit.mpegts.report import (
    PROBLEMS_KEPT,
    PesEvent,
    ProblemEvent,
    ProblemKind,
    TablesEvent,
)
from recordkit.mpegts.scanner import Scanner
from recordkit.mpegts.tables import build_pmt

from .builder import AUDIO, VIDEO, Stream, packet, pes, section_packets, with_crc, wrapped

K = ProblemKind
VIDEO_FORMAT = StreamFormat(Codec.H264)
AUDIO_FORMAT = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2, language="eng")
FORMATS = [(VIDEO, VIDEO_FORMAT), (AUDIO, AUDIO_FORMAT)]
STEP = 3600  # 25 pictures a second
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def picture(index: int, size: int = 700) -> bytes:
    return bytes([index & 0xFF]) * size


def good(pictures: int = 12, first: int = 90_000, size: int = 700) -> Stream:
    """A stream without fault: tables, pictures of unbounded PES length, audio of exact length."""
    stream = Stream()
    for index in range(pictures):
        time = first + index * STEP
        if index % 3 == 0:
            stream.tables(FORMATS)
        flags = 0x40 if index == 0 else 0
        whole = pes(0xE0, picture(index, size), time + STEP, time, length=False)
        stream.pes(VIDEO, whole, pcr=time - 9000, flags=flags)
        stream.pes(AUDIO, pes(0xC0, bytes([index & 0xFF]) * 300, time))
    return stream


def scan(data: bytes, chunk: int = 1 << 20, **options):
    scanner = Scanner(**options)
    events = [event for at in range(0, len(data), chunk) for event in scanner.feed(data[at : at + chunk])]
    return events + scanner.close(), scanner.report


def kinds(events) -> list[ProblemKind]:
    return [event.kind for event in events if isinstance(event, ProblemEvent)]


def units(events, pid: int) -> list[PesEvent]:
    return [event for event in events if isinstance(event, PesEvent) and event.pid == pid]


def muxed(seconds: int = 2, size: int = 188) -> tuple[bytes, list[tuple[int, int, int]]]:
    """What libavformat's muxer writes: the file, and (stream, pts, dts) of what went in."""
    sink = io.BytesIO()
    # Without max_delay the muxer's PCR does not run behind, and audio comes after its decoding time.
    options = {"max_delay": "700000"} | ({"mpegts_m2ts_mode": "1"} if size == 192 else {})
    container = av.open(sink, "w", format="mpegts", options=options)
    video = container.add_stream("libx264", rate=25)
    video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
    video.options = {"preset": "ultrafast", "g": "10", "bf": "2"}
    audio = container.add_stream("aac", rate=48_000)
    audio.layout = "stereo"
    audio.codec_context.open()
    packets = []
    for index in range(seconds * 25):
        frame = av.VideoFrame.from_ndarray(np.full((180, 320, 3), index * 5 % 256, np.uint8))
        frame.pts = index
        packets += video.encode(frame)
    packets += video.encode(None)
    for index in range(seconds * 48_000 // 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48_000, index * 1024
        packets += audio.encode(frame)
    packets.sort(key=lambda one: one.dts * one.time_base)
    laid = []
    for one in packets:
        index = one.stream.index
        laid.append((index, round(one.pts * one.time_base * 90_000), round(one.dts * one.time_base * 90_000)))
        container.mux(one)
    container.close()
    return sink.getvalue(), laid


def test_a_good_stream():
    data = good().bytes()
    events, report = scan(data)
    assert kinds(events) == []
    assert isinstance(events[0], TablesEvent)
    assert sum(isinstance(event, TablesEvent) for event in events) == 1
    pictures, sounds = units(events, VIDEO), units(events, AUDIO)
    assert [one.data for one in pictures] == [picture(index) for index in range(12)]
    assert [one.dts for one in pictures] == [90_000 + index * STEP for index in range(12)]
    assert {one.pts - one.dts for one in pictures} == {STEP}
    assert [one.pts for one in sounds] == [one.dts for one in sounds] == [one.dts for one in pictures]
    assert [one.random_access for one in pictures] == [True] + [False] * 11
    assert all(one.complete and not one.discontinuity for one in pictures + sounds)
    assert all(data[one.offset] == 0x47 and data[one.offset + 1] & 0x40 for one in pictures + sounds)
    assert (report.bytes, report.packets, report.packet_bytes) == (len(data), len(data) // 188, 188)
    assert (report.first_pcr, report.last_pcr) == (81_000, 81_000 + 11 * STEP)
    assert report.pcr_interval_s == pytest.approx(0.04)
    assert report.pat_interval_s == report.pmt_interval_s == pytest.approx(0.12)
    assert report.programs[0].streams[1].language == "eng"
    by_pid = {one.pid: one for one in report.pids}
    assert (by_pid[VIDEO].pes_packets, by_pid[VIDEO].random_access) == (12, 1)
    assert (by_pid[VIDEO].first_dts, by_pid[VIDEO].last_pts) == (90_000, 90_000 + 12 * STEP)
    assert by_pid[0].packets == by_pid[0x1000].packets == 4


def test_audio_is_given_out_as_soon_as_it_is_whole():
    stream = good(2)
    scanner = Scanner()
    events = scanner.feed(stream.bytes())
    assert len(units(events, AUDIO)) == 2
    assert len(units(events, VIDEO)) == 1
    assert len(units(scanner.close(), VIDEO)) == 1
    assert scanner.close() == []


def test_what_libavformat_muxed():
    data, laid = muxed()
    events, report = scan(data)
    assert kinds(events) == []
    pictures = [(pts, dts) for index, pts, dts in laid if index == 0]
    found = units(events, 256)
    shift = found[0].dts - pictures[0][1]
    assert [(one.pts - shift, one.dts - shift) for one in found] == pictures
    assert report.programs[0].streams[0].codec == "h264"
    with av.open(io.BytesIO(data)) as container:
        demuxed = {0: b"", 1: b""}
        for one in container.demux():
            demuxed[one.stream.index] += bytes(one)
    for index, pid in ((0, 256), (1, 257)):
        assert b"".join(one.data for one in units(events, pid)) == demuxed[index]


def test_packets_of_192_bytes_by_libavformat():
    data, _ = muxed(1, 192)
    events, report = scan(data)
    assert report.packet_bytes == 192
    assert kinds(events) == []
    assert len(units(events, report.programs[0].streams[0].pid)) == 25


@pytest.mark.parametrize("size", [192, 204])
@pytest.mark.parametrize("chunk", [7, 5000])
def test_other_packet_sizes(size, chunk):
    stream = good()
    plain, _ = scan(stream.bytes())
    events, report = scan(wrapped(stream.packets, size), chunk)
    assert report.packet_bytes == size
    assert kinds(events) == []
    assert [one.data for one in units(events, VIDEO)] == [one.data for one in units(plain, VIDEO)]


def test_payload_left_out():
    data = good().bytes()
    with_payload, with_report = scan(data)
    without, report = scan(data, payload=False)
    assert report == with_report
    assert [one.payload_bytes for one in units(without, VIDEO)] == [700] * 12
    assert {one.data for one in units(without, VIDEO)} == {b""}
    assert len(with_payload) == len(without)


def test_timestamps_that_wrap():
    events, report = scan(good(first=2**33 - 5 * STEP).bytes())
    assert kinds(events) == []
    assert [one.dts for one in units(events, VIDEO)] == [2**33 + (index - 5) * STEP for index in range(12)]
    assert [one.dts for one in units(events, AUDIO)] == [one.dts for one in units(events, VIDEO)]
    assert report.last_pcr == 2**33 + 6 * STEP - 9000


# --- any chunking, any damage


def damaged(seed: int, faults: int, pictures: int = 15, size: int = 700) -> bytes:
    chance = random.Random(seed)
    packets = list(good(pictures, size=size).packets)
    for _ in range(faults):
        at = chance.randrange(len(packets))
        fault = chance.randrange(7)
        if fault == 0:
            del packets[at]
        elif fault == 1:
            packets.insert(at, packets[at])
        elif fault == 2:
            packets.insert(at, bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400))))
        elif fault == 3 or not packets[at]:
            other = chance.randrange(len(packets))
            packets[at], packets[other] = packets[other], packets[at]
        elif fault == 4:
            flipped = bytearray(packets[at])
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            packets[at] = bytes(flipped)
        elif fault == 5:
            packets[at] = packets[at][: chance.randrange(len(packets[at]))]
        else:
            flipped = bytearray(packets[at])
            flipped[chance.randrange(min(12, len(flipped)))] = chance.randrange(256)
            packets[at] = bytes(flipped)
    data = b"".join(packets)
    return data[: chance.randrange(len(data))] if chance.random() < 0.3 else data


@RELAXED
@given(st.integers(0, 2**32), st.integers(0, 12), st.sampled_from([1, 2, 17, 187, 188, 189, 1000, 4099]))
def test_any_chunking_gives_the_same(seed, faults, chunk):
    data = damaged(seed, faults)
    assert scan(data) == scan(data, chunk)


@RELAXED
@given(st.data())
def test_random_cuts_give_the_same(data):
    stream = damaged(data.draw(st.integers(0, 2**32)), 4)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    scanner = Scanner()
    events = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += scanner.feed(memoryview(stream)[begin:end])
    assert (events + scanner.close(), scanner.report) == scan(stream)


@RELAXED
@given(st.binary(max_size=3000), st.booleans())
def test_random_bytes_never_raise(data, in_packets):
    if in_packets:
        data = b"".join(b"\x47" + data[at : at + 187].ljust(187, b"\0") for at in range(0, len(data), 187))
    events, report = scan(data)
    assert (events, report) == scan(data, 61)
    assert report.bytes == len(data)
    assert len(report.problems) <= PROBLEMS_KEPT * len(K)
    assert not report.problems or sum(report.problem_counts.values()) == len(kinds(events))


@pytest.mark.parametrize("offset", range(189))
def test_cut_anywhere_in_a_packet(offset):
    stream = good(6)
    data = stream.bytes()[: 188 * 20 + offset]
    events, report = scan(data)
    cut = offset % 188
    assert (K.CUT_PACKET in kinds(events)) == bool(cut)
    assert report.packets == len(data) // 188
    if cut:
        problem = next(event for event in events if isinstance(event, ProblemEvent))
        assert (problem.kind, problem.offset) == (K.CUT_PACKET, 188 * 20)


# --- one fault at a time


def test_one_damaged_sync_byte_loses_one_packet_only():
    stream = good()
    at = next(n for n, made in enumerate(stream.packets) if n > 10 and not made[1] & 0x40 and made[2] == 0)
    stream.packets[at] = b"\x46" + stream.packets[at][1:]
    events, report = scan(stream.bytes())
    assert kinds(events) == [K.SYNC_LOST, K.CONTINUITY]
    assert report.packets == len(stream.packets) - 1
    assert [one.complete for one in units(events, VIDEO)].count(False) == 1


@pytest.mark.parametrize("amount", [1, 47, 187, 188, 189, 5000])
def test_resynchronises_after_garbage(amount):
    stream = good()
    garbage = random.Random(amount).randbytes(amount).replace(b"\x47", b"\x48")
    stream.packets.insert(20, garbage)
    events, report = scan(stream.bytes())
    assert kinds(events)[0] is K.SYNC_LOST
    lost = next(event for event in events if isinstance(event, ProblemEvent))
    assert (lost.offset, lost.detail.split()[0]) == (20 * 188, f"{amount:,}")
    assert report.packets == len(stream.packets) - 1
    assert len(kinds(events)) == 1


def test_garbage_in_front():
    events, report = scan(b"garbage" + good().bytes())
    assert kinds(events) == [K.SYNC_LOST]
    assert len(units(events, VIDEO)) == 12
    assert report.problems[0].detail == "7 bytes skipped"


@pytest.mark.parametrize(
    ("data", "detail"), [(b"", "no bytes"), (b"RIFF" * 500, "2000 bytes"), (b"\x47", "1 bytes")]
)
def test_not_a_transport_stream(data, detail):
    events, report = scan(data)
    assert kinds(events) == [K.NOT_TRANSPORT_STREAM]
    assert detail in events[0].detail
    assert report.packet_bytes == 0


def test_a_lost_packet():
    stream = good()
    at = stream.pes(VIDEO, pes(0xE0, picture(12), 90_000 + 12 * STEP, length=False))
    del stream.packets[at + 1]
    events, _ = scan(stream.bytes())
    assert kinds(events) == [K.CONTINUITY]
    assert [one.complete for one in units(events, VIDEO)] == [True] * 12 + [False]


def test_a_packet_may_be_repeated_once():
    stream = good()
    at = next(
        n for n, made in enumerate(stream.packets) if n > 10 and made[1] & 0x40 and made[2] == 0 and made[1] & 1
    )
    expected = scan(stream.bytes())[0]
    stream.packets.insert(at, stream.packets[at])
    events, _ = scan(stream.bytes())
    assert kinds(events) == []
    assert [one.data for one in units(events, VIDEO)] == [one.data for one in units(expected, VIDEO)]
    stream.packets.insert(at, stream.packets[at])
    assert K.CONTINUITY in kinds(scan(stream.bytes())[0])


def test_a_flagged_discontinuity_is_no_fault():
    stream = good(4)
    later = 90_000 + 100 * 90_000
    stream.counters[VIDEO] += 5
    stream.pes(VIDEO, pes(0xE0, picture(9), later, length=False), pcr=later - 9000, flags=0x80)
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, later))
    events, report = scan(stream.bytes())
    assert kinds(events) == []
    assert [one.discontinuity for one in units(events, VIDEO)] == [False] * 4 + [True]
    assert report.pcr_interval_s == pytest.approx(0.04)
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, later + 12 * 90_000))
    assert kinds(scan(stream.bytes())[0]) == [K.TIMESTAMP_JUMP], "each stream follows once only"


def test_an_adaptation_field_alone_may_carry_the_discontinuity():
    stream = good(2)
    later = 90_000 + 100 * 90_000
    stream.add(VIDEO, pcr=later - 9000, flags=0x80)
    stream.pes(VIDEO, pes(0xE0, picture(9), later, length=False))
    stream.add(VIDEO, pcr=later - 5400)
    events, _ = scan(stream.bytes())
    assert kinds(events) == []
    assert units(events, VIDEO)[-1].discontinuity


TIMES = [
    ("the same", 90_000, None, [K.DTS_NOT_INCREASING]),
    ("back", 89_000, None, [K.DTS_NOT_INCREASING]),
    ("far ahead", 90_000 + 901 * 1000, None, [K.TIMESTAMP_JUMP]),
    ("far back", 90_000 - 950_000, None, [K.TIMESTAMP_JUMP, K.DTS_BEHIND_PCR]),
    ("DTS after PTS", 94_000, 95_000, [K.DTS_AFTER_PTS]),
    ("late", 90_001, None, []),
]


@pytest.mark.parametrize(("name", "pts", "dts", "expected"), TIMES, ids=[case[0] for case in TIMES])
def test_timestamps(name, pts, dts, expected):
    stream = good(1)
    stream.pes(VIDEO, pes(0xE0, b"x" * 50, pts, dts, length=False))
    assert kinds(scan(stream.bytes())[0]) == expected


def test_pcr_problems():
    stream = good(1)  # PCR 81000
    stream.add(VIDEO, pcr=81_000 + 9001)
    stream.add(VIDEO, pcr=81_000 + 9000)
    stream.add(VIDEO, pcr=81_000 + 18_000)
    stream.pes(VIDEO, pes(0xE0, b"x", 81_000 + 17_999 + STEP, 81_000 + 17_999, length=False))
    events, report = scan(stream.bytes())
    assert kinds(events) == [K.PCR_GAP, K.PCR_BACK, K.DTS_BEHIND_PCR]
    assert report.pcr_interval_s == pytest.approx(9001 / 90_000)


def test_scrambled_and_erroneous_packets():
    stream = good(2)
    stream.add(VIDEO, b"x" * 184, scrambled=2)
    stream.add(VIDEO, b"x" * 184, scrambled=3)
    stream.packets.append(packet(VIDEO, 3, b"x" * 184, error=True))
    events, report = scan(stream.bytes())
    assert kinds(events) == [K.SCRAMBLED, K.TRANSPORT_ERROR]
    assert next(one for one in report.pids if one.pid == VIDEO).scrambled == 2
    assert units(events, VIDEO)[-1].complete is False


def test_null_packets_are_passed_over():
    stream = good()
    for at in range(5, 40, 7):
        stream.packets.insert(at, packet(0x1FFF, at, b"\xff" * 184))
    events, report = scan(stream.bytes())
    assert kinds(events) == []
    assert report.null_packets == 5


def test_malformed_adaptation_field():
    stream = good()
    stream.packets.append(bytes([0x47, 1, 0, 0x30 | 9, 184]).ljust(188, b"\xff"))
    stream.packets.append(bytes([0x47, 1, 0, 0x00]).ljust(188, b"\xff"))
    assert kinds(scan(stream.bytes())[0]) == [K.MALFORMED_PACKET] * 2


def test_pes_lengths():
    stream = good(1)
    whole = pes(0xC0, b"a" * 300, 90_000 + STEP)
    stream.pes(AUDIO, whole + b"surplus")
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, 90_000 + 2 * STEP)[:-10])
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, 90_000 + 3 * STEP))
    stream.add(AUDIO, b"b" * 184)
    stream.add(AUDIO, b"b" * 184)
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, 90_000 + 4 * STEP)[:200])
    events, _ = scan(stream.bytes())
    assert kinds(events) == [K.PES_TOO_LONG, K.PES_TOO_SHORT, K.PES_TOO_LONG, K.PES_TOO_SHORT]
    assert {one.pid for one in events if isinstance(one, ProblemEvent)} == {AUDIO}
    assert [one.complete for one in units(events, AUDIO)] == [True, True, False, True, False]
    assert [len(one.data) for one in units(events, AUDIO)] == [300, 300, 290, 300, 186]


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\2\xe0\0\0\x80\0\0",
        b"\0\0\1\x00\0\0\x80\0\0",
        b"\0\0\1\xe0\0\0\x00\0\0",
        b"\0\0\1\xe0\0\0\x80\x40\x05" + bytes(5),
        b"\0\0\1\xe0\0\0\x80\x80\x04" + bytes(4),
        b"\0\0\1\xe0\0\0\x80\x80\x05" + bytes(5),
        b"\0\0\1\xe0\0\x02\x80\0\0",
    ],
)
def test_malformed_pes_headers(head):
    stream = good(2)
    stream.pes(VIDEO, head + b"x" * 400)
    stream.pes(VIDEO, pes(0xE0, b"y", 90_000 + 5 * STEP, length=False))
    events, _ = scan(stream.bytes())
    assert kinds(events) == [K.MALFORMED_PES]
    assert len(units(events, VIDEO)) == 3


def test_audio_has_to_state_its_length():
    stream = good(1)
    stream.pes(AUDIO, pes(0xC0, b"a" * 300, 90_000 + STEP, length=False))
    assert kinds(scan(stream.bytes())[0]) == [K.MALFORMED_PES]


def test_a_pes_header_over_two_packets():
    stream = good(1)
    whole = pes(0xE0, b"z" * 100, 90_000 + STEP, length=False)
    for at, end in ((0, 5), (5, 8), (8, 12), (12, len(whole))):
        stream.add(VIDEO, whole[at:end], start=at == 0)
    events, _ = scan(stream.bytes())
    assert kinds(events) == []
    assert units(events, VIDEO)[-1].data == b"z" * 100
    stream.add(VIDEO, whole[:5], start=True)
    assert kinds(scan(stream.bytes())[0]) == [K.MALFORMED_PES]


@pytest.mark.parametrize("chunk", [100, 1 << 20])
def test_oversize_pes(chunk):
    stream = good(1)
    stream.pes(VIDEO, pes(0xE0, bytes(5000), 90_000 + STEP, length=False))
    stream.pes(VIDEO, pes(0xE0, bytes(1000), 90_000 + 2 * STEP, length=False))
    events, report = scan(stream.bytes(), chunk, pes_limit_bytes=1000)
    assert kinds(events) == [K.OVERSIZE_PES]
    found = units(events, VIDEO)
    assert [(len(one.data), one.payload_bytes, one.complete) for one in found[1:]] == [
        (1000, 5000, False),
        (1000, 1000, True),
    ]
    assert scan(stream.bytes(), chunk, pes_limit_bytes=1000, payload=False)[1] == report


# --- tables


def test_wrong_crc():
    stream = good()
    at = next(n for n, made in enumerate(stream.packets) if n > 5 and made[1:3] == b"\x50\x00")
    stream.packets[at] = stream.packets[at][:20] + b"\0" + stream.packets[at][21:]
    events, _ = scan(stream.bytes())
    assert kinds(events) == [K.WRONG_CRC]
    assert len(units(events, VIDEO)) == 12


SIDE_TABLES = {0x01: 0x01, 0x10: 0x40, 0x11: 0x42, 0x12: 0x4E, 0x14: 0x73}


@pytest.mark.parametrize("pid", SIDE_TABLES)
@pytest.mark.parametrize("size", [20, 900])
def test_tables_beside_pat_and_pmt_are_read_for_their_crc(pid, size):
    table = bytes([SIDE_TABLES[pid]])
    right = with_crc(table + (0xB000 | size + 9).to_bytes(2) + bytes(5) + bytes(size))
    wrong = right[:12] + b"x" + right[13:]
    for section, count in ((right, 0), (wrong, 2)):
        stream = good()
        for repeated in range(2):
            counter = repeated * len(section_packets(pid, section))
            stream.packets += section_packets(pid, section, counter)
        events, _ = scan(stream.bytes(), columns=True)
        assert kinds(events) == [K.WRONG_CRC] * count
        assert all("CRC_32 of the" in event.detail for event in events if isinstance(event, ProblemEvent))


def test_what_is_no_table_on_their_pids_is_nobody_s_business():
    """The TDT has no CRC_32, and programs that are not DVB's may have a stream on any of these PIDs."""
    stream = good()
    stream.packets += section_packets(0x14, b"\x70\x70\x05" + bytes(5))
    stream.packets += section_packets(0x12, b"\0\0\1\xe0" + bytes(170))
    assert kinds(scan(stream.bytes())[0]) == []
    stream = Stream()
    stream.tables([(0x12, StreamFormat(Codec.H264, 64, 48))], 0x12)
    for index in range(12):
        stream.pes(0x12, pes(0xE0, picture(index), 90_000 + index * STEP, length=False), pcr=80_000 + index * STEP)
    events, _ = scan(stream.bytes())
    assert kinds(events) == []
    assert len(units(events, 0x12)) == 12


def test_tables_missing():
    packets = good().packets
    bare = b"".join(made for made in packets if made[1] & 0x1F == 1)
    assert kinds(scan(bare)[0]) == [K.MISSING_TABLES] * 2
    without_map = b"".join(made for made in packets if made[1:3] != b"\x50\x00")
    events, _ = scan(without_map)
    assert [event.detail for event in events if event.kind is K.MISSING_TABLES][1] == "there is no PMT of program 1"


def test_media_before_tables():
    stream = good()
    events, _ = scan(b"".join(stream.packets[2:]))
    assert kinds(events) == [K.MISSING_TABLES]
    assert len(units(events, VIDEO)) == 9


def test_tables_over_several_packets_and_sections():
    many = [
        (0x200 + index, StreamFormat(Codec.AAC, sample_rate=48_000, channels=2, language="eng"))
        for index in range(32)
    ]
    pmt = build_pmt([(VIDEO, VIDEO_FORMAT), *many], VIDEO, 3)
    assert len(pmt) > 183
    first = with_crc(bytes.fromhex("00B00D 0001 C1 00 01 0001 F000".replace(" ", "")))
    second = with_crc(bytes.fromhex("00B00D 0001 C1 01 01 0002 F001".replace(" ", "")))
    other = build_pmt([(AUDIO, AUDIO_FORMAT)], AUDIO, 0)
    other = with_crc(other[:3] + b"\0\2" + other[5:-4])
    packets = section_packets(0, first) + section_packets(0, second, 1)
    packets += section_packets(0x1000, pmt, 0) + section_packets(0x1001, other, 0, 10)
    packets += section_packets(0x1000, pmt, len(section_packets(0x1000, pmt)))
    events, report = scan(b"".join(packets))
    assert kinds(events) == []
    assert [(event.pid, event.program.program, len(event.program.streams)) for event in events] == [
        (0x1000, 1, 33),
        (0x1001, 2, 1),
    ]
    assert [program.program for program in report.programs] == [1, 2]
    broken = b"".join(made for index, made in enumerate(packets) if index != 3)
    assert K.MALFORMED_TABLE in kinds(scan(broken)[0])


def test_a_changed_map():
    stream = good(4)
    stream.tables(FORMATS[:1], version=1)
    stream.pes(VIDEO, pes(0xE0, b"x", 90_000 + 5 * STEP, length=False))
    stream.pes(AUDIO, pes(0xC0, b"x", 90_000 + 5 * STEP))
    events, report = scan(stream.bytes())
    assert kinds(events) == []
    assert [len(event.program.streams) for event in events if isinstance(event, TablesEvent)] == [2, 1]
    assert len(units(events, AUDIO)) == 4, "it is no longer listed"
    assert report.programs[0].version == 1


def test_two_programs_with_clocks_of_their_own():
    pat = with_crc(bytes.fromhex("00B011 0001 C1 00 00 0001 F000 0002 F001".replace(" ", "")))
    second = build_pmt([(0x300, VIDEO_FORMAT)], 0x300, 0)
    second = with_crc(second[:3] + b"\0\2" + second[5:-4])
    stream = Stream()
    stream.packets += section_packets(0, pat)
    stream.packets += section_packets(0x1000, build_pmt([(VIDEO, VIDEO_FORMAT)], VIDEO, 0))
    stream.packets += section_packets(0x1001, second)
    for index in range(5):
        for pid, base in ((VIDEO, 90_000), (0x300, 2**32)):
            time = base + index * STEP
            stream.pes(pid, pes(0xE0, picture(index), time, length=False), pcr=time - 9000)
    events, _ = scan(stream.bytes())
    assert kinds(events) == []
    assert len(units(events, VIDEO)) == len(units(events, 0x300)) == 5


# --- bounded


def test_the_report_stays_small():
    stream = good(3)
    for index in range(200):
        stream.packets.append(packet(VIDEO, index * 3, b"x" * 184))
    events, report = scan(stream.bytes())
    assert report.problem_counts == {K.CONTINUITY: 200}
    assert len(kinds(events)) == 200
    assert len(report.problems) == PROBLEMS_KEPT
    assert report.problems == tuple(event for event in events if isinstance(event, ProblemEvent))[:PROBLEMS_KEPT]


def test_a_program_that_comes_back_is_read_again():
    other = with_crc(bytes.fromhex("00B00D 0001 C3 00 00 0002 F001".replace(" ", "")))
    stream = good(2)
    stream.packets += section_packets(0, other, stream.counters[0] + 1)
    stream.counters[0] += 1
    stream.tables(FORMATS)
    stream.pes(VIDEO, pes(0xE0, b"x", 90_000 + 5 * STEP, length=False), pcr=81_000 + 2 * STEP)
    events, report = scan(stream.bytes())
    assert kinds(events) == []
    assert sum(isinstance(event, TablesEvent) for event in events) == 2
    assert len(units(events, VIDEO)) == 3
    assert [program.program for program in report.programs] == [1]


def test_a_table_that_comes_later_applies_from_then_on():
    stream = good(3)
    coming = build_pmt(FORMATS[:1], VIDEO, 1)
    coming = with_crc(coming[:5] + bytes([coming[5] & 0xFE]) + coming[6:-4])  # current_next_indicator 0
    stream.packets += section_packets(0x1000, coming, stream.counters[0x1000] + 1)
    events, report = scan(stream.bytes())
    assert kinds(events) == []
    assert len(report.programs[0].streams) == 2


def test_a_flood_of_tables_that_change_costs_what_its_bytes_are_worth(monkeypatch):
    looked_at = []
    read_tables = Scanner._read_tables

    def counted(scanner, batch, begin, end):
        looked_at.append(end - begin)
        return read_tables(scanner, batch, begin, end)

    monkeypatch.setattr(Scanner, "_read_tables", counted)
    packets = []
    for number in range(2000):
        body = bytes([0, 1, 0xC1 | (number & 31) << 1, 0, 0, 0, 1, 0xE1, number % 3])
        packets += section_packets(0, with_crc(bytes([0, 0xB0, len(body) + 4]) + body), number)
    scanner = Scanner()
    scanner.feed(b"".join(packets))
    assert scanner.report.packets == 2000
    assert len(looked_at) > 1000
    assert sum(looked_at) < 100 * 2000
