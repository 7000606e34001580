"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from typer.main import get_group

import recordkit
from recordkit.cli.app import app
from recordkit.fleet import many
from recordkit.recorder.record import record
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify
from tests.fleet.driving import Here, lay_archive
from tests.media import make_clip

README = (Path(__file__).parents[1] / "README.md").read_text()


FRAMES, ARCHIVE, FLEET, RECORDING, BACKGROUND, ANALYSIS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_of_frames_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = recordkit.Recorder("talk.ts")
    with recorder:
        for number, frame in enumerate(Synthetic(width=64, height=48, seconds=6, audio=False).frames()):
            recorder.write(frame)
            if number == 60:
                recorder.flush()
                recorder.mark("stimulus 3")
    for name in ("left.ts", "right.ts"):
        recordkit.record(Synthetic(width=64, height=48, seconds=0.2, audio=False), name)
    exec(FRAMES, {"rk": recordkit})  # noqa: S102 - our own README


def test_the_example_of_an_archive_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    lay_archive(Path("archive"))
    exec(ARCHIVE, {"rk": recordkit})  # noqa: S102 - our own README
    made = {str(path) for path in Path().rglob("*") if path.is_file()}
    copies = {"archive/day/broken.mp4", "archive/good.mp4", "fixed/day/broken.ts"}
    tables = {"tables/day/broken.parquet", "tables/good.parquet"}
    assert made == {"archive/day/broken.ts", "archive/day/words.ts", "archive/good.ts"} | copies | tables


def test_the_example_of_a_fleet_asks_for_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """That cameras are recorded on a cluster is tested elsewhere."""
    fleet = create_autospec(recordkit.Fleet, instance=True)
    record_all = create_autospec(recordkit.record_all, return_value=fleet)
    monkeypatch.setattr(recordkit, "record_all", record_all)
    exec(FLEET, {"rk": recordkit, "client": None})  # noqa: S102 - our own README
    assert list(record_all.call_args.args[0]) == ["door", "hall"]
    fleet.stop.assert_called_once()


def test_the_recording_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(RECORDING, {})  # noqa: S102 - our own README
    for name in ("talk.ts", "copy.ts"):
        assert verify(tmp_path / name, decode=True).ok


def test_the_background_example_runs_as_a_script(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACKGROUND], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^(recording|degraded) \d{4,} \d{8,}$", done.stdout, re.MULTILINE)
    assert "commit" in done.stdout
    assert verify(tmp_path / "meeting.ts", decode=True).ok


def test_the_analysis_example_runs_as_a_script(tmp_path: Path) -> None:
    for name in ("talk", "walk"):
        source = Synthetic(width=64, height=48, realtime=False)
        record(source, tmp_path / "recordings" / f"{name}.ts", seconds=2, flush_interval=0.1)
    done = subprocess.run(
        [sys.executable, "-c", ANALYSIS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^talk\b.*^walk\b", done.stdout, re.MULTILINE | re.DOTALL)
    assert (tmp_path / "talk.png").read_bytes().startswith(b"\x89PNG")
    assert "+00:00" not in (tmp_path / "flushes.csv").read_text(), "a time that Excel reads"
    assert (tmp_path / "recordings.csv").read_text().startswith("recording,megabytes")


def test_the_links_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", README, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        place, _, head = target.partition("#")
        assert (Path(__file__).parents[1] / place).exists(), target
        assert not head or head in heads, target


def test_the_words_are_those_of_the_glossary() -> None:
    glossary = (Path(__file__).parents[1] / "docs" / "glossary.md").read_text().splitlines()
    five = [
        line for line in README.splitlines() if re.match(r"\| (access unit|partial|tail|flush|commit) \|", line)
    ]
    assert len(five) == 5
    assert set(five) <= set(glossary)


@pytest.mark.parametrize(
    "line", re.findall(r"(?:`|^|/bin/|alsa.conf )recordkit ([a-z]+[^`#\n]*)", README, re.MULTILINE)
)
def test_commands_and_their_options_exist(line: str) -> None:
    name, *words = line.split()
    command = get_group(app).commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert [word for word in words if word.startswith("--") and word not in known] == []
