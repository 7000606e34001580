"""The recorder: real frames and packets through the whole write path, and its states."""

import errno
import threading
from collections import deque
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest

from recordkit.errors import (
    AdmissionError,
    MediaError,
    OutputAccessError,
    OutputExistsError,
    OutputNameError,
    PartialExistsError,
    SettingsError,
    StateError,
    WriteError,
)
from recordkit.model import Codec, EventKind, FlushRecord
from recordkit.mpegts.report import ProblemKind
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.state import State
from recordkit.settings import AudioSettings, RecordingSettings, VideoSettings
from recordkit.sources.synthetic import Synthetic

from ..steering import GUARD_S, FakeClock, FaultySystem, recordkit_threads, scan, whole

FAST = VideoSettings(preset="ultrafast")
SMALL = Synthetic(width=64, height=48, fps=10, seconds=2, sample_rate=8000)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    with recordkit_threads():
        yield


@pytest.fixture(scope="module")
def frames():
    return list(SMALL.frames())


@pytest.fixture(scope="module")
def video_frames(frames):
    return [frame for frame in frames if isinstance(frame, av.VideoFrame)]


@pytest.fixture(scope="module")
def audio_frames(frames):
    return [frame for frame in frames if isinstance(frame, av.AudioFrame)]


def recorder(folder, name="talk.ts", **settings):
    return Recorder(folder / name, **{"video": FAST} | settings)


def decoded(path, *, late=False):
    """How many frames, and seconds of audio, come out of a file, which recordkit finds nothing wrong with.

    ``late``: but that units of one stream came long after those of the other.
    """
    allowed = {ProblemKind.DTS_BEHIND_PCR} if late else set()
    assert scan(whole(path)).problem_counts.keys() <= allowed
    video_frames = samples = 0
    with av.open(str(path)) as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                video_frames += 1
            else:
                samples += frame.samples
                rate = frame.sample_rate
        return video_frames, samples / rate if samples else 0.0


# What it is.


def test_its_settings_and_names(tmp_path):
    one = recorder(tmp_path)
    assert (one.flush_threshold, one.flush_interval) == (4 * 1024 * 1024, 2.0)
    assert RecordingSettings(path="talk.ts").queue_bytes == 16 * 1024 * 1024
    assert one.final_output_path == tmp_path / "talk.ts"
    assert one.temp_output_path == tmp_path / "talk.recording.ts"
    assert (one.state, one.error, one.bytes_since_last_flush, one.file_bytes) == (State.NEW, None, 0, 0)
    assert (one.queue_bytes, one.duration_s, one.flush_records) == (0, 0.0, ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"video": None, "audio": None}, "video"),
        ({"video": None, "audio": ()}, "video"),
        ({"queue_bytes": 1000}, "queue_bytes"),
        ({"overflow": "wait"}, "overflow"),
        ({"flush_interval": 0}, "flush_interval"),
        ({"flush_threshold": 0}, "flush_threshold"),
        ({"durability": "never"}, "durability"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, settings, name):
    with pytest.raises(SettingsError) as caught:
        recorder(tmp_path, **settings)
    assert caught.value.name == name


def test_a_name_that_cannot_be_recorded_to(tmp_path):
    with pytest.raises(OutputNameError):
        recorder(tmp_path, "talk.mkv")


# The way through.


def test_a_recording_from_beginning_to_end(tmp_path, frames, video_frames):
    seen = []
    with recorder(tmp_path, on_flush=seen.append) as one:
        assert one.state is State.RECORDING
        for frame in frames:
            assert one.write(frame)
    recording = one.stop()
    assert one.state is State.STOPPED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.flushes.jsonl", "talk.frames", "talk.ts"]
    assert decoded(tmp_path / "talk.ts") == (len(video_frames), pytest.approx(2.0, abs=0.3))
    assert recording.path == tmp_path / "talk.ts"
    assert recording.bytes == recording.path.stat().st_size == one.file_bytes
    assert recording.duration_s == pytest.approx(2.0, abs=0.3)
    assert [one.codec for one in recording.streams.values()] == [Codec.H264, Codec.AAC]
    assert recording.flush_records == one.flush_records == tuple(seen)
    assert recording.counters == one.counters
    assert recording.counters.taken_items == len(frames)
    assert recording.counters.video_units == len(video_frames)
    assert recording.counters.dropped_items == 0
    assert one.queue_bytes == 0
    assert list(one.flushes["flush_bytes"]) == [record.flush_bytes for record in seen]


