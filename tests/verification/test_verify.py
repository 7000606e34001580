"""verify: whole files, and files that are not."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import av
import av.logging
import numpy as np
import pytest

from recordkit.bitstream.audio import adts_header, opus_control_header, parse_audio_specific_config
from recordkit.bitstream.h264 import H264_DELIMITER, H265_DELIMITER, ParameterSetFramer
from recordkit.errors import SourceError
from recordkit.model import AccessUnit, Codec, StreamFormat
from recordkit.mpegts.laying import PacketBuffer
from recordkit.mpegts.packetiser import Packetiser
from recordkit.mpegts.scanner import Scanner
from recordkit.mpegts.tables import build_pat, build_pmt_of
from recordkit.verification import check as check_module
from recordkit.verification import verify as module
from recordkit.verification.verify import FrameSize, verify

from ..mpegts.builder import Stream, pes, section_packets, with_crc

START = 90_000
DELIMITERS = {Codec.H264: H264_DELIMITER, Codec.H265: H265_DELIMITER}


def pictures(count: int, width: int = 320, height: int = 180, first: int = 0, codec: Codec = Codec.H264):
    """Access units of video, 25 a second, from picture number ``first`` on."""
    context = av.CodecContext.create("libx265" if codec is Codec.H265 else "libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, 25)
    context.options = {"preset": "ultrafast", "g": "10"}
    if codec is Codec.H265:
        context.options |= {"x265-params": "log-level=none:keyint=10:repeat-headers=1:bframes=0"}
    chance = np.random.default_rng(7)
    packets = []
    for index in range(count):
        blocks = chance.integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(blocks).reformat(width, height, "yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    framer = ParameterSetFramer(codec)
    units = []
    for packet in packets:
        framed = framer.frame(bytes(packet), packet.is_keyframe)
        pts, dts = (START + (first + time) * 3600 for time in (packet.pts, packet.dts))
        units.append(
            AccessUnit(0, pts, dts, bytes(packet), framed.prefix, framed.random_access, header=DELIMITERS[codec])
        )
    return units


def sounds(count: int, codec: Codec = Codec.AAC, stream: int = 1):
    """Access units of stereo audio at 48 kHz."""
    name, sample_format = {
        Codec.AAC: ("aac", "fltp"),
        Codec.MP3: ("libmp3lame", "fltp"),
        Codec.OPUS: ("libopus", "flt"),
    }[codec]
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", sample_format
    context.time_base = Fraction(1, 48_000)
    context.open()
    shape = (2, context.frame_size) if sample_format == "fltp" else (1, 2 * context.frame_size)
    chance = np.random.default_rng(3)
    packets = []
    for index in range(count):
        samples = chance.normal(0, 0.1, shape).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, sample_format, "stereo")
        frame.sample_rate, frame.pts = 48_000, index * context.frame_size
        packets += context.encode(frame)
    packets += context.encode(None)
    config = parse_audio_specific_config(context.extradata or b"")
    units = []
    for index, packet in enumerate(packets[:count]):
        data = bytes(packet)
        header = b""
        if codec is Codec.AAC:
            header = adts_header(config, len(data))
        elif codec is Codec.OPUS:
            header = opus_control_header(len(data))
        time = START + index * context.frame_size * 90_000 // 48_000
        units.append(AccessUnit(stream, time, time, data, random_access=True, header=header))
    return units


def laid(*streams: list[AccessUnit], codecs=(Codec.H264, Codec.AAC)) -> bytes:
    """The access units as a transport stream."""
    packetiser, written = Packetiser(), b""
    for index, codec in enumerate(codecs):
        sound = {} if codec.is_video else {"sample_rate": 48_000, "channels": 2, "language": "eng"}
        packetiser.declare(index, StreamFormat(codec, **sound))
    for unit in sorted((unit for units in streams for unit in units), key=lambda unit: unit.dts):
        buffer = PacketBuffer(np.zeros((packetiser.packets_for(unit), 188), np.uint8))
        packetiser.lay(unit, buffer)
        written += bytes(buffer.bytes[: buffer.used_bytes])
    return written


@pytest.fixture(scope="module")
def recording() -> bytes:
    return laid(pictures(50), sounds(94))


def checked(tmp_path, data: bytes, **options):
    path = tmp_path / "talk.ts"
    path.write_bytes(data)
    return verify(path, **options)


def kinds(found) -> list[str]:
    return [problem.kind for problem in found.problems]


@pytest.mark.parametrize("decode", [False, True])
def test_a_sound_recording(tmp_path, recording, decode):
    found = checked(tmp_path, recording, decode=decode)
    assert found.ok
    assert found.problems == ()
    assert (found.bytes, found.packet_bytes, found.decoded) == (len(recording), 188, decode)
    assert found.duration_s == pytest.approx(94 * 1024 / 48_000, abs=1e-3)
    assert found.bit_rate == pytest.approx(len(recording) * 8 / found.duration_s)
    video, audio = found.streams
    assert (video.pid, video.codec, video.access_units, video.frames, video.keyframes) == (256, "h264", 50, 50, 5)
    assert (video.duration_s, video.frame_rate, video.sizes) == (2.0, 25.0, (FrameSize(320, 180, 0.0),))
    assert (audio.pid, audio.codec, audio.language, audio.access_units) == (257, "aac", "eng", 94)
    assert (audio.sample_rate, audio.channels, audio.frames) == (48_000, 2, 0)
    assert audio.duration_s == pytest.approx(94 * 1024 / 48_000, abs=1e-4)
    assert (video.gaps, audio.gaps, video.is_video, audio.is_video) == (0, 0, True, False)
    assert (video.decoded, audio.decoded) == ((50, 94 * 1024) if decode else (None, None))


def test_json(tmp_path, recording):
    found = checked(tmp_path, recording).to_dict()
    again = json.loads(json.dumps(found))
    assert again["streams"][0]["sizes"] == [{"width": 320, "height": 180, "from_s": 0.0}]
    assert again["ok"] is True


@pytest.mark.parametrize("codec", [Codec.MP3, Codec.OPUS])
def test_other_audio(tmp_path, codec):
    units = sounds(50, codec)
    found = checked(tmp_path, laid(pictures(20), units, codecs=(Codec.H264, codec)), decode=True)
    assert found.problems == ()
    audio = found.streams[1]
    assert (audio.codec, audio.access_units, audio.sample_rate, audio.channels) == (codec, 50, 48_000, 2)
    assert audio.duration_s == pytest.approx(50 * (0.02 if codec is Codec.OPUS else 0.024), abs=1e-4)


def test_h265(tmp_path):
    found = checked(tmp_path, laid(pictures(20, codec=Codec.H265), codecs=(Codec.H265,)), decode=True)
    assert found.problems == ()
    video = found.streams[0]
    assert (video.codec, video.frames, video.keyframes, video.decoded) == ("hevc", 20, 2, 20)
    assert video.sizes == (FrameSize(320, 180, 0.0),)


def test_audio_alone(tmp_path):
    found = checked(tmp_path, laid(sounds(47, stream=0), codecs=(Codec.AAC,)), decode=True)
    assert found.ok
    assert found.duration_s == pytest.approx(47 * 1024 / 48_000, abs=1e-4)


def test_what_libavformat_muxed(tmp_path):
    """It packs several audio frames into one PES packet."""
    path = tmp_path / "other.ts"
    with av.open(str(path), "w", options={"max_delay": "700000"}) as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        video.options = {"preset": "ultrafast", "bf": "2"}
        audio = container.add_stream("aac", rate=48_000)
        audio.layout = "stereo"
        packets = []
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((180, 320, 3), index * 9, np.uint8))
            frame.pts = index
            packets += video.encode(frame)
        packets += video.encode(None)
        for index in range(47):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts = 48_000, index * 1024
            packets += audio.encode(frame)
        packets += audio.encode(None)
        count = sum(packet.stream is audio for packet in packets)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    found = verify(path, decode=True)
    assert found.problems == ()
    assert (found.streams[0].frames, found.streams[1].access_units) == (25, count)
    assert (found.streams[0].duration_s, found.streams[0].frame_rate) == (1.0, 25.0)


def test_a_change_of_size(tmp_path):
    data = laid(pictures(25) + pictures(25, 480, 272, first=25), codecs=(Codec.H264,))
    found = checked(tmp_path, data, decode=True)
    assert found.problems == ()
    assert found.streams[0].sizes == (FrameSize(320, 180, 0.0), FrameSize(480, 272, 1.0))


def test_a_flagged_gap(tmp_path):
    before, after = pictures(25), pictures(25, first=75)
    first = after[0]
    after[0] = AccessUnit(0, first.pts, first.dts, first.data, first.prefix, True, discontinuity=True)
    found = checked(tmp_path, laid(before + after, codecs=(Codec.H264,)), decode=True)
    assert found.problems == ()
    video = found.streams[0]
    assert (video.gaps, video.gaps_s, video.duration_s, video.frame_rate) == (1, 2.0, 4.0, 25.0)


def test_a_lost_packet(tmp_path, recording):
    cut = len(recording) // 188 // 2 * 188
    found = checked(tmp_path, recording[:cut] + recording[cut + 188 :])
    assert not found.ok
    assert kinds(found) == ["continuity"]
    assert found.problems[0].count == 1
    assert found.problems[0].offset >= cut


def test_a_cut_file(tmp_path, recording):
    found = checked(tmp_path, recording[: len(recording) // 2 // 188 * 188 + 100])
    assert "cut packet" in kinds(found)
    assert found.streams[0].frames > 10


def test_damage_inside_a_picture_is_found_by_decoding(tmp_path, recording):
    damaged = bytearray(recording)
    packets = range(0, len(damaged), 188)
    inner = [at for at in packets if damaged[at + 1 : at + 4] and damaged[at + 1] == 1 and damaged[at + 2] == 0]
    for at in inner[40:44]:
        damaged[at + 30 : at + 120] = bytes(range(90))
    assert checked(tmp_path, bytes(damaged)).ok, "the packets are as they should be"
    before = av.logging.get_level()
    found = checked(tmp_path, bytes(damaged), decode=True)
    assert not found.ok
    assert "undecodable unit" in kinds(found)
    assert "PID 0x0100" in found.problems[0].detail
    assert av.logging.get_level() == before


def test_decoding_says_nothing_to_the_loggers(tmp_path, recording, caplog):
    damaged = bytearray(recording)
    damaged[len(damaged) // 2 : len(damaged) // 2 + 60] = bytes(60)
    with caplog.at_level(logging.DEBUG):
        checked(tmp_path, bytes(damaged), decode=True)
    assert caplog.records == []


def test_pictures_without_a_keyframe(tmp_path):
    found = checked(tmp_path, laid(pictures(20)[1:8], codecs=(Codec.H264,)), decode=True)
    assert {"no keyframe", "no parameter sets"} <= set(kinds(found))


def test_frames_whose_times_were_laid_in_another_order(tmp_path):
    """B-frames whose PTS were taken for the order of decoding: each one that went back stands a tick on."""
    units, at = [], START
    for number, unit in enumerate(pictures(30)):
        at += 1 if number % 3 else 3 * 3600
        units.append(replace(unit, pts=at, dts=at))
    found = checked(tmp_path, laid(units, codecs=(Codec.H264,)))
    (problem,) = found.problems
    assert (problem.kind, problem.count) == ("squeezed times", 20)
    few = [replace(unit, pts=unit.pts, dts=unit.pts) for unit in pictures(30)]
    few[7] = replace(few[7], pts=few[6].pts + 1, dts=few[6].pts + 1)
    assert checked(tmp_path, laid(few, codecs=(Codec.H264,))).ok, "one that came late is no fault of the times"


def test_malformed_audio(tmp_path):
    units = sounds(20)
    damaged = units[7]
    units[7] = AccessUnit(1, damaged.pts, damaged.dts, damaged.data, header=b"\0" * 7)
    found = checked(tmp_path, laid(pictures(10), units))
    assert kinds(found) == ["malformed audio"]
    assert found.streams[1].access_units == 19


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "the file is empty"), (b"\x1aE\xdf\xa3" * 1000, "not an MPEG transport stream")],
)
@pytest.mark.parametrize("decode", [False, True])
def test_no_transport_stream_at_all(tmp_path, data, words, decode):
    found = checked(tmp_path, data, decode=decode)
    assert not found.ok
    assert kinds(found) == ["not a transport stream"]
    assert words in found.problems[0].detail
    assert (found.streams, found.duration_s, found.bit_rate) == ((), 0.0, 0.0)


def test_tables_without_media(tmp_path, recording):
    found = checked(tmp_path, recording[: 2 * 188])
    assert kinds(found) == ["no media"]
    assert [one.codec for one in found.streams] == ["h264", "aac"]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("decode", [False, True])
def test_random_damage_never_raises(tmp_path, recording, seed, decode):
    chance = np.random.default_rng(seed)
    damaged = bytearray(recording[: 188 * 400])
    for at in chance.integers(0, len(damaged), 60):
        damaged[at] = chance.integers(256)
    assert checked(tmp_path, bytes(damaged), decode=decode).bytes == len(damaged)


def both_ways(tmp_path, data: bytes, monkeypatch, chunk: int):
    """What verify says with many PES packets at once; one by one it has to be the same."""
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    found = checked(tmp_path, data)
    with monkeypatch.context() as patch:
        patch.setattr(check_module, "Scanner", lambda **_: Scanner())
        assert found == checked(tmp_path, data)
    return found


def doubled(units: list[AccessUnit]) -> list[AccessUnit]:
    """Each second unit joined to the one before it."""
    joined = []
    for first, second in zip(units[::2], units[1::2], strict=False):
        joined.append(replace(first, data=first.data + second.header + second.prefix + second.data))
    return joined


@pytest.mark.parametrize("chunk", [188 * 150, 1 << 20])
@pytest.mark.parametrize("codec", [Codec.AAC, Codec.MP3, Codec.OPUS])
def test_at_once_is_the_same_as_one_by_one(tmp_path, monkeypatch, codec, chunk):
    video, audio = pictures(50), sounds(94, codec)
    for streams in ([video, audio], [video, doubled(audio)], [doubled(video), audio]):
        found = both_ways(tmp_path, laid(*streams, codecs=(Codec.H264, codec)), monkeypatch, chunk)
        assert found.ok
        assert (found.streams[0].frames, found.streams[1].access_units) == (50, 94)


@pytest.mark.parametrize("chunk", [188 * 150, 1 << 20])
def test_a_change_of_size_at_once(tmp_path, monkeypatch, chunk):
    for codec in (Codec.H264, Codec.H265):
        units = pictures(25, codec=codec) + pictures(25, 480, 272, first=25, codec=codec)
        found = both_ways(tmp_path, laid(units, codecs=(codec,)), monkeypatch, chunk)
        assert [size.width for size in found.streams[0].sizes] == [320, 480]


@pytest.mark.parametrize("seed", range(20))
def test_damage_at_once_is_the_same_as_one_by_one(tmp_path, recording, monkeypatch, seed):
    chance = np.random.default_rng(seed)
    damaged = bytearray(recording)
    for at in chance.integers(0, len(damaged), seed):
        damaged[at] = chance.integers(256)
    both_ways(tmp_path, bytes(damaged), monkeypatch, [188 * 150, 188 * 400, 1 << 20][seed % 3])


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.ts", tmp_path):
        with pytest.raises(SourceError) as raised:
            verify(path)
        assert raised.value.source == str(path)
    with pytest.raises(SourceError):
        verify("/dev/zero")
    with pytest.raises(SourceError, match="is a folder: verify_all"):
        verify(tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(SourceError):
        verify(fifo)


@pytest.mark.parametrize("decode", [False, True])
def test_progress(tmp_path, recording, decode):
    seen: list[tuple[int, int]] = []
    checked(tmp_path, recording, decode=decode, on_progress=lambda done, total: seen.append((done, total)))
    total = len(recording) * (2 if decode else 1)
    assert seen[-1] == (total, total)
    assert {one for _, one in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) or decode


def two_programs(late_s: float = 0.0) -> bytes:
    """Two programs on clocks of their own: 2 s of audio, and 4 s."""
    stream = Stream()
    stream.packets += section_packets(0, build_pat(0, {1: 0x1000, 2: 0x1001}))
    for number, (pid, pmt_pid) in enumerate(((0x100, 0x1000), (0x200, 0x1001))):
        pmt = build_pmt_of([(pid, 0x0F, b""), (pid + 1, 0x0F, b"")], pid, 0)[:-4]
        stream.packets += section_packets(pmt_pid, with_crc(pmt[:3] + (number + 1).to_bytes(2) + pmt[5:]))
    config = parse_audio_specific_config(bytes.fromhex("1190"))
    assert config is not None
    adts = adts_header(config, 16) + bytes(16)
    for frame in range(4 * 48_000 // 1024):
        media_s = frame * 1024 / 48_000
        for pid in (0x100, 0x101, 0x200, 0x201):
            if (pid < 0x200 and media_s >= 2) or (pid & 1 and media_s < late_s):
                continue
            time = 900_000 * (pid >> 8) + frame * 1920
            stream.pes(pid, pes(0xC0, adts, time), pcr=None if pid & 1 else time - 9000)
    return stream.bytes()


def test_each_program_has_its_own_length_and_rate(tmp_path):
    found = checked(tmp_path, two_programs())
    assert found.ok, found.problems
    assert [(one.number, one.pids) for one in found.programs] == [(1, (0x100, 0x101)), (2, (0x200, 0x201))]
    assert [one.duration_s for one in found.programs] == pytest.approx([2, 4], abs=0.03)
    assert found.programs[0].bit_rate == pytest.approx(found.programs[1].bit_rate, rel=0.02)
    assert found.programs[0].bytes == sum(one.bytes for one in found.streams[:2])
    assert found.duration_s == found.programs[1].duration_s
    assert found.notes == ()


def test_frames_answer_by_their_first_name_too(tmp_path, recording):
    stream = checked(tmp_path, recording).streams[0]
    with pytest.warns(DeprecationWarning, match="called frames now"):
        assert stream.pictures == stream.frames > 0


def test_a_stream_that_begins_late_is_noted(tmp_path):
    found = checked(tmp_path, two_programs(1.5))
    assert found.ok, found.problems
    assert [(one.kind, one.detail.split(":")[0]) for one in found.notes] == [
        ("late stream", "AAC begins 1.5 s after the others")
    ] * 2
    assert [one.offset is not None for one in found.notes] == [True, True]


def test_for_a_transport_stream_nothing_else_is_loaded(tmp_path):
    path = tmp_path / "talk.ts"
    path.write_bytes(laid(pictures(20)))
    code = "import json, sys, recordkit; recordkit.verify(sys.argv[1]); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert not [
        name for name in json.loads(done.stdout) if name.startswith(("recordkit.mp4", "recordkit.sound", "av"))
    ]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"G\x01\x00\x10mdat" + bytes(8), "ChunkCheck"),  # a box of 1.2 GB
        (b"G@\x00\x10abcd" + bytes(8), "Check"),
        (b"G@\x00\x10\x00\x00\xb0\x0d" + bytes(8), "Check"),
        (b"RIFF\0\0\0\0WAVE" + bytes(4), "SoundCheck"),
        (b"\0\0\0\x18ftypisom" + bytes(4), "ChunkCheck"),
    ],
)
def test_what_reads_a_file_is_told_by_its_first_bytes(tmp_path, head, kind):
    path = tmp_path / "talk.bin"
    path.write_bytes(head)
    assert type(module.check_for(path)).__name__ == kind


@pytest.mark.parametrize("sync", [b"\x40\x41\x1b\xf2", b"\x64\x58\x20\x25"], ids=["UHD", "Express"])
def test_dts_without_a_core_is_counted_by_its_packets(tmp_path, sync):
    units = [AccessUnit(0, START + 960 * at, START + 960 * at, sync + bytes(200), b"", True) for at in range(94)]
    found = checked(tmp_path, laid(units, codecs=(Codec.DTS,)))
    (stream,) = found.streams
    assert (stream.codec, stream.access_units, stream.sample_rate) == (Codec.DTS, 94, None)
    assert kinds(found) == []
