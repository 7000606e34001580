"""What is tried with a file is told, whatever comes of it."""

import os
import signal
from contextlib import closing
from pathlib import Path

from ..media import make_clip
from . import trying
from .trying import Trier, recorded, recovered, repaired, verified


def test_a_recording_is_told_with_what_was_said(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", seconds=0.5)
    made = recorded(clip, tmp_path / "out.ts")
    assert (made.refused, made.fault, made.told) == (None, None, [])
    assert made.done["ended_because"] is None
    assert any("passed through" in line for line in made.noted)
    assert verified(tmp_path / "out.ts").done["ok"]
    assert repaired(tmp_path / "out.ts", tmp_path / "again.ts").done["path"] == str(tmp_path / "again.ts")
    assert recovered(tmp_path / "out.ts", tmp_path).done["outcome"] == "recovered"


def test_an_error_of_our_own_is_a_refusal(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no media at all\n" * 100)
    made = recorded(path, tmp_path / "out.ts")
    assert made.refused is not None
    assert made.refused.startswith("SourceError: ")
    assert made.fault is None


def test_any_other_exception_is_a_fault(tmp_path, monkeypatch):
    def fail(path: Path) -> None:
        raise IndexError("beyond the end")

    monkeypatch.setattr(trying.rk, "verify", fail)
    fault = verified(tmp_path).fault
    assert fault is not None
    assert fault.startswith("IndexError: beyond the end at test_trying.py:")


def test_a_process_that_hangs_or_dies_is_replaced(tmp_path):
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    with closing(Trier()) as trier:
        assert trier(verified, tmp_path / "none.ts", limit_s=60).refused is not None
        # Nobody writes into the pipe.
        assert trier(recorded, pipe, tmp_path / "out.ts", limit_s=0.2).fault == "hang: not ready after 0.2 s"
        assert trier(verified, tmp_path / "none.ts", limit_s=60).refused is not None
        os.kill(trier.pid, signal.SIGKILL)
        assert trier(verified, tmp_path / "none.ts", limit_s=60).fault == "crash: exit code -9"
        assert trier(verified, tmp_path / "none.ts", limit_s=60).refused is not None