@pytest.mark.parametrize("first", [av.VideoFrame, av.AudioFrame])
def test_it_does_not_matter_which_stream_comes_first(tmp_path, frames, video_frames, first):
    begin = [frame for frame in frames if float(frame.pts * frame.time_base) < 0.5]
    rest = frames[len(begin) :]
    with recorder(tmp_path) as one:
        for frame in [*sorted(begin, key=lambda frame: not isinstance(frame, first)), *rest]:
            one.write(frame)
    assert decoded(tmp_path / "talk.ts") == (len(video_frames), pytest.approx(2.0, abs=0.3))
    assert one.counters.late_items == one.counters.late_units == 0


def test_audio_alone(tmp_path, audio_frames):
    with recorder(tmp_path, video=None) as one:
        for frame in audio_frames:
            one.write(frame)
    assert decoded(tmp_path / "talk.ts") == (0, pytest.approx(2.0, abs=0.3))


def test_video_alone(tmp_path, video_frames):
    with recorder(tmp_path, audio=None) as one:
        for frame in video_frames:
            one.write(frame)
    assert decoded(tmp_path / "talk.ts") == (len(video_frames), 0.0)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_few_frames(tmp_path, video_frames, count):
    with recorder(tmp_path) as one:
        for frame in video_frames[:count]:
            one.write(frame)
    assert decoded(tmp_path / "talk.ts")[0] == count


def test_no_frames_make_no_file(tmp_path):
    with recorder(tmp_path) as one:
        pass
    recording = one.stop()
    assert (recording.path, recording.bytes, recording.duration_s) == (None, 0, 0.0)
    assert list(tmp_path.iterdir()) == []


def packets_of(path):
    with av.open(str(path)) as container:
        yield from container.demux()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("finished")
    with recorder(folder) as one:
        for frame in frames:
            one.write(frame)
    return folder / "talk.ts"


def test_packets_go_through_as_they_are(tmp_path, finished, video_frames):
    with recorder(tmp_path, "copy.ts") as one:
        for packet in packets_of(finished):
            assert one.write_packet(packet)
    assert one.counters.video_units == len(video_frames)
    assert decoded(tmp_path / "copy.ts") == decoded(finished)


def test_several_threads_write_at_once(tmp_path, video_frames, audio_frames):
    with recorder(tmp_path) as one:
        threads = [
            threading.Thread(target=lambda part=part: [one.write(frame) for frame in part])
            for part in (video_frames, audio_frames)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_S)
    assert one.counters.taken_items == len(video_frames) + len(audio_frames)
    assert decoded(tmp_path / "talk.ts", late=True)[0] == len(video_frames)


def test_two_recorders_at_once(tmp_path, frames, video_frames):
    with recorder(tmp_path, "one.ts") as one, recorder(tmp_path, "two.ts") as two:
        for frame in frames:
            one.write(frame)
            two.write(frame)
    for name in ("one.ts", "two.ts"):
        assert decoded(tmp_path / name)[0] == len(video_frames)


def test_flush_brings_everything_written_so_far_into_the_file(tmp_path, frames):
    system = FaultySystem()
    with recorder(tmp_path, _system=system) as one:
        for frame in frames:
            one.write(frame)
        assert one.flush(GUARD_S)
        assert one.bytes_since_last_flush == one.queue_bytes == 0
        assert one.file_bytes == one.temp_output_path.stat().st_size > 0
        assert one.counters.video_units == 20
        assert len(system.named("sync_data")) == 1
        assert one.flush(GUARD_S)
        assert len(one.flush_records) == 1


