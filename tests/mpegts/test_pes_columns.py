"""PES packets given out as columns: the same, to the bit, as one by one, on whole and on damaged streams."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordkit.mpegts.report import PesColumns, PesEvent, ProblemKind
from recordkit.mpegts.scanner import Scanner

from .builder import AUDIO, VIDEO, pes, wrapped
from .test_scanner import STEP, damaged, good, kinds, muxed, picture, scan

RELAXED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def in_columns(data: bytes, chunk: int = 1 << 20, **options):
    """What a scan with columns gives, taken apart again; the report; how many PES packets were in columns."""
    scanner = Scanner(columns=True, **options)
    events, at_once = [], 0
    for at in [*range(0, len(data), chunk), None]:
        for event in scanner.close() if at is None else scanner.feed(data[at : at + chunk]):
            if isinstance(event, PesColumns):
                at_once += len(event)
                events += event.events(options.get("payload", True))
            else:
                events.append(event)
    return events, scanner.report, at_once


def by_pid(events):
    """Events of different PIDs may change their order: those of each PID, and all faults in theirs."""
    pids = {event.pid for event in events if isinstance(event, PesEvent)}
    return {pid: [event for event in events if isinstance(event, PesEvent) and event.pid == pid] for pid in pids}, [
        event for event in events if not isinstance(event, PesEvent)
    ]


def compared(data: bytes, chunk: int = 1 << 20, **options) -> int:
    """How many PES packets came in columns, once both ways were found to say the same."""
    events, report, at_once = in_columns(data, chunk, **options)
    expected, expected_report = scan(data, chunk, **options)
    assert by_pid(events) == by_pid(expected)
    assert report == expected_report
    return at_once


@RELAXED
@given(
    seed=st.integers(0, 2**32),
    faults=st.sampled_from([0, 0, 1, 1, 2, 8]),
    size=st.sampled_from([1, 150, 169, 170, 171, 184, 700]),
    chunk=st.sampled_from([4099, 188 * 64, 1 << 20]),
    payload=st.booleans(),
)
def test_whole_and_damaged_streams(seed, faults, size, chunk, payload):
    compared(damaged(seed, faults, 40, size), chunk, payload=payload)


@pytest.mark.parametrize("size", [188, 192])
def test_what_libavformat_muxed(size):
    assert compared(muxed(4, size)[0], 100_000) > 50


def test_most_of_a_whole_stream_comes_in_columns():
    assert compared(good(200, size=100).bytes()) > 390


@pytest.mark.parametrize("size", [192, 204])
def test_other_packet_sizes(size):
    assert compared(wrapped(good(40).packets, size), 30_000) > 30


def test_timestamps_that_wrap():
    assert compared(good(40, first=2**33 - 20 * STEP).bytes()) > 70


def test_oversize_pes_packets():
    assert compared(good(40).bytes(), pes_limit_bytes=699) > 30, "sound is within the limit"


def broken(name: str) -> bytes:
    stream = good(20)
    time = 90_000 + 20 * STEP
    whole = pes(0xE0, picture(20), time + STEP, time, length=False)
    sound = pes(0xC0, b"a" * 300, time)
    if name == "header over two packets":
        stream.add(VIDEO, whole[:11], start=True)
        stream.add(VIDEO, whole[11:150])
    elif name == "no start code":
        stream.pes(VIDEO, b"\0\0\2" + whole[3:])
    elif name == "encrypted":
        stream.pes(VIDEO, whole[:6] + bytes([whole[6] | 0x10]) + whole[7:])
    elif name == "no timestamp":
        stream.pes(VIDEO, b"\0\0\1\xe0\0\0\x80\0\0" + picture(20))
    elif name == "no flags":
        stream.pes(VIDEO, b"\0\0\1\xbe\0\x64" + bytes(100))
    elif name == "marker":
        stream.pes(VIDEO, whole[:9] + bytes([whole[9] & 0xFE]) + whole[10:])
    elif name == "back":
        stream.pes(VIDEO, pes(0xE0, picture(20), time - 2 * STEP, time - 2 * STEP, length=False))
    elif name == "ahead":
        stream.pes(VIDEO, pes(0xE0, picture(20), time + 10**6, time + 10**6, length=False))
    elif name == "DTS after PTS":
        stream.pes(VIDEO, pes(0xE0, picture(20), time - 1, time, length=False))
    elif name == "late":
        stream.pes(VIDEO, whole, pcr=time + 9)
    elif name == "clock begins anew":
        stream.pes(VIDEO, whole, pcr=time + 10**6, flags=0x80)
    elif name == "too short":
        stream.pes(AUDIO, sound[:-10])
    elif name == "too long":
        stream.pes(AUDIO, sound + b"surplus")
    elif name == "no length":
        stream.pes(AUDIO, pes(0xC0, b"a" * 300, time, length=False))
    elif name == "nothing inside":
        stream.pes(AUDIO, pes(0xC0, b"", time))
    following = good(20, first=time + 4 * STEP)
    for made in following.packets:
        pid = (made[1] & 0x1F) << 8 | made[2]
        counter = made[3] + stream.counters[pid] + 1 & 15
        stream.packets.append(made[:3] + bytes([made[3] & 0xF0 | counter]) + made[4:])
    return stream.bytes()


NAMES = (
    "nothing, header over two packets, no start code, encrypted, no timestamp, no flags, marker, back, ahead, "
    "DTS after PTS, late, clock begins anew, too short, too long, no length, nothing inside"
)


@pytest.mark.parametrize("chunk", [188 * 100, 1 << 20])
@pytest.mark.parametrize("name", NAMES.split(", "))
def test_one_fault_among_whole_packets(name, chunk):
    data = broken(name)
    compared(data, chunk)
    assert ProblemKind.CONTINUITY not in kinds(scan(data)[0]), "that would hide the fault that is meant"


def test_what_is_late_is_noted_and_stays_in_columns():
    stream = good(1)
    for index in range(1, 40):
        time = 90_000 + index * STEP
        stream.pes(VIDEO, pes(0xE0, picture(index), time, time, length=False), pcr=time + 9)
    assert compared(stream.bytes()) > 30
    assert kinds(in_columns(stream.bytes())[0]).count(ProblemKind.DTS_BEHIND_PCR) == 39
