"""The packager: what is laid, read by libavformat and by hand; what it refuses; what its finish points at."""

from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import av
import pytest

from recordkit.container import Memory
from recordkit.errors import MediaError
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mp4.boxes import boxes, child, parse
from recordkit.mp4.movie import FRONT, FTYP
from recordkit.mp4.nal import cuts, lay_cuts, length_of
from recordkit.mp4.packager import MOST_STREAMS, Packager

from . import real
from .cases import CASES
from .laying import Declare, finished, lay, recording

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
H264 = StreamFormat(Codec.H264, 320, 180)
OPUS = StreamFormat(Codec.OPUS, sample_rate=48_000, channels=2)
SLICE = b"\0\0\0\1\x41abc"


def as_sample(unit: AccessUnit, stream_format: StreamFormat) -> bytes:
    """A unit's bytes as they lie in the file."""
    data = unit.prefix + unit.data
    if not stream_format.codec.has_nal_units:
        return data
    found = cuts(data, stream_format.codec)
    memory = memoryview(bytearray(length_of(found)))
    lay_cuts(found, memory, 0)
    return bytes(memory)


def packets(data: bytes) -> dict[int, list[tuple[bytes, Fraction, Fraction, bool]]]:
    """What libavformat finds: each packet's bytes, DTS and PTS in seconds, and whether it is a keyframe."""
    found: dict[int, list[tuple[bytes, Fraction, Fraction, bool]]] = {}
    with av.open(BytesIO(data), options={"ignore_editlist": "1"}) as container:
        for packet in container.demux():
            if packet.size:
                times = (Fraction(at) * packet.time_base for at in (packet.dts, packet.pts))
                found.setdefault(packet.stream.id - 1, []).append((bytes(packet), *times, packet.is_keyframe))
    return found


@each_case
def test_the_partial_holds_what_was_laid(case):
    laid = lay(case.steps)
    formats = laid.packager.streams
    found = packets(laid.partial)
    for index in found:
        sent = [unit for unit in laid.units if unit.stream == index]
        assert [one[0] for one in found[index]] == [as_sample(unit, formats[index]) for unit in sent]
        assert [one[3] for one in found[index]] == [unit.random_access for unit in sent]


@each_case
def test_the_finished_file_holds_what_was_laid_with_its_times(case):
    laid = lay(case.steps)
    formats = laid.packager.streams
    found = packets(laid.whole)
    assert found.keys() == formats.keys()
    for index, packet in found.items():
        sent = [unit for unit in laid.units if unit.stream == index]
        assert [one[0] for one in packet] == [as_sample(unit, formats[index]) for unit in sent]
        half = Fraction(1, 90_000)
        for (_, dts, pts, keyframe), unit in zip(packet, sent, strict=True):
            assert abs(dts - packet[0][1] - Fraction(unit.dts - sent[0].dts, 90_000)) <= half
            assert abs(pts - dts - Fraction(unit.pts - unit.dts, 90_000)) <= half
            assert keyframe == unit.random_access


@each_case
def test_nothing_of_the_partial_is_rewritten_but_its_sixteen_bytes(case):
    laid = lay(case.steps)
    whole = laid.whole
    assert laid.partial.startswith(FRONT)
    assert whole[: len(FTYP)] == FTYP
    assert whole[len(FRONT) : len(laid.partial)] == laid.partial[len(FRONT) :]
    kinds = [one.kind for one in boxes(whole)]
    assert kinds == ["ftyp", "mdat", "moov"]
    assert [one.end for one in boxes(whole)][1:] == [len(laid.partial), len(whole)]


@each_case
def test_units_end_where_chunks_end(case):
    laid = lay(case.steps)
    ends = {one.end for one in boxes(laid.partial) if one.kind == "mdat"}
    assert set(laid.ends) == ends