def test_a_mark_is_noted_at_its_place_and_who_follows_is_told(tmp_path, frames):
    told = []
    with recorder(tmp_path) as one:
        one.follow(told.append, lambda log: told.extend(log.contents.events))
        for frame in frames:
            one.write(frame)
        assert one.flush(GUARD_S)
        assert one.bytes_at_risk == 0
        one.mark(" first question ")
        one.unfollow(told.append)
        one.mark("unheard")
        for name in ("", "  ", "x" * 501, 7):
            with pytest.raises(SettingsError):
                one.mark(name)
    marks = [event.fields for event in one.log.contents.events if event.kind is EventKind.MARK]
    assert [fields["name"] for fields in marks] == ["first question", "unheard"]
    # Where the frame begins that was given last.
    assert one.duration_s - 0.1 < marks[0]["media_s"] < one.duration_s
    assert [record.fields["name"] for record in told if getattr(record, "kind", None) is EventKind.MARK] == [
        "first question"
    ]
    flushes = [record for record in told if isinstance(record, FlushRecord)]
    assert flushes == list(one.flush_records[: len(flushes)])
    assert flushes
    with pytest.raises(StateError):
        one.mark("late")


def test_what_a_power_cut_would_cost(tmp_path, frames):
    with recorder(tmp_path, durability="process") as one:
        for frame in frames:
            one.write(frame)
        assert one.flush(GUARD_S)
        assert one.bytes_at_risk == one.file_bytes > 0


# Frames and packets that do not fit.


def test_media_that_it_has_no_stream_for(tmp_path, video_frames, audio_frames, finished):
    video, audio = (next(p for p in packets_of(finished) if p.stream.type == kind) for kind in ("video", "audio"))
    with recorder(tmp_path, "v.ts", audio=None) as one:
        with pytest.raises(MediaError):
            one.write(audio_frames[0])
        with pytest.raises(MediaError):
            one.write_packet(audio)
        one.write(video_frames[0])
    with recorder(tmp_path, "a.ts", video=None) as one:
        with pytest.raises(MediaError):
            one.write(video_frames[0])
        with pytest.raises(MediaError):
            one.write_packet(video)
        with pytest.raises(MediaError):
            one.write("a frame")
        for stream in (-1, 16):
            with pytest.raises(SettingsError) as caught:
                one.write(audio_frames[0], stream)
            assert (caught.value.name, caught.value.value) == ("stream", stream)
        one.write(audio_frames[0])
    assert one.state is State.STOPPED


def test_what_is_no_media_is_refused_with_what_can_be_given(tmp_path):
    with recorder(tmp_path) as one:
        for call, given in (
            (one.write, r"av\.VideoFrame or av\.AudioFrame"),
            (one.write_packet, r"av\.Packet"),
            (one.write_unit, "an EncodedUnit"),
        ):
            with pytest.raises(MediaError, match=rf"takes {given}, not int"):
                call(5)


def test_a_packet_without_bytes_is_left_out(tmp_path, finished):
    with recorder(tmp_path) as one:
        assert one.write_packet(av.Packet())
        assert one.counters.taken_items == 0


def test_frames_keep_what_their_owner_gave_them(tmp_path, video_frames):
    frame = video_frames[0]
    before = (frame.pts, frame.time_base, frame.pict_type)
    with recorder(tmp_path, audio=None) as one:
        one.write(frame)
    assert (frame.pts, frame.time_base, frame.pict_type) == before


def test_frames_without_a_time(tmp_path):
    with recorder(tmp_path, audio=None, video=VideoSettings(preset="ultrafast", frame_rate=Fraction(10))) as one:
        for _ in range(5):
            one.write(av.VideoFrame(64, 48, "yuv420p"))
    assert one.counters.untimed_items == 5
    assert one.duration_s == pytest.approx(0.5)
    assert decoded(tmp_path / "talk.ts")[0] == 5


def test_several_audio_streams(tmp_path, audio_frames):
    settings = [AudioSettings(language="eng"), AudioSettings(language="deu")]
    with recorder(tmp_path, video=None, audio=settings) as one:
        for frame in audio_frames:
            for stream in (0, 1):
                one.write(frame, stream)
    assert [made.language for made in one.stop().streams.values()] == ["eng", "deu"]
    assert len(scan(whole(tmp_path / "talk.ts")).programs[0].streams) == 2


