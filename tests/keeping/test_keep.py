"""``rk.keep`` and the command: rows of what goes, and that real recordings are told from damaged ones."""

import json
import threading

import pytest

import recordkit as rk
from recordkit.errors import OutputBusyError, SettingsError
from recordkit.keeping import keep as module
from recordkit.keeping.keep import whats_wrong
from recordkit.recorder.record import record
from recordkit.sources.synthetic import Synthetic
from recordkit.system import System

from ..cli.driving import call
from ..steering import FakeClock
from .lying import WHOLE_BYTES, Folder


def test_a_row_a_recording_that_goes(tmp_path):
    Folder(tmp_path).lay(0, 1, 2)
    rows = rk.keep(tmp_path, rk.Keep(max_count=1), dry_run=True)
    assert rows.columns.tolist() == ["path", "bytes", "ended", "because", "fate", "problem"]
    assert rows["path"].tolist() == [str(tmp_path / "r0.ts"), str(tmp_path / "r1.ts")]
    assert rows["bytes"].tolist() == [WHOLE_BYTES] * 2
    assert str(rows["ended"].dtype) == "datetime64[ns, UTC]"
    assert rows["ended"].is_monotonic_increasing
    assert rows["fate"].tolist() == ["due", "due"]
    assert rk.keep(tmp_path, rk.Keep(max_count=1))["fate"].tolist() == ["deleted", "deleted"]
    empty = rk.keep(tmp_path, rk.Keep(max_count=1))
    assert len(empty) == 0
    assert empty.dtypes.equals(rows.dtypes)


def test_bad_arguments(tmp_path):
    with pytest.raises(SettingsError, match="give recordkit"):
        rk.keep(tmp_path, "7d")
    with pytest.raises(SettingsError, match="dry_run"):
        rk.keep(tmp_path, rk.Keep(max_count=1), dry_run="yes")
    with pytest.raises(SettingsError, match="dry_run"):
        rk.keep(tmp_path, rk.Keep(max_count=1), dryrun=True)


def test_a_folder_that_is_busy_is_waited_for_and_then_told(tmp_path, monkeypatch):
    class Passing(FakeClock):
        def sleep(self, seconds: float, interrupt: threading.Event) -> None:
            self.advance(seconds)

    tries = []

    def busy(self, now_ns, *, dry_run):
        tries.append(now_ns)
        raise OutputBusyError(tmp_path, "another pass is at work")

    monkeypatch.setattr(module.Passes, "run", busy)
    with pytest.raises(OutputBusyError):
        module.passed(tmp_path, rk.Keep(max_count=1), dry_run=False, clock=Passing(), system=System())
    assert len(tries) > 100


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "talk.ts"
    return record(Synthetic(width=64, height=48, fps=10, seconds=0.5, realtime=False), path, on_progress=print)


def test_what_is_wrong_with_a_recording(recording, tmp_path):
    assert whats_wrong(recording.path) is None
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(recording.path.read_bytes()[: 188 * 20])
    assert whats_wrong(damaged)
    assert "cannot be read" in whats_wrong(tmp_path / "nowhere.ts")


def test_what_this_package_reads_stays(recording):
    folder = recording.path.parent
    with rk.open(recording) as video:
        assert len(video)
        rows = rk.keep(folder, rk.Keep(max_bytes=1))
    assert rows["problem"].tolist() == ["is being read"]
    assert rk.keep(folder, rk.Keep(max_bytes=1), dry_run=True)["fate"].tolist() == ["due"]


def test_the_command(tmp_path):
    folder = Folder(tmp_path)
    folder.lay(0, 1, 2)
    code, out, _ = call("keep", tmp_path, "--max-count", "2", "--dry-run", "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["path"], row["fate"], row["ended"]) == (
        str(tmp_path / "r0.ts"),
        "due",
        "2023-11-04T22:13:20.000+00:00",
    )
    code, out, _ = call("pin", tmp_path / "r0.ts")
    assert (code, out.strip()) == (0, f"Pinned: {tmp_path / 'r0.pinned'}")
    code, out, _ = call("keep", tmp_path, "--max-bytes", "1k")
    assert code == 1
    assert "kept: is pinned" in out
    assert "nothing more that may be deleted" in out
    assert call("pin", "--off", tmp_path / "r0.ts")[:2] == (0, "Not pinned any more.\n")
    assert call("pin", "--off", tmp_path / "r0.ts")[:2] == (0, "It was not pinned.\n")
    code, out, _ = call("keep", tmp_path, "--max-age", "1d", "--min-free", "1", "--verified-only")
    assert (code, "is not sound" in out) == (0, True)
    code, out, _ = call("keep", tmp_path, "--max-age", "10000d")
    assert (code, out) == (0, "Nothing is beyond the bounds.\n")
    assert call("keep", tmp_path)[0] == 2


def test_a_recording_from_the_command_line_keeps_its_folder_and_calls_a_command(tmp_path):
    Folder(tmp_path).lay(0, 1)
    code, _, errors = call(
        "record", "--source", "synthetic", "--fast", "--seconds", "0.3", "--size", "64x48", "--fps", "10",
        "--keep-count", "2", "--on-commit", "no-such-command {path}", tmp_path / "now.ts",
    )  # fmt: skip
    assert code == 0, errors
    assert Folder(tmp_path).recordings == ["now", "r1"]
    assert call("record", "--source", "synthetic", "--keep-age", "soon", tmp_path / "x.ts")[0] == 2
    assert call("record", "--source", "synthetic", "--on-commit", "it's", tmp_path / "x.ts")[0] == 2


@pytest.mark.parametrize(
    ("options", "bounds", "min_free"),
    [
        ([], None, 256 << 20),
        (["--min-free", "1G"], None, 1 << 30),
        (["--keep-age", "7d"], rk.Keep(max_age="7d"), 256 << 20),
        (["--keep-bytes", "2T", "--min-free", "20G"], rk.Keep(max_bytes="2T", min_free="20G"), 256 << 20),
    ],
)
def test_serve_deletes_only_if_that_is_asked_for(tmp_path, monkeypatch, options, bounds, min_free):
    from recordkit.endpoint import serve as module

    called = []
    monkeypatch.setattr(module, "serve", lambda *given, **named: called.append((given[1], named["keep"])))
    assert call("serve", tmp_path, *options)[0] == 0
    ((whip, keep),) = called
    assert (whip.min_free_bytes, keep) == (min_free, bounds)
