"""Recordings that were killed come back by recover alone; a recovery that is killed can be run again."""

import os
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.recovery.outcome import Outcome

from .. import judges
from ..steering import BUSY
from ..test_kill import SMALL, WHOLE, child, published
from .material import Lying, lay_awkwardly

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("loaded", [False, True], ids=["alone", "loaded"])
@pytest.mark.parametrize("durability", ["flush", "process"])
def test_all_that_was_published_is_recovered(tmp_path, durability, loaded):
    chance = random.Random(f"{durability} {loaded}")
    # A load takes the processors from all that is tested beside it.
    for number in range(1 if loaded else 3):
        lying = Lying(tmp_path, f"talk{number}")
        with ExitStack() as stack:
            for _ in range(2 * (os.cpu_count() or 1) if loaded else 0):
                busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
                stack.callback(busy.kill)
            process = stack.enter_context(child(lying.final, durability, SMALL, WHOLE))
            lines = b"".join(process.stdout.readline() for _ in range(chance.randrange(5, 400)))
            process.kill()
            rest, errors = process.communicate(timeout=60)
        assert process.returncode == -9, errors
        (partial,) = rk.partials(tmp_path)[-1:]
        found = rk.recover(lying.final)
        assert not lying.partial.exists()
        assert not lying.tail.exists()
        assert found.bytes == partial.recoverable_bytes >= published(lines + rest)
        assert (found.cuts, found.problems, partial.problem) == ((), (), None)
        verified = rk.verify(lying.final, decode=True)
        assert verified.ok, verified.problems


def recover_in_a_child(lying, call, when, trace):
    """Recovers in a process that strace kills at the ``when``-th of its calls to ``call`` on our files."""
    names = (lying.partial, lying.tail, lying.rejected, lying.final, lying.folder)
    paths = [part for name in names for part in ("-P", str(name))]
    code = "import sys, recordkit; recordkit.recover(sys.argv[1])"
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(trace),
        *paths,
        *inject,
        sys.executable,
        "-c",
        code,
        str(lying.final),
    ]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=120, check=False)
    return done.returncode


@pytest.mark.judge
@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("openat", 2), ("openat", 3), ("flock", 1), ("pread64", 5), ("pwrite64", 1), ("pwrite64", 2),
        ("pwrite64", 3), ("pwrite64", 4), ("ftruncate", 1), ("fsync", 1), ("fsync", 2), ("fsync", 3),
        ("renameat2", 1), ("fsync", 4), ("unlink", 1),
    ],
)  # fmt: skip
def test_a_recovery_that_is_killed_can_be_run_again(tmp_path, call, when):
    judges.judge("strace")
    lying, other = Lying(tmp_path / "killed"), Lying(tmp_path / "whole")
    lying.folder.mkdir()
    other.folder.mkdir()
    kept = lay_awkwardly(lying)
    lay_awkwardly(other)
    rk.recover(other.final)
    assert other.final.read_bytes() == kept
    assert recover_in_a_child(lying, call, when, tmp_path / "trace") in (-9, 137), "it was not killed"
    again = rk.recover(lying.final)
    assert again.outcome in (Outcome.RECOVERED, Outcome.CLEANED, Outcome.NOTHING)
    assert lying.names() == other.names()
    assert lying.final.read_bytes() == kept
    rejects = lying.rejects()
    for piece in other.rejects():
        assert any(piece in one for one in rejects) or piece in b"".join(rejects)