# States.


def test_before_the_start_there_is_nothing_to_do(tmp_path, video_frames):
    one = recorder(tmp_path)
    for call in (lambda: one.write(video_frames[0]), lambda: one.write_packet(av.Packet()), one.flush, one.stop):
        with pytest.raises(StateError) as caught:
            call()
        assert (caught.value.state, caught.value.wanted) == (State.NEW, State.RECORDING)
    assert list(tmp_path.iterdir()) == []


def test_after_the_end_there_is_nothing_to_do_but_to_stop_again(tmp_path, video_frames):
    with recorder(tmp_path) as one:
        one.write(video_frames[0])
    for call in (lambda: one.write(video_frames[0]), one.flush, one.start):
        with pytest.raises(StateError) as caught:
            call()
        assert caught.value.state is State.STOPPED
    assert one.stop() is one.stop(commit=False)
    assert (tmp_path / "talk.ts").exists()


def test_a_start_that_failed_may_be_tried_again(tmp_path, video_frames):
    (tmp_path / "talk.ts").write_bytes(b"mine")
    one = recorder(tmp_path)
    for _ in range(2):
        with pytest.raises(OutputExistsError):
            one.start()
        assert one.state is State.NEW
    (tmp_path / "talk.ts").unlink()
    with one:
        one.write(video_frames[0])
        with pytest.raises(StateError):
            one.start()
    assert decoded(tmp_path / "talk.ts")[0] == 1


@pytest.mark.parametrize("name", ["recordkit-write", "recordkit-encode"])
def test_a_start_without_a_thread_leaves_nothing_behind(tmp_path, monkeypatch, video_frames, name):
    begin = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith(name):
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(AdmissionError, match="for want of threads"):
        recorder(tmp_path).start()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    with recorder(tmp_path) as one:
        one.write(video_frames[0])
    assert one.stop().path == tmp_path / "talk.ts"


def test_many_threads_start_and_stop_it_but_once(tmp_path, video_frames):
    one = recorder(tmp_path)
    failures, results = [], []

    def start():
        try:
            one.start()
        except StateError as error:
            failures.append(error)

    def run_all(target):
        threads = [threading.Thread(target=target) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_S)

    run_all(start)
    assert len(failures) == 4
    one.write(video_frames[0])
    run_all(lambda: results.append(one.stop()))
    assert len(results) == 5
    assert len({id(result) for result in results}) == 1


class OopsError(Exception):
    pass


def broken_off(one, frames, error):
    with one:
        for frame in frames:
            one.write(frame)
        raise error


def test_an_exception_in_the_block_leaves_a_flushed_partial_without_a_tail(tmp_path, frames, video_frames):
    one = recorder(tmp_path)
    with pytest.raises(OopsError):
        broken_off(one, frames, OopsError)
    assert one.state is State.STOPPED
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "talk.flushes.jsonl",
        "talk.frames",
        "talk.recording.ts",
    ]
    assert one.stop().path == one.temp_output_path
    assert decoded(one.temp_output_path)[0] == len(video_frames)
    with pytest.raises(PartialExistsError) as caught:
        recorder(tmp_path).start()
    assert caught.value.partial == one.temp_output_path


def test_an_interrupt_in_the_block_leaves_a_flushed_partial(tmp_path, frames):
    with pytest.raises(KeyboardInterrupt):
        broken_off(recorder(tmp_path), frames, KeyboardInterrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "talk.flushes.jsonl",
        "talk.frames",
        "talk.recording.ts",
    ]


def test_an_exception_before_the_first_frame_leaves_nothing(tmp_path):
    with pytest.raises(OopsError), recorder(tmp_path):
        raise OopsError
    assert list(tmp_path.iterdir()) == []


