"""Background recordings: real workers, killed parents and workers, and nothing lost or left open."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import psutil
import pytest

import recordkit as rk
from recordkit.background.session import Session
from recordkit.sources.readback import read_back

from ..steering import GUARD_S, recordkit_threads

PARENT = Path(__file__).with_name("parent.py")
ROOT = PARENT.parents[2]
NEVER = rk.AlertSettings(
    **dict.fromkeys(("flush_gap_s", "partial_age_s", "disk_full_s", "dropped_units", "silent_s", "queue_share"))
)
ALWAYS = replace(NEVER, memory_bytes=1.0)
FAST = rk.VideoSettings(preset="ultrafast")
SMALL = rk.Synthetic(width=64, height=48, sample_rate=16_000, channels=1)


class Homemade:
    """A source that only this process knows."""

    name = "homemade"

    def open(self) -> None:
        raise AssertionError


def until(condition: Callable[[], object]) -> None:
    """Wait until something that comes by itself has come."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < GUARD_S, "it never came"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No thread, no descriptor, no process."""
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    children = set(psutil.Process().children())
    with recordkit_threads():
        yield
    # What earlier tests have left may go meanwhile.
    assert set(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208
    assert set(psutil.Process().children()) <= children
    assert rk.sessions() == []


def check(path: Path, pictures: int = 1) -> None:
    """A committed recording without a gap in it."""
    back = read_back(path)
    assert (back.lost, back.unreadable, back.audio_gaps) == (0, 0, 0)
    assert back.frames >= pictures
    assert back.first_number == 0
    assert rk.partials(path.parent) == []


def test_a_recording_from_beginning_to_end(tmp_path: Path) -> None:
    told: list[str] = []
    session = rk.start(
        SMALL,
        tmp_path / "talk.ts",
        video=FAST,
        sample_interval=0.1,
        alerts=ALWAYS,
        on_change=lambda one: told.append(one.state),
    )
    assert rk.sessions() == [session]
    until(lambda: session.figures.file_bytes and session.figures.rss_bytes and len(session.samples) > 1)
    assert session.state == "degraded"
    assert session.alerts["rule"].tolist() == ["memory_bytes"]
    session.mark(" chapter one ")
    assert not session.wait(0.01)
    worker = psutil.Process(session.worker_pid)
    assert worker.pid != os.getpid()
    assert 0.5 < session.figures.rss_bytes / worker.memory_info().rss < 2
    recording = session.stop()
    assert session.stop() is recording is session.recording
    assert not worker.is_running()
    seen = [one for one, _ in groupby(told)]
    assert seen[-1] == "stopped"
    assert seen == sorted(seen, key=list(rk.SessionState).index)
    assert recording.path == session.path == tmp_path / "talk.ts"
    assert recording.bytes == session.figures.file_bytes == session.path.stat().st_size
    assert recording.streams[0].codec.is_video
    check(session.path)
    log = rk.read_flush_log(session.path)
    assert session.flushes.equals(log.flushes)
    assert session.samples.equals(log.samples)
    assert session.events["kind"].tolist() == log.events["kind"].tolist()
    (mark,) = [one.fields for one in session.log.contents.events if one.kind is rk.EventKind.MARK]
    assert mark["name"] == "chapter one"
    assert "talk.ts, stopped" in repr(session)
    assert "stopped" in session._repr_html_()
    for call in (lambda: session.mark("late"), lambda: session.signal({})):
        with pytest.raises(rk.StateError, match="any more"):
            call()


def test_a_session_goes_on_in_another_file_when_it_is_told_to(tmp_path: Path) -> None:
    with rk.start(SMALL, tmp_path / "{number}.ts", video=FAST, segments=rk.Segments(at_marks=True)) as session:
        until(lambda: session.figures.duration_s)
        session.cut()
        until(lambda: (tmp_path / "1.ts").exists())
        session.mark("the second half")
        until(lambda: (tmp_path / "2.ts").exists())
    recording = session.recording
    assert [one.path.name for one in recording.segments] == ["1.ts", "2.ts", "3.ts"]
    assert recording.bytes == sum(one.path.stat().st_size for one in recording.segments)
    backs = [read_back(one.path) for one in recording.segments]
    assert [(back.lost, back.unreadable) for back in backs] == [(0, 0)] * 3
    assert [back.first_number for back in backs] == [0, *(back.last_number + 1 for back in backs[:-1])]


def test_a_session_pauses_and_goes_on(tmp_path: Path) -> None:
    with rk.start(SMALL, tmp_path / "talk.ts", video=FAST) as session:
        until(lambda: session.figures.duration_s)
        session.pause(gap="close")
        until(lambda: rk.EventKind.PAUSE in session.events["kind"].tolist())
        session.resume()
        until(lambda: rk.EventKind.RESUME in session.events["kind"].tolist())
        with pytest.raises(rk.SettingsError, match="gap"):
            session.pause(gap="cut")
    assert rk.verify(session.path).ok


def test_the_end_of_the_media_ends_it_and_a_block_waits_for_that(tmp_path: Path) -> None:
    with rk.start(SMALL, tmp_path / "a.ts", video=FAST, seconds=0.5) as session:
        assert session.wait(GUARD_S)
    assert session.state == "stopped"
    with pytest.raises(LookupError), rk.start(SMALL, tmp_path / "b.ts", video=FAST) as other:
        raise LookupError("in the block")
    assert other.state == "stopped"


def cannot_begin(tmp_path: Path) -> dict[str, tuple[object, dict[str, object], type[rk.RecordkitError], str]]:
    return {
        "a name that is taken": (SMALL, {"path": tmp_path / "taken.ts"}, rk.OutputExistsError, "path"),
        "a name of no recording": (SMALL, {"path": tmp_path / "a.mkv"}, rk.OutputNameError, "path"),
        "no such file": (rk.MediaFile(url=str(tmp_path / "none.mp4")), {}, rk.SourceError, "source"),
        "a bad value": (SMALL, {"flush_interval": 0}, rk.SettingsError, "name"),
        "an unknown setting": (SMALL, {"colour": "red"}, rk.SettingsError, "name"),
        "not one for a worker": (SMALL, {"clock": None}, rk.SettingsError, "name"),
        "a function": (SMALL, {"on_flush": print}, rk.SettingsError, "name"),
        "a path that is not there": (tmp_path / "clip.mp4", {}, rk.SourceError, "source"),
        "settings as a source": (FAST, {}, rk.SettingsError, "value"),
        "a source of one's own": (Homemade(), {}, rk.SettingsError, "value"),
        "a bad end": (SMALL, {"on_parent_exit": "explode"}, rk.SettingsError, "name"),
    }


@pytest.mark.parametrize("case", cannot_begin(Path()))
def test_what_cannot_begin_is_raised_at_once_with_its_fields(tmp_path: Path, case: str) -> None:
    source, settings, error, field = cannot_begin(tmp_path)[case]
    (tmp_path / "taken.ts").write_bytes(b"precious")
    with pytest.raises(error) as raised:
        rk.start(source, **{"path": tmp_path / "talk.ts", **settings})  # type: ignore[arg-type]
    assert hasattr(raised.value, field)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.ts"]
    assert (tmp_path / "taken.ts").read_bytes() == b"precious"


def test_a_worker_that_is_killed_leaves_all_it_had_and_says_how_to_get_it(tmp_path: Path) -> None:
    session = rk.start(SMALL, tmp_path / "talk.ts", video=FAST)
    until(lambda: session.figures.duration_s > 0.5)
    promised = laid_bytes(session.path)
    os.kill(session.worker_pid, signal.SIGKILL)
    assert session.wait(GUARD_S)
    assert session.state == "failed"
    assert isinstance(session.error, rk.WorkerError)
    assert session.error.signal == signal.SIGKILL
    for _ in range(2):
        with pytest.raises(rk.WorkerError, match=r"killed by signal 9 \(SIGKILL\); rk\.recover\('.*talk\.ts'\)"):
            session.stop()
    found = session.recover()
    assert found.outcome == "recovered"
    assert found.bytes >= promised > 0
    check(session.path, pictures=12)  # 0.5 s from the priming of the audio on, which may be a little ahead


@contextmanager
def parent(path: Path, what: str, *settings: str, cwd: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """The program of parent.py, in a process group of its own, and its words."""
    with subprocess.Popen(
        [sys.executable, str(PARENT), str(path), what, *settings],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout.readline() == "starting\n"
            yield process
        finally:
            # Whoever is left of its group; its worker is not in it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    word, number = process.stdout.readline().split()
    assert word == "recording"
    return psutil.Process(int(number))


def seconds_in(path: Path) -> float:
    with rk.open(path) as video:
        return video.duration_s


def laid_bytes(path: Path) -> int:
    return rk.partials(path.parent)[0].recoverable_bytes


@pytest.mark.parametrize("what", ["killed", "forked", "interrupted"])
def test_a_parent_that_is_killed_leaves_a_committed_recording(tmp_path: Path, what: str) -> None:
    path = tmp_path / "talk.ts"
    with parent(path, what) as process:
        worker = worker_of(process)
        if what == "interrupted":
            os.killpg(process.pid, signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        if what == "forked":
            assert process.stdout.readline() == "forked forked\n"
        until(lambda: laid_bytes(path) > 10_000)
        promised, there_s = laid_bytes(path), seconds_in(path)
        process.kill()
        until(path.exists)
        until(lambda: not worker.is_running())
    assert path.stat().st_size >= promised
    # It goes on for no more than a moment, by the time of its source: the machine's may stand still for longer.
    assert seconds_in(path) < there_s + 2
    check(path)


def test_a_program_that_just_ends_leaves_a_committed_recording(tmp_path: Path) -> None:
    """With a relative name, in a folder whose files have the names of modules."""
    for name in ("queue.py", "recordkit.py", "numpy.py"):
        (tmp_path / name).write_text("raise SystemError('taken for a module')")
    with parent(Path("there/talk.ts"), "leaving", cwd=tmp_path) as process:
        worker = worker_of(process)
        assert process.wait(GUARD_S) == 0
        until(lambda: not worker.is_running())
    # Nothing may have come by then.
    assert rk.partials(tmp_path / "there") == []


def test_a_recording_goes_on_without_its_parent_and_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "talk.ts"
    with parent(path, "killed", 'on_parent_exit="continue"') as process:
        worker = worker_of(process)
        process.kill()
        process.wait(GUARD_S)
    size = laid_bytes(path)
    until(lambda: laid_bytes(path) > size + 10_000)
    session, other = rk.attach(path), rk.attach(path)
    assert session.worker_pid == worker.pid
    assert not session.has_ended
    until(lambda: session.flush_records and session.figures.file_bytes)
    session.mark("found again")
    recording = session.stop(timeout=GUARD_S)
    assert other.stop().bytes == recording.bytes == path.stat().st_size
    until(lambda: not worker.is_running())
    log = rk.read_flush_log(path)
    assert session.events["kind"].tolist() == log.events["kind"].tolist() == other.events["kind"].tolist()
    assert session.flushes.equals(log.flushes)
    check(path)
    with pytest.raises(rk.StateError, match="nothing is being recorded"):
        rk.attach(path)


def test_an_attached_session_whose_worker_is_killed_fails(tmp_path: Path) -> None:
    path = tmp_path / "talk.ts"
    session = rk.start(SMALL, path, video=FAST, on_parent_exit="continue")
    attached = rk.attach(path)
    os.kill(session.worker_pid, signal.SIGKILL)
    for one in (session, attached):
        with pytest.raises(rk.WorkerError, match=r"rk\.recover"):
            one.stop(timeout=GUARD_S)
    with pytest.raises(rk.StateError, match=r"rk\.recover"):
        rk.attach(path)


def test_a_parent_that_holds_its_interpreter_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "talk.ts"
    with parent(path, "holding") as process:
        worker_of(process)
        word, held = process.stdout.readline().split()
        assert (word, int(held) > 0) == ("held", True)
        assert process.stdout.readline().split() == ["stopped", str(path.stat().st_size)]
    check(path, pictures=6 * 30 - 15)


def test_a_start_that_hangs_can_be_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "talk.ts.fifo")
    with parent(tmp_path / "talk.ts", "hanging") as process:
        (worker,) = until_children(process.pid)
        until(lambda: len(worker.threads()) > 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(GUARD_S) != 0
        until(lambda: not worker.is_running())
    assert [one.name for one in tmp_path.iterdir()] == ["talk.ts.fifo"]


def until_children(pid: int) -> list[psutil.Process]:
    until(lambda: psutil.Process(pid).children())
    return psutil.Process(pid).children()


def test_a_worker_that_may_write_no_more_says_so(tmp_path: Path) -> None:
    with parent(tmp_path / "talk.ts", "limited") as process:
        worker_of(process)
        assert process.stdout.readline() == f"failed WriteError {errno.EFBIG} failed\n"
    (left,) = rk.partials(tmp_path)
    assert left.bytes > 2_300_000
    found = rk.recover(left.path)
    assert found.bytes == left.recoverable_bytes
    assert rk.verify(found.final_path, decode=True).ok


def test_eight_at_once_stopped_from_many_threads(tmp_path: Path) -> None:
    source = replace(SMALL, fps=10)
    sessions = [rk.start(source, tmp_path / f"{number}.ts", video=FAST) for number in range(8)]
    assert rk.sessions() == sessions
    until(lambda: all(one.figures.duration_s > 0.1 for one in sessions))
    found: list[rk.Recording] = []
    threads = [threading.Thread(target=lambda: found.append(sessions[0].stop())) for _ in range(4)]
    for thread in threads:
        thread.start()
    recordings = rk.stop_all(timeout=GUARD_S)
    for thread in threads:
        thread.join(GUARD_S)
    assert len({id(one) for one in found}) == 1
    assert len(recordings) >= 7
    for session in sessions:
        assert session.state == "stopped"
        check(session.path)
    assert rk.stop_all() == []


def test_in_an_asyncio_program(tmp_path: Path) -> None:
    async def program() -> tuple[bool, bool, rk.Recording]:
        session = await asyncio.to_thread(rk.start, SMALL, tmp_path / "talk.ts", video=FAST)
        early = await session.wait_async(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.wait_async(), 0.01)
        await asyncio.to_thread(until, lambda: session.figures.duration_s > 0)
        recording = await session.stop_async(timeout=GUARD_S)
        assert await session.stop_async() is recording
        return early, await session.wait_async(), recording

    early, late, recording = asyncio.run(program())
    assert (early, late) == (False, True)
    assert recording.path == tmp_path / "talk.ts"


def test_who_looks_on_cannot_hurt_and_must_not_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refused = threading.Event()

    def wait(session: Session) -> None:
        try:
            session.stop()
        except rk.StateError:
            refused.set()
            raise

    with caplog.at_level(logging.ERROR), rk.start(SMALL, tmp_path / "talk.ts", video=FAST) as session:
        take_off = session.on_change(wait)
        assert refused.wait(GUARD_S)
        take_off()
        assert not session.has_ended
    assert "an observer failed" in caplog.text
    assert session.state == "stopped"


def test_a_session_that_does_not_end_in_time_says_so_and_ends_later(tmp_path: Path) -> None:
    session = rk.start(SMALL, tmp_path / "talk.ts", video=FAST)
    os.kill(session.worker_pid, signal.SIGSTOP)
    with pytest.raises(rk.StateError, match=r"did not end within 0\.01 s"):
        session.stop(timeout=0.01)
    os.kill(session.worker_pid, signal.SIGCONT)
    assert session.stop(timeout=GUARD_S).path in (None, tmp_path / "talk.ts")
