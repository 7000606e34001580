"""Packets that are coded already: told by their coding, not by their coder; headers followed, garbage refused."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from recordkit.bitstream.audio import AudioSpecificConfig, adts_header
from recordkit.encode.framing import PictureFramer, SoundFramer
from recordkit.encode.routing import Routing
from recordkit.errors import MediaError
from recordkit.model import AccessUnit, Codec
from recordkit.mpegts.framing import framing
from recordkit.recorder.recorder import Recorder
from recordkit.verification.verify import verify
from tests.media import make_clip
from tests.steering import FakeClock


def unit(data: bytes) -> AccessUnit:
    return AccessUnit(stream=1, pts=0, dts=0, data=data)


def framer(codec: Codec = Codec.AAC) -> SoundFramer:
    """Of a stream of which the container knows nothing."""
    context = av.CodecContext.create(codec.value, "r")
    assert isinstance(context, av.AudioCodecContext)
    return SoundFramer(codec, context, "eng", 1)


def adts(rate_index: int, channels: int) -> bytes:
    return adts_header(AudioSpecificConfig(2, rate_index, channels), 3) + b"abc"


def test_what_the_container_does_not_know_is_read_from_the_header() -> None:
    coded = framer().framed(unit(adts(3, 2)))
    assert (coded.format.sample_rate, coded.format.channels, coded.format.language) == (48_000, 2, "eng")


@pytest.mark.parametrize("beside", [b"", bytes.fromhex("1190")])
def test_a_header_comes_off_and_is_kept_beside_the_unit(beside: bytes) -> None:
    wire = bytes.fromhex("fff94c8001bfd8") + b"abc0123"  # MPEG-2, a buffer fullness of its own
    wire = wire[:3] + (int.from_bytes(wire[3:6]) & ~(0x1FFF << 5) | len(wire) << 5).to_bytes(3) + wire[6:]
    coded = framer().framed(unit(wire), beside)
    assert (coded.unit.header, coded.unit.data) == (wire[:7], b"abc0123")
    assert coded.format.config == bytes.fromhex("1190"), "AAC-LC, 48 kHz, stereo"
    assert framing(coded.format)(coded.unit) + coded.unit.data == wire


def test_a_delimiter_comes_off_and_is_kept_beside_the_unit() -> None:
    sets = bytes.fromhex("000000016742c015d901e08fea10000003001000000303c0f162e480 0000000168cb83cb20")
    delimiter, slices = bytes.fromhex("000000010910"), b"\0\0\1\x65\x88\x84abc"
    coded = PictureFramer(Codec.H264).framed(unit(delimiter + sets + slices), is_key_picture=True)
    assert coded is not None
    assert (coded.unit.header, coded.unit.prefix, coded.unit.data) == (delimiter, b"", sets + slices)
    assert coded.format.config == sets
    assert framing(coded.format)(coded.unit) + coded.unit.data == delimiter + sets + slices


def test_a_header_that_changes_changes_the_format() -> None:
    sound = framer()
    found = [sound.framed(unit(data)).format for data in (adts(4, 2), adts(4, 2), adts(7, 1))]
    assert [(one.sample_rate, one.channels) for one in found] == [(44_100, 2), (44_100, 2), (22_050, 1)]


def test_a_new_configuration_is_that_of_the_headers_from_then_on() -> None:
    sound = framer()
    first = sound.framed(unit(b"abc"), bytes.fromhex("1210"))  # AAC-LC, 44.1 kHz, stereo
    second = sound.framed(unit(b"abc"), bytes.fromhex("1388"))  # AAC-LC, 22.05 kHz, mono
    assert (first.unit.data, first.unit.header) == (second.unit.data, second.unit.header) == (b"abc", b"")
    assert (first.format.config, second.format.config) == (bytes.fromhex("1210"), bytes.fromhex("1388"))
    assert (second.format.sample_rate, second.format.channels) == (22_050, 1)


@pytest.mark.parametrize("codec", [Codec.AAC, Codec.MP3])
def test_garbage_is_refused(codec: Codec) -> None:
    with pytest.raises(MediaError, match="without a header"):
        framer(codec).framed(unit(b"garbage"))


def pictures(count: int) -> Iterator[av.VideoFrame]:
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((144, 160), number, np.uint8), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        yield frame


def test_packets_of_an_encoder_are_told_by_their_coding(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sink.ts"), "w") as sink, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        stream = sink.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for frame in (*pictures(10), None):
            for packet in stream.encode(frame):
                recorder.write_packet(packet)
    assert recorder.stop().counters.video_units == 10


def test_a_packet_without_a_stream_is_refused_with_the_way_to_go(tmp_path: Path) -> None:
    context = av.VideoCodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 160, 96, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), {"tune": "zerolatency"}
    (packet,) = context.encode(next(pictures(1)))
    with Recorder(tmp_path / "out.ts", audio=None) as recorder, pytest.raises(MediaError, match="EncodedUnit"):
        recorder.write_packet(packet)


def test_a_packet_whose_container_was_closed_is_refused_in_words(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", audio=[], seconds=0.5)
    with av.open(str(clip)) as container:
        packets = list(container.demux(video=0))
    with Recorder(tmp_path / "out.ts", audio=None) as recorder, pytest.raises(MediaError, match="has been closed"):
        recorder.write_packet(packets[0])


def test_audio_of_eight_channels_is_measured_without_its_planes() -> None:
    frame = av.AudioFrame(format="fltp", layout="7.1", samples=960)
    frame.sample_rate = 48_000
    assert Routing(has_video=False, has_audio=True).frame(frame, 0).size == 8 * 960 * 4


def shown(path: Path) -> list[bytes]:
    """The luma of each frame, without what stands behind its rows."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").tobytes() for frame in container.decode(video=0)]


