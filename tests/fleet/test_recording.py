"""Many sources recorded at once, by processes of this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.fleet import placing, recording
from recordkit.fleet.placed import Placed
from tests.fleet.driving import until

SMALL = rk.Synthetic(width=64, height=48, fps=25, audio=False)


def test_all_are_recorded_and_one_that_is_killed_is_recovered_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_STEP_S", 0.05)
    sources = {"door": SMALL, "none": tmp_path / "none.mp4"}
    with rk.record_all(sources, tmp_path / "{name}.ts", flush_interval=0.2) as fleet:
        until(lambda: fleet.figures["state"].tolist() == ["recording", "failed"])
        until(lambda: fleet.figures.loc["door", "file_bytes"] > 0)
        assert "none.mp4" in fleet.figures.loc["none", "problem"]
        os.kill(int(fleet.figures.loc["door", "process"]), signal.SIGKILL)
        until(lambda: fleet.figures.loc["door", "path"].endswith("door-2.ts"))
        until(lambda: fleet.figures.loc["door", "state"] == "recording")
        until(lambda: fleet.figures.loc["door", "file_bytes"] > 0)
        assert repr(fleet) == "<Fleet 2 sources: 1 failed, 1 recording>"
    assert fleet.figures["state"].tolist() == ["stopped", "failed"]
    assert sorted(one.name for one in tmp_path.glob("*.ts")) == ["door-2.ts", "door.ts"]
    assert all(rk.verify(one).ok for one in tmp_path.glob("*.ts"))
    events = fleet.events[fleet.events["name"] == "door"]
    assert sorted(events["what"]) == ["lost", "placed", "placed", "recording", "recording", "recovered"]
    assert events.loc[events["what"] == "recovered", "bytes"].item() > 0
    assert events["without_s"].max() > 0


def test_a_second_call_finds_what_is_recorded_and_records_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_STEP_S", 0.05)
    fleet = rk.record_all({"door": SMALL}, tmp_path / "{name}.ts", flush_interval=0.2)
    until(lambda: fleet.figures["state"].tolist() == ["recording"])
    until(lambda: fleet.figures.loc["door", "file_bytes"] > 0)
    os.kill(int(fleet.figures.loc["door", "process"]), signal.SIGKILL)
    until(lambda: fleet.figures.loc["door", "path"].endswith("door-2.ts"))
    until(lambda: fleet.figures.loc["door", "state"] == "recording")
    with rk.record_all({"door": SMALL, "hall": SMALL}, tmp_path / "{name}.ts") as again:
        until(lambda: again.figures["state"].tolist() == ["recording"] * 2)
        until(lambda: all(again.figures["file_bytes"] > 0))
        assert again.figures.loc["door", "process"] == fleet.figures.loc["door", "process"]
        assert again.events["what"].tolist().count("found again") == 1
    until(lambda: fleet.figures["state"].tolist() == ["stopped"])
    fleet.close()
    assert sorted(one.name for one in tmp_path.glob("*.ts")) == ["door-2.ts", "door.ts", "hall.ts"]


def test_what_a_program_that_is_gone_left_unfinished_is_recovered_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_STEP_S", 0.05)
    monkeypatch.setattr(placing, "GONE_AFTER_S", 0.2)
    killed = rk.start(SMALL, tmp_path / "door.ts", flush_interval=0.2)
    until(lambda: killed.figures.file_bytes > 0)
    os.kill(killed.worker_pid, signal.SIGKILL)
    until(lambda: killed.has_ended)
    with rk.record_all({"door": SMALL}, tmp_path / "{name}.ts") as fleet:
        until(lambda: fleet.figures["state"].tolist() == ["recording"])
        until(lambda: "recovered" in fleet.events["what"].tolist())
        until(lambda: fleet.figures.loc["door", "file_bytes"] > 0)
    assert sorted(one.name for one in tmp_path.glob("*.ts")) == ["door-2.ts", "door.ts"]
    assert all(rk.verify(one).ok for one in tmp_path.glob("*.ts"))


@pytest.mark.parametrize(
    ("sources", "path", "words"),
    [
        ({}, "{name}.ts", "give a dict"),
        ([SMALL], "{name}.ts", "give a dict"),
        ({"a": SMALL, "b": SMALL}, "all.ts", r"with \{name\} in it"),
        ({"a/b": SMALL}, "{name}.ts", "part of a file's name"),
        ({"": SMALL}, "{name}.ts", "part of a file's name"),
        ({"a": 5}, "{name}.ts", "give a path or URL"),
        ({"a": rk.Synthetic}, "{name}.ts", "that is a class"),
        ({"a": SMALL}, "{name}.xyz", "a.xyz"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_begins(
    sources: object, path: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises((rk.SettingsError, rk.OutputNameError), match=words):
        rk.record_all(sources, tmp_path / path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_an_engine_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(rk.SettingsError, match=r"give a distributed\.Client"):
        rk.record_all({"a": SMALL}, tmp_path / "{name}.ts", engine="tcp://127.0.0.1:1")
    with pytest.raises(rk.SettingsError, match="flush_interval"):
        rk.record_all({"a": SMALL}, tmp_path / "{name}.ts", flush_intervall=1)  # type: ignore[call-arg]


def test_a_cluster_that_is_gone_is_told_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "_STEP_S", 0.001)
    monkeypatch.setattr(recording, "_LONGEST_UNWATCHED_S", 0.0)

    class Gone:
        def living(self) -> dict[str, float | None]:
            if asked:
                raise rk.FleetError("tcp://a", "the client is not connected")
            return {"tcp://b": None}

        def ask(self, questions: object) -> dict[str, dict[str, object]]:
            asked.append(questions)
            return {}

    asked: list[object] = []
    fleet = rk.Fleet([Placed("door", {}, str(tmp_path / "door.ts"))], Gone(), 0)
    with pytest.raises(rk.FleetError, match="tcp://a: the recordings go on, nobody can stop them"):
        fleet.stop()
    assert isinstance(fleet.error, rk.FleetError)
    fleet.close()
    with pytest.raises(rk.FleetError, match="are watched no more"):
        fleet.stop()
    assert caplog.text.count("The recordings go on unwatched") == 1