def test_a_fragmented_finish_points_at_each_keyframe():
    laid = lay(recording(real.video(Codec.H264), real.audio(Codec.AAC)), fragmented=True)
    whole = laid.whole
    last = list(boxes(whole))[-1]
    assert last.kind == "mfra"
    found = child(whole, last, "tfra")
    assert found is not None
    read = parse("tfra", whole, found.start, found.end)
    assert len(read.rows) == 2
    for row in read.rows:
        assert whole[int(row["moof_offset"]) + 4 :][:4] == b"moof"
    assert int.from_bytes(whole[-4:]) == len(whole) - last.start + 8
    assert whole.startswith(laid.partial)


def test_times_of_audio_are_exact_in_samples():
    whole = lay(recording(real.audio(Codec.AAC, 44_100))).whole
    times = [one[1] * 44_100 for one in packets(whole)[0]]
    assert times == [1024 * at for at in range(len(times))]


def test_a_stream_without_units_is_not_in_the_finished_file():
    laid = lay([Declare(0, H264), *recording(real.audio(Codec.OPUS))[1:1], Declare(1, OPUS)])
    assert finished(b"", laid.packager) == b""
    sound = real.audio(Codec.OPUS)
    laid = lay([Declare(0, H264), Declare(1, sound.format), *sound.moved(1)])
    with av.open(BytesIO(laid.whole)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_a_unit_is_laid_behind_what_is_there():
    packager = Packager()
    packager.declare(0, H264)
    unit = AccessUnit(0, 0, 0, SLICE)
    memory = Memory(memoryview(bytearray(packager.packets_for(unit) + 10)))
    memory.used = 10
    packager.lay(unit, memory)
    assert bytes(memory.bytes[: 10 + len(FRONT)]) == bytes(10) + FRONT
    assert bytes(memory.bytes[memory.used - 4 : memory.used]) == b"\x41abc"


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (AccessUnit(1, 9, 9, b"x"), "never declared"),
        (AccessUnit(0, 5, 5, SLICE), "DTS 5 does not come after 5"),
        (AccessUnit(0, 9, 9, b"no start code"), "no Annex B"),
    ],
)
def test_what_cannot_be_laid_is_refused_with_nothing_laid(unit, message):
    packager = Packager()
    packager.declare(0, H264)
    memory = Memory(memoryview(bytearray(2000)))
    packager.lay(AccessUnit(0, 5, 5, SLICE), memory)
    used = memory.used
    packager.packets_for(unit)
    with pytest.raises(MediaError, match=message):
        packager.lay(unit, memory)
    assert memory.used == used
    packager.lay(AccessUnit(0, 9, 9, SLICE), memory)
    finished(bytes(memory.bytes[: memory.used]), packager)


def test_what_cannot_be_declared():
    packager = Packager()
    with pytest.raises(MediaError, match="numbered"):
        packager.declare(MOST_STREAMS, H264)
    packager.declare(0, H264)
    with pytest.raises(MediaError, match="change from h264 to opus"):
        packager.declare(0, OPUS)
    packager.declare(1, StreamFormat(Codec.MP3, sample_rate=48_000, channels=2))
    with pytest.raises(MediaError, match="48,000 Hz to 44,100 Hz"):
        packager.declare(1, StreamFormat(Codec.MP3, sample_rate=44_100, channels=2))
    with pytest.raises(MediaError, match="OpusHead"):
        packager.declare(2, replace(OPUS, channels=6))
    with pytest.raises(MediaError, match="AudioSpecificConfig"):
        packager.declare(2, StreamFormat(Codec.AAC, sample_rate=47_999, channels=2))
    assert set(packager.streams) == {0, 1}
    assert packager.format(2) is None
    assert packager.is_video(0)


def test_a_file_of_another_size_is_not_finished():
    laid = lay(recording(real.audio(Codec.OPUS)))
    with pytest.raises(MediaError, match="recover it"):
        laid.packager.finish(len(laid.partial) - 1)
