"""Silence and repeated frames while streams pause, with encoders that only note what they are told."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import av
import pytest

from recordkit.encode.bridge import STILL, Bridge
from recordkit.encode.coded import Coded
from recordkit.encode.merging import LAG
from recordkit.encode.streams import Streams
from recordkit.model import AccessUnit, Codec, EncodedUnit, StreamFormat
from recordkit.settings import AudioSettings, VideoSettings
from tests.encode.live_units import pictures, sound

VIDEO, AUDIO = 0, 1
SECOND = 90_000
FORMAT = StreamFormat(Codec.AAC, sample_rate=48_000, channels=2)


class Encoder:
    """Fills as it is told; ``laid`` has what and where."""

    def __init__(self, stream: int, laid: list[tuple[int, int]]) -> None:
        self.stream, self.laid = stream, laid
        self.end: int | None = 0
        self.begun = 0
        self.rested = 0

    def fill(self, until: int) -> list[Coded]:
        self.laid.append((self.stream, until))
        self.end = until
        return [Coded(FORMAT, AccessUnit(self.stream, until, until, b"-"))]

    def rest(self) -> list[Coded]:
        self.rested += 1
        return []


class Scene:
    def __init__(self, queued: dict[int, int] | None = None) -> None:
        self.laid: list[tuple[int, int]] = []
        self.bridge = Bridge((queued or {}).get)
        self.audio, self.video = Encoder(AUDIO, self.laid), Encoder(VIDEO, self.laid)

    def item(self, stream: int, place: int, *, is_live: bool = False) -> None:
        self.bridge.before(stream, place, {AUDIO: self.audio}, {VIDEO: self.video}, is_live=is_live)
        encoder = self.audio if stream == AUDIO else self.video
        encoder.end = max(encoder.end or 0, place + (SECOND if stream == AUDIO else 0))


def test_silence_is_laid_up_to_where_it_is_late_before_an_item_if_the_next_audio_is_known_to_come_later() -> None:
    scene = Scene({AUDIO: 5 * SECOND})
    scene.item(AUDIO, 0)
    scene.item(VIDEO, 4 * SECOND)
    assert scene.audio.end == 4 * SECOND - LAG
    assert all(after - before <= SECOND // 4 for (_, before), (_, after) in pairwise(scene.laid))


def test_nothing_is_laid_where_nobody_knows_whether_audio_will_come() -> None:
    scene = Scene()
    for number in range(3):
        scene.item(AUDIO, number * SECOND)
    scene.item(VIDEO, 30 * SECOND)
    assert scene.laid == []


def test_live_audio_that_does_not_come_is_silence() -> None:
    scene = Scene()
    for number in range(3):
        scene.item(AUDIO, number * SECOND, is_live=True)
        scene.item(VIDEO, number * SECOND, is_live=True)
    for number in range(3, 10):
        scene.item(VIDEO, number * SECOND, is_live=True)
        assert scene.audio.end == max(3 * SECOND, number * SECOND - LAG)


def test_live_audio_that_comes_late_by_habit_has_more_time() -> None:
    scene = Scene()
    for number in range(3):
        scene.item(VIDEO, number * SECOND, is_live=True)
        scene.item(AUDIO, max(0, number - 1) * SECOND, is_live=True)
    scene.item(VIDEO, 3 * SECOND, is_live=True)
    assert scene.laid == []
    scene.item(VIDEO, 6 * SECOND, is_live=True)
    assert scene.audio.end == 4 * SECOND


def test_before_a_gap_of_more_than_a_minute_the_encoder_is_let_out_and_no_silence_laid() -> None:
    scene = Scene()
    scene.item(AUDIO, 0)
    scene.item(VIDEO, 62 * SECOND)
    assert scene.laid == []
    assert scene.audio.rested == 1


def test_a_frame_that_stands_while_audio_goes_on_is_repeated() -> None:
    scene = Scene()
    for number in range(13):
        scene.item(AUDIO, number * SECOND, is_live=True)
        if number < 2:
            scene.item(VIDEO, number * SECOND, is_live=True)
    assert scene.laid == [(VIDEO, SECOND + STILL), (VIDEO, SECOND + 2 * STILL)]


def test_a_frame_is_not_repeated_over_a_leap_of_the_audio() -> None:
    scene = Scene({VIDEO: 3601 * SECOND})
    scene.item(VIDEO, 0)
    scene.audio.begun = 3600 * SECOND
    scene.audio.end = 3600 * SECOND
    scene.item(AUDIO, 3600 * SECOND + 1000)
    assert scene.laid == []


def coded(streams: Streams, stream: int, time: float) -> list[AccessUnit]:
    frame: av.VideoFrame | av.AudioFrame = av.VideoFrame(64, 48, "yuv420p")
    if stream == AUDIO:
        frame = av.AudioFrame("s16", "mono", 1600)
        frame.sample_rate = 16_000
    return [one.unit for one in streams.code(frame, stream, round(time * SECOND), discontinuity=False)]


@pytest.mark.parametrize("order", [[AUDIO, VIDEO], [VIDEO, AUDIO]])
def test_a_pause_of_both_streams_is_laid_in_the_order_of_time(order: list[int]) -> None:
    streams = Streams(VideoSettings(), [AudioSettings()])
    units: list[AccessUnit] = []
    for number in range(40):
        time = number / 10 + (12 if number >= 20 else 0)
        for stream in order:
            units += coded(streams, stream, time)
    units += [one.unit for one in streams.flush()]
    newest = 0
    for unit in units:
        newest = max(newest, unit.dts)
        assert newest - unit.dts < SECOND
    video = [unit.pts for unit in units if unit.stream == VIDEO]
    assert len(video) == 42
    assert max(after - before for before, after in pairwise(video)) < 6 * SECOND
    assert streams.ways.gap_count == 1
    assert streams.ways.gap_s == pytest.approx(12, abs=0.01)


def test_audio_that_is_written_later_than_the_video_beside_it_is_not_lost() -> None:
    streams = Streams(VideoSettings(), [AudioSettings()])
    times = [number / 10 for number in range(100)]
    for block in range(0, 100, 50):
        for stream in (VIDEO, AUDIO):
            for time in times[block : block + 50]:
                coded(streams, stream, time)
    streams.flush()
    assert (streams.ways.gap_count, streams.timeline.late_items, streams.rejected_items) == (0, 0, 0)


def live_talk(
    codec: str, silent: tuple[float, float], still: tuple[float, float], *, lost: bool
) -> list[EncodedUnit]:
    """20 s of a live sender, in the order of arrival; no audio, and no video, in the spans of seconds given."""
    (packet,) = sound("opus", 0.02)
    audio = [replace(packet, ticks=number * SECOND // 50) for number in range(1000)]
    units = []
    for span, given in ((still, list(pictures(codec, 80, (64, 48), fps=4))), (silent, audio)):
        begin, end = (round(second * SECOND) for second in span)
        behind = next(number for number, unit in enumerate(given) if (unit.ticks or 0) >= end)
        given[behind] = replace(given[behind], discontinuity=lost)
        units += [unit for unit in given if not begin <= (unit.ticks or 0) < end]
    return sorted(units, key=lambda unit: unit.ticks or 0)


def coded_live(units: list[EncodedUnit], audio: AudioSettings) -> tuple[Streams, list[AccessUnit]]:
    streams = Streams(VideoSettings(), [audio])
    coded = []
    for unit in units:
        stream = VIDEO if unit.is_video else AUDIO
        coded += streams.code(unit, stream, unit.ticks, discontinuity=False, arrival=unit.ticks)
    return streams, [one.unit for one in coded + streams.flush()]


@pytest.mark.parametrize("kept", ["aac", "opus"])
@pytest.mark.parametrize("lost", [False, True])
def test_silence_for_a_live_sender_is_laid_while_it_lasts_and_is_a_gap_only_if_something_was_lost(
    kept: str, lost: bool
) -> None:
    units = live_talk("vp8", (5, 17), (19, 19.1), lost=lost)
    streams, coded = coded_live(units, AudioSettings(codec=kept))  # type: ignore[arg-type]
    newest = 0
    for unit in coded:
        newest = max(newest, unit.dts)
        assert newest - unit.dts < SECOND
    audio = [unit for unit in coded if unit.stream == AUDIO]
    assert max(after.pts - before.pts for before, after in pairwise(audio)) < SECOND // 20
    assert audio[-1].pts - audio[0].pts == pytest.approx(20 * SECOND, abs=SECOND // 20)
    assert not any(unit.discontinuity for unit in audio)
    assert streams.ways.gap_count == lost
    assert streams.ways.gap_s == pytest.approx(12 * lost, abs=0.05)
    assert streams.timeline.late_items == 0


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_the_last_frame_of_a_live_sender_stands_through_an_outage_of_everything(codec: str) -> None:
    """A converter takes ten seconds without video beside audio that goes on for a new clock."""
    streams, coded = coded_live(live_talk(codec, (5, 18), (5, 18), lost=True), AudioSettings())
    video = [unit for unit in coded if unit.stream == VIDEO]
    assert max(after.dts - before.dts for before, after in pairwise(video)) < 6 * SECOND
    newest = 0
    for unit in coded:
        newest = max(newest, unit.dts)
        assert newest - unit.dts < SECOND
    assert streams.ways.gap_count == 1
