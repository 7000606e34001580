"""What is promised of recordings holds in each container: the suffix chooses, and nothing else changes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

import recordkit as rk
from recordkit.names import AUDIO_ALONE, SUFFIXES, final_of, is_partial, partial_of, stem_of, suffix_of
from recordkit.system import System
from recordkit.telemetry.watch import WatchedState, WatchState, scan

from ..judges import assert_decodes_in_silence
from ..media import make_clip

WITH_VIDEO = [one for one in SUFFIXES if one not in AUDIO_ALONE]
"""Those for audio alone have tests of their own."""
each_suffix = pytest.mark.parametrize("suffix", WITH_VIDEO)
SMALL = {"width": 160, "height": 90, "fps": 25}


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@each_suffix
@pytest.mark.judge
def test_a_recording_is_committed_and_plays(tmp_path, suffix):
    path = tmp_path / f"talk{suffix}"
    found = rk.record(rk.Synthetic(**SMALL, seconds=2), path)
    assert found.path == path
    assert sorted(one.name for one in tmp_path.iterdir()) == ["talk.flushes.jsonl", "talk.frames", path.name]
    assert_decodes_in_silence(path)
    assert frames(path) == 50
    assert rk.verify(path, decode=True).ok


@each_suffix
@pytest.mark.judge
def test_while_it_runs_the_partial_plays(tmp_path, suffix):
    path = tmp_path / f"talk{suffix}"
    with rk.Recorder(path, flush_threshold=65_536, flush_log=False) as recorder:
        for frame in rk.Synthetic(**SMALL, seconds=2).frames():
            recorder.write(frame)
        recorder.flush()
        partial = tmp_path / f"talk.recording{suffix}"
        assert partial == recorder.temp_output_path
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes(partial.read_bytes())
    assert_decodes_in_silence(copy)


@each_suffix
def test_what_was_recorded_is_recorded_from_again_without_loss(tmp_path, suffix):
    """Frame by frame the coded bytes stay the same, from any container to any."""
    first = tmp_path / f"first{suffix}"
    rk.record(rk.Synthetic(**SMALL, seconds=1), first, flush_log=False)
    for other in WITH_VIDEO:
        second = tmp_path / f"second{other}"
        rk.record(first, second, flush_log=False)
        with av.open(str(first)) as one, av.open(str(second)) as two:
            decoded = [[bytes(frame.planes[0]) for frame in container.decode(video=0)] for container in (one, two)]
        assert decoded[0] == decoded[1]
        assert len(decoded[0]) == 25


@each_suffix
def test_a_killed_recording_is_recovered(tmp_path, suffix):
    path = tmp_path / f"talk{suffix}"
    code = (
        "import sys, recordkit as rk\n"
        "with rk.Recorder(sys.argv[1], flush_interval=0.2) as recorder:\n"
        "    for frame in rk.Synthetic(width=160, height=90, fps=25, seconds=60).frames():\n"
        "        recorder.write(frame)\n"
        "        print(recorder.bytes_since_last_flush, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout):
            if number == 400:
                process.send_signal(signal.SIGKILL)
                break
    assert not path.exists()
    found = rk.recover(tmp_path)
    assert [one.final_path for one in found] == [path], found
    assert rk.verify(path, decode=True).ok
    # Whether it had a table depends on whether anything had been flushed.
    names = {one.name for one in tmp_path.iterdir()} - {"talk.frames"}
    assert names == {"talk.flushes.jsonl", path.name}


@each_suffix
def test_a_worker_records_it_and_watch_tells(tmp_path, suffix):
    path = tmp_path / f"talk{suffix}"
    session = rk.start(rk.Synthetic(**SMALL, seconds=3600, realtime=True), path, flush_interval=0.2)
    try:
        while not session.flush_records:
            assert not session.wait(0.05)
        seen = scan(tmp_path, time.time_ns(), System(), WatchState())
        assert [(one.name, one.state) for one in seen] == [(path.name, WatchedState.RECORDING)]
    finally:
        found = session.stop()
    assert found.path == path
    assert rk.verify(path).ok
    (seen,) = scan(tmp_path, time.time_ns(), System(), WatchState())
    assert (seen.name, seen.state) == (path.name, WatchedState.FINISHED)


@pytest.mark.judge
def test_an_mp4_may_stay_in_fragments(tmp_path):
    path = tmp_path / "talk.mp4"
    rk.record(rk.Synthetic(**SMALL, seconds=2), path, finish="fragmented", flush_log=False)
    assert b"mfra" in path.read_bytes()[-200:]
    assert_decodes_in_silence(path)
    assert frames(path) == 50
    assert rk.verify(path).ok


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names(suffix):
    assert partial_of(f"talk{suffix}") == f"talk.recording{suffix}"
    assert final_of(f"talk.recording{suffix}") == f"talk{suffix}"
    assert is_partial(f"talk.recording{suffix}")
    assert not is_partial(f"talk{suffix}")
    for name in (f"a.b{suffix}", f"a.b.recording{suffix}", "a.b.recording.tail"):
        assert stem_of(name) == "a.b"
    assert suffix_of(f"talk{suffix}") == suffix
    assert suffix_of("talk.mkv") == ""


def test_nothing_is_kept_free_in_fragments_for_what_cannot_come(tmp_path):
    """Before the first unit, where all streams are there: FFmpeg counts it as part of the duration."""
    path = tmp_path / "talk.mp4"
    with rk.Recorder(path, finish="fragmented", sample_interval=0) as recorder:
        for frame in rk.Synthetic(64, 48, fps=10, seconds=2, realtime=False).frames():
            recorder.write(frame)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base == pytest.approx(2, abs=0.05)


def decoded(path: Path) -> tuple[int, float]:
    """How many samples of audio libavformat gives, and how long after the first frame they end."""
    with av.open(str(path)) as container:
        heard = list(container.decode(audio=0))
    with av.open(str(path)) as container:
        shown = next(container.decode(video=0))
    return sum(frame.samples for frame in heard), heard[-1].time + heard[-1].samples / 48_000 - shown.time


def test_all_audio_of_fragments_is_heard_beside_frames_that_are_reordered(tmp_path):
    """libavformat leaves out as many samples as the edit list says, wherever the first fragment begins."""
    options = {"bf": "3", "g": "30", "x264-params": "scenecut=0"}
    film, path = make_clip(tmp_path / "film.ts", seconds=2, options=options), tmp_path / "talk.mp4"
    rk.record(film, path, finish="fragmented", flush_log=False)
    (given, its_end), (samples, end) = decoded(film), decoded(path)
    assert samples == given
    assert end == pytest.approx(its_end, abs=0.0001)
    assert rk.verify(path).ok
