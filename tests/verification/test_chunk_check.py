"""Verify and MP4: what is in recordings of each kind, in files of others, and what is wrong with broken ones."""

import av
import pytest

import recordkit as rk
from recordkit.model import Codec

from ..media import make_clip
from ..mp4 import real
from ..mp4.cases import CASES
from ..mp4.laying import lay, recording


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recordings_are_whole_and_counted(case, tmp_path):
    path = tmp_path / "talk.mp4"
    laid = lay(case.steps)
    formats = laid.packager.streams
    for data in (laid.partial, laid.whole):
        path.write_bytes(data)
        found = rk.verify(path)
        assert found.problems == ()
        assert found.bytes == len(data)
        assert [stream.codec for stream in found.streams] == [formats[index].codec for index in sorted(formats)]
        for index, stream in zip(sorted(formats), found.streams, strict=True):
            sent = [unit for unit in laid.units if unit.stream == index]
            assert stream.access_units == len(sent)
            if stream.is_video:
                assert stream.keyframes == sum(unit.random_access for unit in sent)
            else:
                assert (stream.sample_rate, stream.channels) == (formats[index].sample_rate, 2)
    if case.name == "new_size":
        assert [(size.width, size.height) for size in found.streams[0].sizes] == [
            (320, 180),
            (240, 240),
            (320, 180),
        ]


@pytest.mark.parametrize("codecs", [(Codec.VP9, Codec.FLAC), (Codec.AV1, Codec.OPUS)])
def test_what_broke_off_in_an_open_coding_is_brought_back(codecs, tmp_path):
    streams = [real.video(one) if one.is_video else real.audio(one) for one in codecs]
    laid = lay(recording(*streams))
    path = tmp_path / "talk.recording.mp4"
    path.write_bytes(laid.partial[: laid.ends[-2] + 40])
    rk.recover(path)
    found = rk.verify(tmp_path / "talk.mp4", decode=True)
    assert found.problems == ()
    assert [stream.codec for stream in found.streams] == list(codecs)
    assert sum(stream.access_units for stream in found.streams) == len(laid.units) - 1


def test_everything_is_decoded(tmp_path):
    path = tmp_path / "talk.mp4"
    path.write_bytes(lay(recording(real.video(Codec.H264), real.audio(Codec.AAC))).whole)
    found = rk.verify(path, decode=True)
    assert found.ok
    assert found.streams[0].decoded == real.FRAMES


def test_plain_files_of_others(tmp_path):
    path = make_clip(tmp_path / "clip.mp4", seconds=1)
    found = rk.verify(path, decode=True)
    assert found.problems == ()
    assert (found.streams[0].frames, found.streams[0].decoded) == (30, 30)
    assert found.duration_s == pytest.approx(1, abs=0.1)


def test_a_plain_file_without_its_moov_is_told_as_what_it_is(tmp_path):
    path = make_clip(tmp_path / "clip.mp4", seconds=1)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    (problem,) = rk.verify(path).problems
    assert problem.kind == "missing moov"
    assert "not finished" in problem.detail


@pytest.mark.parametrize("data", [b"", b"no media at all"])
def test_what_is_no_mp4(data, tmp_path):
    path = tmp_path / "talk.mp4"
    path.write_bytes(data)
    (problem,) = rk.verify(path).problems
    assert problem.kind == "not an MP4 file"


def test_damage_is_told(tmp_path):
    path = tmp_path / "talk.mp4"
    laid = lay(recording(real.video(Codec.H264), real.audio(Codec.AAC)))
    whole = bytearray(laid.whole)
    whole[laid.ends[9] : laid.ends[9] + 60] = bytes(60)
    path.write_bytes(whole)
    kinds = {problem.kind for problem in rk.verify(path).problems}
    assert kinds == {"lost boxes", "missing chunks", "sample tables differ from the chunks"}
    whole = bytearray(laid.whole)
    size, end = max((len(unit.data), end) for end, unit in zip(laid.ends, laid.units, strict=True))
    whole[end - size // 2 : end] = bytes(size // 2)
    path.write_bytes(whole)
    assert rk.verify(path).ok
    assert not rk.verify(path, decode=True).ok


def test_a_transport_stream_with_the_name_of_an_mp4(tmp_path):
    path = make_clip(tmp_path / "clip.ts", seconds=1)
    other = path.rename(tmp_path / "clip.mp4")
    assert rk.verify(other).streams[0].pid >= 0x100


def test_quicktime_s_offsets_have_a_sign_in_the_version_that_has_none(tmp_path):
    film, path = make_clip(tmp_path / "film.mp4", audio=(), seconds=1, options={"bf": "2"}), tmp_path / "talk.mov"
    with av.open(film) as old, av.open(path, "w", options={"movflags": "negative_cts_offsets"}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    data = bytearray(path.read_bytes())
    version = data.index(b"ctts") + 4
    assert data[version] == 1
    data[version] = 0
    path.write_bytes(data)
    (stream,) = rk.verify(path).streams
    assert stream.duration_s == pytest.approx(1, abs=0.1)
