"""A process that is killed loses nothing that the packetiser had finished: partial and tail have it all."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recordkit

from .steering import PACKET, read_tail, recovered, scan, whole

CHILD = Path(__file__).with_name("killed.py")
ROOT = CHILD.parents[1]
SMALL, LARGE = 64 * 1024, 512 * 1024
WHOLE = 1 << 30


def child(path, durability, threshold, piece, *prefix):
    command = [*prefix, sys.executable, str(CHILD), str(path), durability, str(threshold), str(piece)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment)


def published(lines):
    """The last count of bytes that the child could still tell of; a kill may come before the first."""
    return int((lines.split() or [0])[-1])


def check(path, promised):
    """Everything promised is there, as whole packets, whole units and pictures that decode."""
    partial, tail = path.with_suffix(".recording.ts"), path.with_suffix(".recording.tail")
    assert not path.exists()
    slots = sorted((offset, len(data)) for offset, data in read_tail(tail).slots if data)
    assert all(size % PACKET == offset % PACKET == 0 for offset, size in slots)
    # The slots follow each other; where one is being written, or was, the file ends within it or before.
    if len(slots) == 2:
        assert slots[0][0] + slots[0][1] == slots[1][0]
    assert slots[0][0] <= partial.stat().st_size <= slots[-1][0] + slots[-1][1]
    data = recovered(partial, tail)
    assert len(data) >= promised
    path.write_bytes(data)
    assert scan(whole(path)).problem_counts == {}
    verification = recordkit.verify(path, decode=True)
    assert verification.ok, verification.problems


@pytest.mark.parametrize("threshold", [SMALL, LARGE])
@pytest.mark.parametrize("durability", ["flush", "process"])
def test_nothing_that_was_published_is_lost_by_a_kill(tmp_path, durability, threshold):
    chance = random.Random(f"{durability} {threshold}")
    for number in range(2):
        path = tmp_path / f"{number}.ts"
        with child(path, durability, threshold, WHOLE) as process:
            lines = b"".join(process.stdout.readline() for _ in range(chance.randrange(5, 600)))
            process.kill()
            rest, errors = process.communicate(timeout=60)
        assert process.returncode == -9, errors
        check(path, published(lines + rest))


@pytest.mark.judge
@pytest.mark.parametrize(("durability", "when"), [("flush", 2), ("process", 17)])
def test_nothing_is_lost_by_a_kill_in_the_middle_of_a_flush(tmp_path, durability, when):
    if shutil.which("strace") is None:
        if os.environ.get("RECORDKIT_REQUIRE_JUDGES") == "1":
            pytest.fail("strace is missing")
        pytest.skip("strace is missing")
    path = tmp_path / "talk.ts"
    partial = path.with_suffix(".recording.ts")
    inject = f"inject=pwrite64:signal=SIGKILL:when={when}"
    # Written in pieces that are no whole packets: the file is cut inside one.
    strace = ("strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-P", str(partial), "-e", inject)
    with child(path, durability, SMALL, 5000, *strace) as process:
        lines, errors = process.communicate(timeout=120)
    calls = [line for line in (tmp_path / "trace").read_text().splitlines() if "pwrite64(" in line]
    assert len(calls) == when, errors
    offset, data = min(slot for slot in read_tail(path.with_suffix(".recording.tail")).slots if slot[1])
    assert offset <= partial.stat().st_size < offset + len(data), "the kill did not meet a flush"
    check(path, published(lines))
