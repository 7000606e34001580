"""What a full or failing disk, and what lies in the way, do to a recording however it was begun.

By rk.record, by rk.start in a worker, by the command line; with real disks, and faults that strace injects.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.cli import FAULT
from recordkit.model import EventKind
from recordkit.writer.closing import DISK_FULL

from .cli.driving import call
from .judges import judge
from .mounts import mounted
from .recovery.material import Lying, media, unit_starts
from .steering import GUARD_S, PACKET

ROOT = Path(__file__).parents[1]
ODD = "-o 'odd'\n\x01ü.ts"
SMALL = rk.Synthetic(width=64, height=48, fps=25, audio=False, realtime=False)
LARGE = rk.Synthetic(width=320, height=180, fps=25, audio=False, realtime=False)
FAST = rk.VideoSettings(preset="ultrafast")
DENSE = rk.VideoSettings(preset="ultrafast", crf=1)
CLI = [sys.executable, "-c", "import sys; from recordkit.cli import run; sys.exit(run(sys.argv[1:]))"]


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def by_record(path: Path, **settings: object) -> None:
    rk.record(SMALL, path, seconds=0.2, video=FAST, **settings)


def by_session(path: Path, **settings: object) -> None:
    session = rk.start(SMALL, path, seconds=0.2, video=FAST, **settings)
    assert session.wait(GUARD_S)
    session.stop()


def by_command(path: Path, **settings: object) -> None:
    options = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
    size = ("--size", "64x48", "--seconds", 0.2, "--fast", "--no-audio", "--preset", "ultrafast")
    code, _, errors = call("record", "--source", "synthetic", *size, *options, path)
    if code:
        assert code == FAULT
        raise rk.RecordkitError(errors)


def lay_dead(path: Path) -> bytes:
    data = media()
    cut = unit_starts(data)[50]
    Lying(path.parent, path.name.removesuffix(".ts")).lay(data[:cut], [(cut, data[cut:])])
    return data


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(folder).f_bavail == 0
    return filler


# What lies in the way.


@pytest.mark.parametrize(
    ("way", "name"),
    [(by_record, ODD), (by_session, "talk.ts"), (by_command, ODD)],
    ids=["record", "start", "command"],
)
def test_an_unfinished_recording_in_the_way_is_refused_recovered_or_moved_aside(
    tmp_path: Path, way: Callable[..., None], name: str
) -> None:
    path = tmp_path / name
    data = lay_dead(path)
    if way is by_command:
        path = Path(os.path.relpath(path))  # a name that begins with a dash, behind its folder
    with pytest.raises(rk.RecordkitError, match="an unfinished recording lies in the way"):
        way(path)
    way(path, on_partial="recover")
    stem = name.removesuffix(".ts")
    assert (tmp_path / f"{stem} (recovered).ts").read_bytes() == data
    assert rk.verify(path).ok
    path.unlink()
    lay_dead(path)
    way(path, on_partial="rename")
    aside = tmp_path / f"{stem} (1).ts"
    assert rk.recover(aside).ok
    assert aside.read_bytes() == data
    assert rk.verify(path).ok
    assert rk.partials(tmp_path) == []


# A full disk.


@pytest.mark.parametrize("commanded", [False, True])
def test_a_full_disk_ends_a_recording_in_another_process_committed(tmp_path: Path, commanded: bool) -> None:
    with mounted(tmp_path / "disk", "tmpfs") as folder:
        path = folder / "talk.ts"
        (folder / "ballast").write_bytes(bytes(4 << 20))
        if commanded:
            words = ["record", "--source", "synthetic", "--size", "640x360", "--bit-rate", "60M", "--fast"]
            options = ["--no-audio", "--preset", "ultrafast", "--flush-threshold", "64k", "--on-disk-full", "stop"]
            done = subprocess.run(
                [*CLI, *words, *options, str(path)],
                capture_output=True,
                text=True,
                check=False,
                cwd=ROOT,
                timeout=GUARD_S * 2,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            assert done.returncode == 1, done.stderr
            assert f"ended by itself: {DISK_FULL}" in done.stdout
        else:
            session = rk.start(LARGE, path, video=DENSE, flush_threshold=1 << 16, on_disk_full="stop")
            assert session.wait(GUARD_S)
            recording = session.stop()
            assert recording.ended_because == DISK_FULL
            assert recording.bytes == path.stat().st_size
        assert path.stat().st_size > 1_500_000
        assert rk.verify(path, decode=True).ok
        assert rk.partials(folder) == []


@pytest.mark.parametrize("way", ["record", "start", "command"])
def test_a_recording_that_waits_for_room_goes_on_when_there_is_some(tmp_path: Path, way: str) -> None:
    with mounted(tmp_path / "disk", "tmpfs") as folder:
        path, partial = folder / "talk.ts", folder / "talk.recording.ts"
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(3 << 20))
        settings = {"video": DENSE, "flush_threshold": 1 << 16, "on_disk_full": "wait"}
        if way == "start":
            session = rk.start(LARGE, path, **settings)
            until(lambda: "degraded" in list(session.events["kind"]))
            size = partial.stat().st_size
            ballast.unlink()
            until(lambda: partial.stat().st_size > size + 100_000)
            recording = session.stop()
            assert recording.path == path
        elif way == "record":
            stop = threading.Event()
            recorders: list[rk.Recorder] = []

            def look(recorder: rk.Recorder) -> None:
                recorders.append(recorder)
                kinds = [event.kind for event in recorder.log.contents.events]
                if EventKind.DEGRADED in kinds and ballast.exists():
                    assert "waiting for room" in (recorder.degraded_because or "")
                    ballast.unlink()
                elif EventKind.RESTORED in kinds:
                    stop.set()

            recording = rk.record(LARGE, path, stop=stop, on_progress=look, **settings)
            assert recording.path == path
            assert not ballast.exists()
        else:
            words = ["--verbose", "record", "--source", "synthetic", "--size", "640x360", "--bit-rate", "60M"]
            options = ["--fast", "--no-audio", "--preset", "ultrafast", "--flush-threshold", "64k"]
            with subprocess.Popen(
                [*CLI, *words, *options, "--on-disk-full", "wait", str(path)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            ) as child:
                assert child.stderr is not None
                try:
                    for words_said in ("waiting for room", "works again"):
                        assert any(words_said in line for line in child.stderr), words_said
                        ballast.unlink(missing_ok=True)
                    child.terminate()
                    child.communicate(timeout=GUARD_S)
                    assert child.returncode == 0
                finally:
                    child.kill()
        assert rk.verify(path, decode=True).ok
        assert rk.partials(folder) == []


def test_of_two_recordings_on_two_disks_the_one_whose_disk_is_not_full_goes_on(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "tmpfs") as small:
        other = rk.start(rk.Synthetic(width=64, height=48, fps=25), tmp_path / "other.ts", video=FAST)
        (small / "ballast").write_bytes(bytes(4 << 20))
        full = rk.start(LARGE, small / "talk.ts", video=DENSE, flush_threshold=1 << 16)
        assert full.wait(GUARD_S)
        size = other.figures.file_bytes
        until(lambda: other.figures.file_bytes > size)
        assert full.stop().ended_because == DISK_FULL
        recording = other.stop()
        assert recording.ended_because is None
        assert recording.counters.dropped_items == 0
        for path in (small / "talk.ts", tmp_path / "other.ts"):
            assert rk.verify(path, decode=True).ok


def test_no_disk_for_a_start_and_none_for_a_recovery_loses_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "tmpfs") as folder:
        data = lay_dead(folder / "talk.ts")
        filler = fill(folder)
        with pytest.raises(rk.DiskSpaceError, match="make room"):
            by_record(folder / "talk.ts", on_partial="recover")
        assert rk.recover(folder / "talk.ts").ok
        filler.unlink()
        assert (folder / "talk.ts").read_bytes() == data


# Faults of the system's own, in a child that knows nothing of them.


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("pwrite64:error=ENOSPC:when=4+", errno.ENOSPC),
        ("pwrite64:error=EIO:when=4", errno.EIO),
        ("fdatasync:error=EIO:when=3", errno.EIO),
        ("fsync,fdatasync:error=EIO:when=6+", errno.EIO),
        ("pwrite64:signal=SIGKILL:when=5", None),
        ("fdatasync:signal=SIGKILL:when=4", None),
    ],
)
def test_a_system_call_that_fails_in_a_real_recording_is_told_and_loses_nothing(
    tmp_path: Path, fault: str, number: int | None
) -> None:
    path = tmp_path / "talk.ts"
    calls = fault.split(":")[0]
    words = ["record", "--source", "synthetic", "--size", "160x90", "--no-audio", "--preset", "ultrafast"]
    done = subprocess.run(
        [
            *(
                judge("strace"),
                "-f",
                "-qq",
                "-o",
                str(tmp_path / "trace"),
                "-P",
                str(tmp_path / "talk.recording.ts"),
            ),
            *("-e", f"trace={calls}", "-e", f"inject={fault}"),
            *(*CLI, *words, "--bit-rate", "8M", "--flush-interval", "0.05", "--seconds", "2", str(path)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=GUARD_S * 2,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert "(INJECTED)" in (tmp_path / "trace").read_text() or number is None
    if number is None:
        assert done.returncode != 0
    else:
        assert done.returncode == FAULT, done.stderr
        assert os.strerror(number) in done.stderr
        assert "recordkit recover talk.ts" in done.stderr.replace("\n", " ")
    assert not path.exists()
    # Nothing that was packetised is missing: file and tail together are whole units, without a cut.
    found = rk.recover(path)
    assert found.ok
    assert not found.cuts
    assert found.bytes % PACKET == 0
    assert found.bytes > 10_000
    assert rk.verify(path, decode=True).ok
