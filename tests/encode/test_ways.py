"""Which way a stream goes: the first that comes of it decides, and what was counted outlives the encoders."""

import av
import numpy as np
import pytest

from recordkit.encode.routing import FIRST_AUDIO, VIDEO
from recordkit.encode.ways import Ways
from recordkit.errors import MediaError
from recordkit.model import Codec, EncodedUnit
from recordkit.settings import AudioSettings, VideoSettings

from ..media import make_clip


def ways(*audio: AudioSettings) -> Ways:
    return Ways(VideoSettings(), audio or (AudioSettings(),), None, None)


def unit(codec: Codec) -> EncodedUnit:
    return EncodedUnit(codec, b"\0", 0, is_entry=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=0.2)


def test_a_stream_keeps_the_way_that_it_began_with(clip):
    made = ways()
    assert made.video(VIDEO) is made.video(VIDEO)
    assert made.audio(FIRST_AUDIO) is made.audio(FIRST_AUDIO)
    with av.open(str(clip)) as container:
        packet = next(container.demux(video=0))
        with pytest.raises(MediaError, match="cannot be mixed"):
            made.admit(packet, VIDEO)
        made.admit(packet, 5)
    assert made.passing(5) is made.of[5]
    for call in (lambda: made.passing(VIDEO), lambda: made.video(5), lambda: made.audio(5)):
        with pytest.raises(MediaError, match="cannot be mixed"):
            call()
    with pytest.raises(MediaError, match="live units and frames or packets cannot be mixed"):
        made.live(unit(Codec.H264), VIDEO)
    assert made.live(unit(Codec.OPUS), 7) is made.live(unit(Codec.OPUS), 7)


def test_a_packet_of_a_closed_container_is_refused_with_what_to_do(clip):
    with av.open(str(clip)) as container:
        packet = next(container.demux(video=0))
    with pytest.raises(MediaError, match="write its packets before that"):
        ways().admit(packet, VIDEO)


def test_several_audio_streams_take_their_settings_in_turn():
    made = ways(AudioSettings(language="deu"), AudioSettings(language="eng"))
    told = []
    for number in range(3):
        encoder = made.audio(FIRST_AUDIO + number)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        told += [encoder.encode(frame, 0)[0].format.language]
    assert told == ["deu", "eng", "eng"]


def test_what_was_counted_stays_when_the_encoders_are_let_go():
    made = ways()
    made.audio(FIRST_AUDIO).gap_count, made.audio(FIRST_AUDIO).gap_s = 2, 1.5
    # Frames that need those before them, which nobody has: left out until a keyframe comes.
    way = made.live(unit(Codec.H264), VIDEO)
    for number in range(3):
        later = EncodedUnit("h264", b"\0\0\0\1\x41\x9a\0\0", number * 3000, is_entry=False)
        way.code(later, number * 3000, discontinuity=False)
    assert made.skipped_units == 3
    made.close()
    assert made.of == {}
    assert (made.gap_count, made.gap_s, made.skipped_units) == (2, 1.5, 3)
    assert made.filled_s == {}
    assert not made.needs_entry(VIDEO)