def test_stop_gives_up_after_its_timeout_and_may_be_asked_again(tmp_path, video_frames):
    system = FaultySystem()
    gate = system.hold("sync", 1)
    one = recorder(tmp_path, _system=system)
    one.start()
    one.write(video_frames[0])
    with pytest.raises(StateError) as caught:
        one.stop(timeout=0.0)
    assert caught.value.state is State.STOPPING
    gate.until_reached()
    with pytest.raises(StateError):
        one.write(video_frames[1])
    gate.open()
    assert one.stop(timeout=GUARD_S).path == tmp_path / "talk.ts"


def test_flush_gives_up_after_its_timeout(tmp_path, video_frames):
    system, clock = FaultySystem(), FakeClock()
    gate = system.hold("write", 1)
    with recorder(tmp_path, audio=None, _system=system, _clock=clock) as one:
        one.write(video_frames[0])
        outcome = []
        caller = threading.Thread(target=lambda: outcome.append(one.flush(5.0)), name="caller")
        caller.start()
        gate.until_reached()
        clock.until_waiting("caller")
        clock.advance(5.0)
        caller.join(GUARD_S)
        assert outcome == [False]
        gate.open()


def test_flush_while_it_is_being_stopped_ends_with_it(tmp_path, video_frames):
    system = FaultySystem()
    gate = system.hold("sync_data", 1)
    one = recorder(tmp_path, audio=None, _system=system)
    one.start()
    one.write(video_frames[0])
    outcome = []
    caller = threading.Thread(target=lambda: outcome.append(one.flush()))
    caller.start()
    gate.until_reached()
    stopper = threading.Thread(target=one.stop)
    stopper.start()
    gate.open()
    for thread in (caller, stopper):
        thread.join(GUARD_S)
    assert outcome == [True]


def test_on_flush_can_neither_stop_nor_flush(tmp_path, video_frames):
    caught = []

    def greedy(record):
        for call in (one.stop, one.flush):
            with suppress(StateError):
                call()
                caught.append(call)

    with recorder(tmp_path, on_flush=greedy) as one:
        one.write(video_frames[0])
        one.flush()
    assert caught == []
    assert one.state is State.STOPPED


# Time.


def test_the_interval_flushes_by_the_clock_and_nothing_while_idle(tmp_path, video_frames):
    clock = FakeClock()
    with recorder(tmp_path, audio=None, _clock=clock) as one:
        one.write(video_frames[0])  # which waits for the next one
        for number, frame in enumerate(video_frames[1:4], 1):
            one.write(frame)
            clock.until_waiting("recordkit-encode", "recordkit-write")
            clock.advance(2.0)
            clock.until_waiting("recordkit-write")
            assert [record.reason for record in one.flush_records] == ["interval"] * number
            assert one.bytes_since_last_flush == 0
    assert [record.interval_s for record in one.flush_records] == [2.0] * 3


def test_a_track_that_never_comes_holds_up_the_other_by_half_a_second(tmp_path, video_frames):
    clock = FakeClock()
    with recorder(tmp_path, _clock=clock) as one:
        one.write(video_frames[0])
        one.write(video_frames[1])
        clock.until_waiting("recordkit-encode")
        assert one.bytes_since_last_flush == 0
        clock.advance(0.5)
        clock.until_waiting("recordkit-encode")
        assert one.bytes_since_last_flush > 0


def test_a_frame_whose_time_is_in_doubt_waits_two_seconds_for_the_next_one_and_not_past_a_flush(
    tmp_path, video_frames
):
    clock = FakeClock()
    with recorder(tmp_path, audio=None, _clock=clock) as one:
        one.write(video_frames[0])
        clock.until_waiting("recordkit-encode")
        clock.advance(1.9)
        clock.until_waiting("recordkit-encode")
        assert one.counters.video_units == 0
        clock.advance(0.1)
        clock.until_waiting("recordkit-write")
        clock.until_waiting("recordkit-encode")
        assert one.counters.video_units == 1
        one.write(video_frames[1], ticks=60 * 90_000)
        assert one.flush()
        assert one.counters.video_units == 2
    assert one.duration_s > 60


# Full.


