"""What is shown of a recording on the command line: what became of it, and what was lost."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import recordkit as rk
from recordkit.cli.recorded import plot, progress_line, show


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> rk.Recording:
    source = rk.Synthetic(96, 64, seconds=0.5, realtime=False)
    return rk.record(source, tmp_path_factory.mktemp("shown") / "talk.ts")


def shown(recording: rk.Recording) -> str:
    out = io.StringIO()
    show(Console(file=out, width=200), recording)
    return out.getvalue()


def test_what_was_recorded_is_named_and_losses_only_if_there_are_any(recording: rk.Recording) -> None:
    text = shown(recording)
    assert "talk.ts   00:00:00" in text
    assert "note" not in text
    counters = replace(recording.counters, dropped_items=1234, gap_count=2)
    text = shown(replace(recording, counters=counters, ended_because="disk full"))
    assert "the recording ended by itself: disk full" in text
    assert "dropped because the queue was full: 1,234, gaps in the audio: 2" in text
    assert "out of order" not in text


@pytest.mark.parametrize("has_begun", [True, False])
def test_what_comes_behind_the_line_of_progress_begins_a_line(tmp_path: Path, has_begun: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    with suppress(rk.SourceError), progress_line(console) as look:
        if has_begun:
            look(rk.Recorder(tmp_path / "talk.ts"))
        raise rk.SourceError("camera", "the connection was closed")
    console.print("error")
    assert out.getvalue().splitlines()[-1] == "error"
    assert len(out.getvalue().splitlines()) == 1 + has_begun


def test_no_file_is_told(recording: rk.Recording) -> None:
    nothing = replace(recording, path=None, counters=replace(recording.counters, video_units=0, audio_units=0))
    assert shown(nothing).strip() == "No media arrived, so no file was written."
    # Of a ring.
    assert shown(replace(recording, path=None)).strip() == "Nothing was asked for, so no file was written."


def test_an_image_that_cannot_be_written_is_named(recording: rk.Recording, tmp_path: Path) -> None:
    with pytest.raises(rk.SettingsError, match=r"plot='.*x\.png': cannot be written"):
        plot(recording, tmp_path / "no" / "x.png")