def open_groups(path: Path, coder: str) -> Path:
    """H.264 or H.265 of three groups of ten frames, the later ones open."""
    params = "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=3:b-adapt=0"
    options = {f"{coder[3:]}-params": params + ":log-level=none"}
    return make_clip(path, video=coder, audio=[], seconds=1, options=options)


@pytest.mark.parametrize("coder", ["libx264", "libx265"])
def test_a_film_cut_at_an_open_group_is_recorded_but_for_what_no_decoder_can_show(
    coder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = open_groups(tmp_path / "whole.ts", coder)
    with av.open(str(whole)) as container, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        keyframes = 0
        for packet in container.demux(video=0):
            keyframes += packet.is_keyframe
            if keyframes >= 2:
                recorder.write_packet(packet)
    recording = recorder.stop()
    # With the second keyframe comes one that is shown before it.
    assert shown(tmp_path / "out.ts") == shown(whole)[-20:]
    assert (recording.counters.video_units, recording.counters.skipped_units) == (20, 1)
    events = recording.events
    (told,) = events[events["kind"] == "altered"]["fields"]
    assert told["stream"] == 0
    assert "left out: 1 of the frames" in told["because"]
    assert told["because"] in caplog.text


def test_lengths_in_a_container_lose_no_entry(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    open_groups(clip, "libx264")
    with av.open(str(clip)) as container, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        for packet in container.demux(video=0):
            recorder.write_packet(packet)
    kinds = list(recorder.stop().events["kind"])
    assert kinds.count("keyframe") == 3
    assert shown(tmp_path / "out.ts") == shown(clip)


def test_a_stream_of_intra_frames_without_any_sign_of_an_entry_begins_with_one() -> None:
    sets = bytes.fromhex("000000016742c015d901e08fea10000003001000000303c0f162e480 0000000168cb83cb20")
    framer = PictureFramer(Codec.H264, sets)
    intra, inter = b"\0\0\0\1\x41\x88\x84abc", b"\0\0\0\1\x41\x9a\x24abc"
    found = [framer.framed(unit(data), is_key_picture=False) for data in (inter, intra, inter, intra)]
    assert [one is not None and one.unit.random_access for one in found] == [False, True, False, False]
    assert framer.skipped_units == 1


BEGUN_S = 1000.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=16, size=(64, 48), fps=10, options={"g": "10", "bf": "0"})


def given(recorder: Recorder, clock: FakeClock, path: Path, *, without: tuple[float, float], live: bool) -> None:
    """Hand on a film packet by packet as it plays, its video missing for a while."""
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            time_s = float(packet.dts * packet.time_base)
            clock.advance(max(0.0, BEGUN_S + time_s - clock.monotonic()))
            if not (packet.stream.type == "video" and without[0] <= time_s < without[1]):
                recorder.write_packet(packet, live=live)


def steps_s(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.size]
    return [after - before for before, after in pairwise(sorted(times))]


def test_live_video_that_pauses_beside_audio_is_held_so_that_conversions_stay_in_sync(
    clip: Path, tmp_path: Path
) -> None:
    clock = FakeClock(BEGUN_S)
    with Recorder(tmp_path / "live.ts", _clock=clock) as recorder:
        given(recorder, clock, clip, without=(2, 14), live=True)
    assert 4.9 < max(steps_s(tmp_path / "live.ts")) < 5.2
    assert (found := verify(tmp_path / "live.ts", decode=True)).ok, found.problems


def test_of_a_film_each_frame_is_as_it_was_and_what_converters_make_of_a_pause_is_told(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock(BEGUN_S)
    with Recorder(tmp_path / "film.ts", _clock=clock) as recorder:
        given(recorder, clock, clip, without=(2, 14), live=False)
    assert max(steps_s(tmp_path / "film.ts")) > 11.9
    assert caplog.text.count("-dts_delta_threshold") == 1


def test_frames_before_the_first_keyframe_are_told_to_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_clip(tmp_path / "whole.ts", audio=[], seconds=1, options={"g": "10", "bf": "0"})
    with av.open(str(whole)) as container, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        for packet in list(container.demux(video=0))[4:]:
            recorder.write_packet(packet)
    recording = recorder.stop()
    assert shown(tmp_path / "out.ts") == shown(whole)[-20:]
    (told,) = recording.events[recording.events["kind"] == "altered"]["fields"]
    assert told["because"] == "left out: 6 frames before the first keyframe, which no decoder can show"
    assert told["because"] in caplog.text


@pytest.mark.parametrize(("early_ms", "is_told"), [(100, True), (5, False)])
def test_frames_that_are_shown_before_they_are_decoded_are_told(
    early_ms: int, is_told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_clip(tmp_path / "whole.ts", audio=[], seconds=1, options={"g": "10", "bf": "0"})
    with av.open(str(whole)) as container, Recorder(tmp_path / "out.ts", audio=None) as recorder:
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.pts = packet.dts - early_ms * 90
            recorder.write_packet(packet)
    assert recorder.stop().counters.video_units == 30
    assert caplog.text.count("are shown 0.100 s before they are decoded") == is_told