def test_while_the_disk_stands_still_memory_stays_bounded_and_drops_are_counted(tmp_path):
    system = FaultySystem()
    gate = system.hold("write", 1)
    one = recorder(tmp_path, audio=None, _system=system, flush_threshold=64 * 1024, queue_bytes=256 * 1024,
                   overflow="drop", video=VideoSettings(preset="ultrafast", crf=0.0))  # fmt: skip
    largest = given = 0
    with one:
        for number, frame in enumerate(noise()):
            frame.pts = number
            given += 1
            one.write(frame)
            largest = max(largest, one.queue_bytes)
            if one.counters.dropped_items >= 10:
                break
        gate.until_reached()
        refused = one.counters.dropped_items
        gate.open()
        assert one.flush(GUARD_S)
        frame.pts = number + 1
        assert one.write(frame)
    # Noise without loss is larger coded than raw: by so much the bound can be passed.
    assert largest <= 256 * 1024 * 1.25
    counters = one.stop().counters
    assert (counters.taken_items, counters.dropped_items) == (given - refused + 1, refused)
    assert counters.video_units == counters.taken_items
    assert decoded(tmp_path / "talk.ts")[0] == counters.taken_items
    assert max(record.dropped_units for record in one.flush_records) == refused


def noise():
    """Frames that hardly compress."""
    chance = np.random.default_rng(5)
    while True:
        frame = av.VideoFrame.from_ndarray(chance.integers(0, 255, (180, 160), dtype=np.uint8), "yuv420p")
        frame.time_base = Fraction(1, 10)
        yield frame


# Failing.


@pytest.mark.parametrize(
    ("name", "number"),
    [("write", errno.EIO), ("write", errno.EROFS), ("sync_data", errno.EIO), ("sync_data", errno.ENOSPC)],
)
def test_a_disk_that_fails_is_told_at_the_next_call_and_at_the_end(tmp_path, video_frames, name, number):
    system = FaultySystem()
    system.fail(name, 2, number)
    one = recorder(tmp_path, audio=None, _system=system)
    one.start()
    for frame in video_frames[:10]:
        one.write(frame)
    one.flush()
    for frame in video_frames[10:]:
        one.write(frame)
    with pytest.raises(WriteError) as caught:
        one.flush(GUARD_S)
    error = caught.value
    assert error.errno == number
    for call in (one.stop, one.stop, one.flush, lambda: one.write(video_frames[0])):
        with pytest.raises(WriteError) as caught:
            call()
        assert caught.value is error
    assert (one.state, one.error) == (State.FAILED, error)
    assert one.queue_bytes == 0
    assert not (tmp_path / "talk.ts").exists()
    assert (tmp_path / "talk.recording.tail").exists()
    report = scan(whole(one.temp_output_path))
    assert report.problem_counts == {}


def test_an_error_at_the_end_of_the_block_is_raised_there(tmp_path, video_frames):
    system = FaultySystem()
    system.fail("sync", 1, errno.EIO)
    with pytest.raises(WriteError), recorder(tmp_path, _system=system) as one:
        one.write(video_frames[0])
    assert one.state is State.FAILED


def test_an_exception_in_the_block_goes_before_an_error_of_the_recording(tmp_path, video_frames):
    system = FaultySystem()
    system.fail("sync", 1, errno.EIO)
    one = recorder(tmp_path, _system=system)
    with pytest.raises(OopsError):
        broken_off(one, video_frames, OopsError)
    assert isinstance(one.error, WriteError)


def test_callers_that_block_are_let_go_when_the_disk_fails(tmp_path):
    system = FaultySystem()
    gate = system.hold("write", 1)
    system.fail("sync_data", 1, errno.EIO)
    clock = FakeClock()
    one = recorder(tmp_path, audio=None, _system=system, _clock=clock, flush_threshold=64 * 1024,
                   queue_bytes=256 * 1024, video=VideoSettings(preset="ultrafast", crf=0.0))  # fmt: skip
    one.start()
    caught = []

    def keep_writing():
        try:
            for number, frame in enumerate(noise()):
                frame.pts = number
                one.write(frame)
        except WriteError as error:
            caught.append(error)

    caller = threading.Thread(target=keep_writing, name="caller")
    caller.start()
    clock.until_waiting("caller")
    gate.until_reached()
    gate.open()
    caller.join(GUARD_S)
    assert caught == [one.error]
    with pytest.raises(WriteError):
        one.stop()


