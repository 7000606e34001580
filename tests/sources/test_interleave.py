"""Packets of a file in the order of their decoding times; bounded, and never across a jump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from hypothesis import given
from hypothesis import strategies as st

from recordkit.recorder.record import record
from recordkit.sources.interleave import LONGEST_HOLD, interleaved, with_decoding_times
from recordkit.sources.media_file import MediaFile
from recordkit.ticks import TICKS_PER_SECOND
from tests.media import make_clip


@dataclass
class FakeStream:
    index: int


@dataclass
class FakePacket:
    stream: FakeStream
    dts: int | None
    pts: int | None = None
    size: int = 1000
    time_base: Fraction | None = Fraction(1, TICKS_PER_SECOND)


VIDEO, AUDIO = FakeStream(0), FakeStream(1)


def second(stream: FakeStream, time_s: float, **facts: Any) -> FakePacket:
    return FakePacket(stream, round(time_s * TICKS_PER_SECOND), **facts)


def in_order(packets: list[FakePacket], **bounds: int) -> list[FakePacket]:
    return list(interleaved(packets, [VIDEO, AUDIO], **bounds))  # type: ignore[arg-type]


def test_audio_that_stands_two_seconds_behind_is_put_in_its_place() -> None:
    video = [second(VIDEO, number / 25) for number in range(250)]
    audio = [second(AUDIO, number / 50) for number in range(500)]
    late = sorted([*video, *audio], key=lambda one: (one.dts or 0) + (one.stream is AUDIO) * 2 * TICKS_PER_SECOND)
    found = in_order(late)
    assert sorted(map(id, found)) == sorted(map(id, late))
    assert all((before.dts or 0) <= (after.dts or 0) for before, after in pairwise(found))


@given(st.lists(st.tuples(st.sampled_from([VIDEO, AUDIO]), st.none() | st.integers(0, 10**7)), max_size=60))
def test_nothing_is_lost_and_each_stream_keeps_its_order(made: list[tuple[FakeStream, int | None]]) -> None:
    packets = [FakePacket(stream, dts) for stream, dts in made]
    packets += [FakePacket(stream, None, size=0) for stream in (VIDEO, AUDIO)]
    found = in_order(packets)
    for stream in (VIDEO, AUDIO):
        assert [id(one) for one in found if one.stream is stream] == [
            id(one) for one in packets if one.stream is stream
        ]


def test_no_more_is_held_than_is_allowed() -> None:
    given: list[FakePacket] = []

    def reading() -> Iterator[FakePacket]:
        for number in range(2000):
            given.append(second(VIDEO, number / 25))
            yield given[-1]

    held = [len(given) - number for number, _ in enumerate(interleaved(reading(), [VIDEO, AUDIO]), 1)]  # type: ignore[arg-type]
    assert max(held[:-200]) <= LONGEST_HOLD / TICKS_PER_SECOND * 25 + 2
    given.clear()
    held = [
        len(given) - number
        for number, _ in enumerate(interleaved(reading(), [VIDEO, AUDIO], most_bytes=10_000), 1)  # type: ignore[arg-type]
    ]
    assert max(held[:-50]) <= 11


def test_what_comes_before_a_jump_of_the_clock_stays_before_it() -> None:
    before = [second(VIDEO, 100), second(VIDEO, 100.04), second(AUDIO, 100.02)]
    after = [second(VIDEO, 1), second(VIDEO, 1.04), second(AUDIO, 1.02), second(AUDIO, 1.04)]
    found = in_order([*before, *after])
    assert {id(one) for one in found[:3]} == {id(one) for one in before}


def test_recordings_laid_end_to_end_stay_one_behind_the_other() -> None:
    part = [second(VIDEO, number / 25) for number in range(40)] + [
        second(AUDIO, number / 50) for number in range(80)
    ]
    part.sort(key=lambda one: (one.dts or 0) + (one.stream is AUDIO) * TICKS_PER_SECOND // 2)
    parts = [[second(one.stream, (one.dts or 0) / TICKS_PER_SECOND) for one in part] for _ in range(3)]
    found = in_order([packet for one in parts for packet in one])
    for number, one in enumerate(parts):
        its = found[number * len(part) : (number + 1) * len(part)]
        assert {id(packet) for packet in its} == {id(packet) for packet in one}


def test_a_film_three_times_in_one_file_is_three_times_as_long_and_in_sync(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", seconds=2)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(clip.read_bytes() * 3)
    recording = record(MediaFile(url=str(joined)), tmp_path / "out.ts")
    assert recording.duration_s is not None
    assert abs(recording.duration_s - 6) < 0.3
    with av.open(str(tmp_path / "out.ts")) as container:
        times = {stream.type: [] for stream in container.streams}
        for packet in container.demux():
            if packet.dts is not None and packet.time_base:
                times[packet.stream.type].append(float(packet.dts * packet.time_base))
    assert recording.counters.late_items == 0
    assert abs(times["video"][-1] - times["audio"][-1]) < 0.2


def test_a_packet_without_a_time_stays_behind_the_one_before_it() -> None:
    packets = [second(VIDEO, 1), FakePacket(VIDEO, None), second(VIDEO, 3), second(AUDIO, 2), second(AUDIO, 4)]
    assert [one.dts and one.dts // TICKS_PER_SECOND for one in in_order(packets)] == [1, None, 2, 3, 4]


def test_decoding_times_that_know_of_no_reordering_follow_from_when_frames_are_shown() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    packets = [FakePacket(VIDEO, 3000 * number, 3000 * place) for number, place in enumerate(shown)]
    other = FakePacket(AUDIO, 50, 50)
    found = list(with_decoding_times([packets[0], other, *packets[1:]], VIDEO))  # type: ignore[arg-type]
    assert [one for one in found if one is not other] == packets
    assert other.dts == 50
    assert [one.dts for one in packets][1:] == [3000 * number - 3000 for number in range(1, 10)]
    assert all(one.dts <= one.pts for one in packets if one.dts is not None and one.pts is not None)


def test_decoding_times_that_are_right_or_nonsense_stay() -> None:
    packets = [FakePacket(VIDEO, 100 * number, 100 * number + 200) for number in range(40)]
    packets[20].pts = -(10**9)  # one that is damaged, behind the first ones
    list(with_decoding_times(packets, VIDEO))  # type: ignore[arg-type]
    assert [one.dts for one in packets] == [100 * number for number in range(40)]


def without_delay(path: Path) -> None:
    """Count the decoding times of a transport stream from its first frame's time on."""
    data = bytearray(path.read_bytes())
    first, number = None, 0
    for at in range(0, len(data), 188):
        begin = at + (5 + data[at + 4] if data[at + 3] & 0x20 else 4)
        if not data[at + 1] & 0x40 or data[begin : begin + 4] != b"\0\0\1\xe0":
            continue
        times = data[begin + 9 : begin + 9 + data[begin + 8]]
        pts = (times[0] >> 1 & 7) << 30 | times[1] << 22 | times[2] >> 1 << 15 | times[3] << 7 | times[4] >> 1
        first = pts if first is None else first
        dts, number = first + 3000 * number, number + 1
        if data[begin + 7] & 0xC0 == 0xC0:
            data[begin + 14 : begin + 19] = bytes(
                [0x11 | dts >> 29 & 14, dts >> 22 & 255, dts >> 14 & 255 | 1, dts >> 7 & 255, dts << 1 & 255 | 1]
            )
    path.write_bytes(data)


def shown_at(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        times = [frame.time or 0.0 for frame in container.decode(video=0)]
    return [round(time - times[0], 3) for time in times]


def test_each_frame_is_shown_at_its_own_time_although_decoding_times_lack_the_delay(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", seconds=3, options={"bf": "3", "b_strategy": "0"})
    usual = shown_at(clip)
    without_delay(clip)
    recording = record(MediaFile(url=str(clip)), tmp_path / "out.ts")
    assert shown_at(tmp_path / "out.ts") == usual
    assert recording.counters.late_items == recording.counters.mistimed_items == 0
