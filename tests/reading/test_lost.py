"""What is missing in a recording is told while it grows, when it is finished, and after a kill, table or not."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.telemetry.table import ROW, table_path
from tests.judges import assert_decodes_in_silence

FIRST_NS = 1_795_867_200_000_000_000
LOST = {7: 1, 20: 3, 41: 2}
"""So many frames are missing before these numbers of the source."""
KEPT = [number for number in range(60) if not any(at - count <= number < at for at, count in LOST.items())]
EXPECTED = [LOST.get(number, 0) for number in KEPT]


def begun(path: Path) -> rk.Recorder:
    """Two seconds with losses that are told; it goes on. The table alone says when frames were taken."""
    video = rk.VideoSettings(preset="ultrafast")
    recorder = rk.Recorder(path, video=video, audio=None, flush_interval=30, embed_times=False)
    recorder.start()
    for frame in rk.Synthetic(160, 120, fps=30, audio=False, seconds=2).frames():
        if isinstance(frame, av.VideoFrame) and frame.pts in KEPT:
            recorder.write(frame, captured=FIRST_NS + frame.pts * 10_000_000, discontinuity=frame.pts in LOST)
    return recorder


def told(path: Path) -> tuple[list[int], list[float]]:
    """Of each frame what is lost before it, and the hundredths of a second at which it was taken."""
    with rk.open(path) as video:
        rows = video.frames
    return rows["lost_before"].tolist(), (
        (rows["captured"] - pd.Timestamp(FIRST_NS, tz="UTC")).dt.total_seconds() * 100
    ).tolist()


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_it_is_told_while_it_grows_and_when_it_is_finished(tmp_path: Path, suffix: str) -> None:
    recorder = begun(tmp_path / f"talk{suffix}")
    recorder.flush()
    growing = told(tmp_path / f"talk{suffix}")
    recorder.stop()
    assert growing == told(tmp_path / f"talk{suffix}") == (EXPECTED, pytest.approx(KEPT))


def test_a_reader_that_was_there_before_the_table_learns_it(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "talk.mp4")
    recorder.flush()
    table = table_path(tmp_path / "talk.mp4")
    aside = table.rename(tmp_path / "aside")
    with rk.open(tmp_path / "talk.mp4") as video:
        assert video.frames["captured"].isna().all()
        aside.rename(table)
        video.refresh()
        assert video.frames["captured"].notna().all()
    recorder.stop()


def test_a_table_that_ends_before_its_file_does_tells_of_what_it_has(tmp_path: Path) -> None:
    begun(tmp_path / "talk.mp4").stop()
    table = table_path(tmp_path / "talk.mp4")
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) - 20 * ROW.itemsize])
    lost, taken = told(tmp_path / "talk.mp4")
    assert lost == EXPECTED
    assert taken[:-20] == pytest.approx(KEPT[:-20])
    assert np.isnan(taken[-20:]).all()


def test_the_table_of_another_recording_is_not_believed(tmp_path: Path) -> None:
    begun(tmp_path / "talk.mp4").stop()
    with rk.Recorder(tmp_path / "other.mp4", audio=None, embed_times=False) as recorder:
        for frame in rk.Synthetic(320, 240, fps=30, audio=False, seconds=2).frames():
            recorder.write(frame)
    shutil.copy(table_path(tmp_path / "talk.mp4"), table_path(tmp_path / "other.mp4"))
    lost, taken = told(tmp_path / "other.mp4")
    assert lost == [0] * 60
    assert np.isnan(taken).all()


@pytest.mark.parametrize("flushes", [False, True])
@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_after_a_kill_what_came_since_the_last_flush_is_told_without_any_table(
    tmp_path: Path, suffix: str, flushes: bool
) -> None:
    recorder = begun(tmp_path / f"talk{suffix}")
    while recorder.counters.video_units < len(KEPT):
        threading.Event().wait(0.005)
    if flushes:
        recorder.flush()
    left = tmp_path / "left"
    left.mkdir()
    for name in (f"talk.recording{suffix}", "talk.recording.tail"):
        shutil.copy(tmp_path / name, left / name)
    recorder.stop()
    assert told(left / f"talk.recording{suffix}")[0] == EXPECTED
    rk.recover(left / f"talk{suffix}")
    assert told(left / f"talk{suffix}")[0] == EXPECTED
    assert rk.verify(left / f"talk{suffix}", decode=True).ok


def test_the_losses_of_a_finished_mp4_stand_in_it_and_ffmpeg_passes_over_them(tmp_path: Path) -> None:
    begun(tmp_path / "talk.mp4").stop()
    table_path(tmp_path / "talk.mp4").unlink()
    assert told(tmp_path / "talk.mp4")[0] == EXPECTED
    assert_decodes_in_silence(tmp_path / "talk.mp4")


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_an_export_tells_of_what_its_original_lacks(tmp_path: Path, suffix: str) -> None:
    begun(tmp_path / "talk.ts").stop()
    copy = rk.export(tmp_path / "talk.ts", tmp_path / f"copy{suffix}").path
    assert told(copy)[0] == EXPECTED
    assert rk.verify(copy, decode=True).ok