def test_media_that_cannot_be_encoded_are_counted_and_end_it_if_there_is_nothing_else(
    tmp_path, video_frames, finished
):
    one = recorder(tmp_path, audio=None)
    one.start()
    for packet in packets_of(finished):
        if packet.stream.type == "video":
            one.write_packet(packet)
    # Frames into a stream of packets: one in a row does no harm, thirty do.
    one.write(video_frames[0])
    assert one.flush(GUARD_S)
    assert (one.state, one.counters.rejected_items) == (State.RECORDING, 1)
    with pytest.raises(MediaError):
        deque((one.write(video_frames[0]) and one.flush(GUARD_S) for _ in range(1000)), maxlen=0)
    with pytest.raises(MediaError):
        one.stop()
    assert (one.state, one.counters.rejected_items) == (State.FAILED, 30)
    assert decoded(one.temp_output_path)[0] == len(video_frames)


def test_flush_while_the_recording_is_failing_tells_of_it(tmp_path, video_frames, finished):
    system = FaultySystem()
    gate = system.hold("sync", 1)
    one = recorder(tmp_path, audio=None, _system=system)
    one.start()
    for packet in packets_of(finished):
        if packet.stream.type == "video":
            one.write_packet(packet)
    for _ in range(30):
        one.write(video_frames[0])
    # The partial is being left: it takes nothing more, and says why, though it has not ended yet.
    gate.until_reached()
    assert one.state is State.STOPPING
    for call in (lambda: one.write(video_frames[0]), lambda: one.flush(0.0)):
        with pytest.raises(MediaError):
            call()
    gate.open()
    with pytest.raises(MediaError):
        one.flush(GUARD_S)
    with pytest.raises(MediaError):
        one.stop()
    assert one.state is State.FAILED


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputAccessError):
        recorder(tmp_path / "file").start()


def test_the_log_lines_of_the_start(tmp_path, caplog, video_frames):
    caplog.set_level("INFO", "recordkit")
    with recorder(tmp_path) as one:
        one.write(video_frames[0])
    messages = [record.getMessage() for record in caplog.records]
    assert "Using DIRECT FILE WRITING with buffered flushing (4MB threshold)" in messages
    assert any(message.startswith("Flushed buffer") for message in messages)


@pytest.mark.parametrize("frame", [av.AudioFrame(), av.AudioFrame("s16", "stereo", 960)])
def test_audio_without_a_rate_or_samples_is_refused_at_the_call(tmp_path, frame):
    with recorder(tmp_path) as one:
        with pytest.raises(MediaError, match="set sample_rate"):
            one.write(frame)
        assert one.state is State.RECORDING


def test_after_a_flush_its_record_is_there(tmp_path, frames):
    with recorder(tmp_path) as one:
        for number, frame in enumerate(frames[:40]):
            one.write(frame)
            if number % 10 == 9:
                assert one.flush(GUARD_S)
                assert sum(record.flush_bytes for record in one.flush_records) == one.file_bytes > 0
                assert one.flushes.file_bytes.iloc[-1] == one.file_bytes


def test_a_mark_stands_where_the_media_was_that_had_been_given(tmp_path):
    clock = FakeClock()  # stands still: the video waits for the first of the audio
    with recorder(tmp_path, _clock=clock, audio=AudioSettings(), sample_interval=0) as one:
        one.mark("first of all")
        for number in range(10):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = 700 + number, Fraction(1, 10)
            one.write(frame)
        one.mark("not yet in the file")
    marks = [event.fields for event in one.log.contents.events if event.kind is EventKind.MARK]
    assert [mark["media_s"] for mark in marks] == pytest.approx([0.0, 0.9])


def test_frames_without_times_are_told_once(tmp_path, caplog):
    with recorder(tmp_path, audio=None) as one:
        for _ in range(3):
            one.write(av.VideoFrame(64, 48, "yuv420p"))
    assert caplog.text.count("frames come without pts") == 1
