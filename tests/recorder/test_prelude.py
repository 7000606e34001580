"""What waits for its clocks is in the tail: recovered if the process ends there, replaced if it goes on."""

import shutil
from dataclasses import replace
from itertools import chain

import pytest

import recordkit as rk
from recordkit.model import EventKind
from recordkit.ticks import TICKS_PER_SECOND
from recordkit.writer.header import HEADER_BYTES, read_header

from ..encode.live_units import pictures, sound
from ..steering import GUARD_S

OFFSET = TICKS_PER_SECOND // 2
"""How much later the video turns out to be taken than its arrival said."""


@pytest.fixture(scope="module")
def held():
    """A second and a half of video and audio, by arrival."""
    film, talk = pictures("h264", 45, (64, 48)), sound("opus", 1.5)
    return sorted(chain(film, talk), key=lambda unit: unit.ticks)


def started(folder, suffix=".ts", **settings):
    recorder = rk.Recorder(
        folder / f"talk{suffix}", video=rk.VideoSettings(), overflow="drop", flush_interval=60, **settings
    )
    recorder.start()
    return recorder


def killed(recorder, folder):
    """What a kill at this moment would leave, recovered: the report on it."""
    for path in recorder.final_output_path.parent.glob("talk.*"):
        shutil.copy(path, folder / path.name)
    path = folder / recorder.final_output_path.name
    assert rk.recover(path).ok
    return rk.verify(path, decode=True)


def settle(recorder):
    """Wait until all that was given has been looked at."""
    assert recorder.flush(GUARD_S)


def placed(recorder, held):
    """The recording after all that was held has come to its place, and plays."""
    for unit in held:
        recorder.write_unit(unit)
    recorder.write_early(None)
    made = recorder.stop()
    assert rk.verify(made.path, decode=True).ok
    return made


def header(recorder):
    return read_header(recorder._writer._output.tail_path.read_bytes()[:HEADER_BYTES])


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_a_kill_while_it_waits_costs_nothing_and_what_comes_takes_its_place(held, tmp_path, suffix):
    left = tmp_path / "left"
    left.mkdir()
    recorder = started(tmp_path, suffix)
    for unit in held:
        assert recorder.write_early(unit, 0)
    settle(recorder)
    assert header(recorder).is_early
    assert (recorder.file_bytes, recorder.duration_s, recorder.counters.taken_items) == (0, 0.0, 0)
    found = killed(recorder, left)
    assert found.ok, found.problems
    assert found.duration_s == pytest.approx(1.5, abs=0.1)
    assert found.streams[0].decoded == 45
    # Now the reports have come, and put the video elsewhere.
    placed = [replace(unit, ticks=unit.ticks + OFFSET) if unit.is_video else unit for unit in held]
    for unit in sorted(placed, key=lambda unit: unit.ticks):
        recorder.write_unit(unit)
    recorder.write_early(None)
    settle(recorder)
    assert not header(recorder).is_early
    made = recorder.stop()
    assert made.counters.video_units == 45
    report = rk.verify(made.path, decode=True)
    assert report.ok, report.problems
    events = recorder.log.contents.events
    first = next(one for one in events if one.kind is EventKind.KEYFRAME and one.fields["stream"] == 0)
    assert first.fields["media_s"] == pytest.approx(0.5, abs=0.05)
    assert [one.kind for one in events].count(EventKind.STREAM) == 2


def test_one_that_is_stopped_while_it_waits_keeps_what_was_handed_on(held, tmp_path):
    recorder = started(tmp_path)
    for unit in held:
        recorder.write_early(unit, 0)
    made = placed(recorder, held)
    assert made.counters.video_units == 45


def test_without_room_it_says_so_and_harms_nothing(held, tmp_path):
    recorder = started(tmp_path, flush_threshold=65536)
    many = [replace(unit, data=unit.data + bytes(300_000)) for unit in held if unit.is_video]
    room = []
    recorder.write_early(next(unit for unit in held if not unit.is_video), 0)  # it waits for no stream then
    for unit in many:
        room.append(recorder.write_early(unit, 0))
        settle(recorder)
    assert room[0]
    assert not room[-1]
    made = placed(recorder, held)
    assert made.counters.video_units == 45


def test_what_cannot_be_laid_early_harms_nothing(held, tmp_path):
    recorder = started(tmp_path)
    for unit in held:
        recorder.write_early(replace(unit, codec="vp8" if unit.is_video else "pcm_alaw", data=b"junk"), 0)
    made = placed(recorder, held)
    assert (made.counters.video_units, made.counters.rejected_items) == (45, 0)


def test_what_comes_while_the_rest_finds_its_place_may_be_kept_safe_and_comes_once(held, tmp_path):
    recorder = started(tmp_path)
    early, late = held[:80], held[80:]
    for unit in early:
        assert recorder.write_early(unit, 0)
    for unit in early:
        recorder.write_unit(unit)
    recorder.write_early(None)
    for unit in late:
        recorder.write_unit(unit)
        recorder.write_early(unit)
    settle(recorder)
    assert not header(recorder).is_early
    assert not recorder.write_early(late[-1])
    made = recorder.stop()
    assert made.counters.video_units == 45
    assert rk.verify(made.path, decode=True).ok


def test_what_comes_as_opus_is_not_coded_anew_for_it(held, tmp_path):
    left = tmp_path / "left"
    left.mkdir()
    recorder = started(tmp_path)
    for unit in held:
        recorder.write_early(unit, 0)
    settle(recorder)
    found = killed(recorder, left)
    assert [one.codec for one in found.streams] == ["h264", "opus"]
    assert found.streams[1].access_units == sum(not unit.is_video for unit in held)
    made = placed(recorder, held)
    assert [one.codec for one in rk.verify(made.path).streams] == ["h264", "aac"]
