"""A ring in a process of its own is asked by its session, and by whoever attaches; a kill leaves it on the disk."""

import gc
import os
import signal
from contextlib import suppress

import pytest

import recordkit as rk
from recordkit.errors import RecordkitError, SettingsError, StateError

from ..steering import GUARD_S
from .test_sessions import FAST, SMALL, until

QUICK = {"durability": "process", "video": FAST, "sample_interval": 0.0}


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A ring that goes on without us; killed at the end, if nobody did."""
    folder = tmp_path_factory.mktemp("events")
    session = rk.start(
        SMALL,
        folder / "{number}.ts",
        ring=rk.Ring(seconds=1),
        on_parent_exit="continue",
        flush_interval=0.1,
        **QUICK,
    )
    yield folder, session
    with suppress(RecordkitError):
        session.stop()
    # Tables of what was read are mapped until then.
    gc.collect()


def test_the_session_and_whoever_attaches_by_the_pattern_get_files_of_their_own(ring):
    folder, session = ring
    until(lambda: session.figures.duration_s > 0.5)
    first = session.keep(before=0.5)
    assert first.wait(GUARD_S).path == first.path == folder / "1.ts"
    with pytest.raises(SettingsError, match="before"):
        session.keep(before="long ago")
    other = rk.attach(folder / "{number}.ts")
    second = other.keep(after=0.2)
    assert second.wait(GUARD_S).path == folder / "2.ts"
    by_name = rk.attach(folder / "2.ts")
    assert by_name.worker_pid == session.worker_pid
    for one in (other, by_name):
        one._link.hang_up()
        one.wait(GUARD_S)
    assert rk.verify(second.path).ok


def test_a_kill_leaves_the_ring_to_be_recovered(ring):
    folder, session = ring
    until(lambda: session.figures.duration_s > 2.5)
    kept = session.keep(before=1, after=60)
    until(lambda: kept.path)
    os.kill(session.worker_pid, signal.SIGKILL)
    with pytest.raises(RecordkitError):
        kept.wait(GUARD_S)
    left = rk.partials(folder)
    assert len(left) >= 2
    assert sum(one.recoverable_bytes > 0 for one in left) >= 2
    rk.recover(folder)
    recovered = sorted(path for path in folder.glob("*.ring-*.ts"))
    with rk.open(recovered) as video:
        assert video.duration_s >= 1.0


def test_without_a_ring_the_answer_is_why_not(tmp_path):
    pattern = tmp_path / "{number}.ts"
    segments = rk.Segments(every="0.5s")
    with rk.start(SMALL, pattern, segments=segments, on_parent_exit="continue", **QUICK) as session:
        with pytest.raises(SettingsError, match="Ring"):
            session.keep().wait(GUARD_S)
        until(lambda: (tmp_path / "2.ts").exists())
        until(lambda: (tmp_path / "3.flushes.jsonl").exists())
        for name in ("1.ts", "2.ts", "3.ts", "{number}.ts"):
            other = rk.attach(tmp_path / name)
            assert other.worker_pid == session.worker_pid
            other._link.hang_up()
            other.wait(GUARD_S)
    with pytest.raises(StateError, match="nothing is being recorded"):
        rk.attach(tmp_path / "1.ts")
    with pytest.raises(StateError, match="nothing is being recorded"):
        rk.attach(pattern)
