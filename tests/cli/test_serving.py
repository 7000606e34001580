"""``recordkit serve`` as a process of its own, with real publishers: many files, and a ring kept by a signal."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from recordkit.reading.opening import open as open_recording
from recordkit.sources.marks import read_frame_number
from recordkit.verification.verify import verify
from tests.endpoint.rig import synthetic, until
from tests.steering import GUARD_S

CHILD = "import sys; from recordkit.cli import run; sys.exit(run(sys.argv[1:]))"


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command, and the URL at which it takes publishers; SIGTERM ends it."""
    command = [sys.executable, "-c", CHILD, "serve", str(folder), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"(http://127\.0\.0\.1:\d+)/whip", process.stdout.readline())
            assert found is not None
            yield found[1], process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD_S) == 0, process.stdout.read() if process.stdout is not None else ""


def final(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.ts") if ".recording." not in path.name)


def numbers(path: Path) -> list[int | None]:
    with open_recording(path) as video:
        # On a busy machine the last one of a sender may be there once more.
        return [number for number, _ in groupby(read_frame_number(frame.frame) for frame in video)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_publisher_goes_on_in_one_file_after_the_other(workers: int, tmp_path: Path) -> None:
    async def scene(url: str) -> None:
        async with synthetic(url, seconds=4) as media:
            await media.wait()

    with served(tmp_path, "--segment", "1s", "--workers", str(workers)) as (url, _):
        asyncio.run(scene(url))
    files = final(tmp_path)
    assert len(files) >= 3
    for path in files:
        assert verify(path, decode=True).ok
    assert numbers(tmp_path) == list(range(120))  # in their order, which two names of one second do not tell
    assert not list(tmp_path.glob("*.recording.*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_keeps_what_the_rings_of_all_publishers_hold(workers: int, tmp_path: Path) -> None:
    async def scene(url: str, process: subprocess.Popen[str]) -> None:
        async with synthetic(url, stream="left"), synthetic(url, stream="right"):
            # Nothing is kept until somebody asks; by then the ring is full, and its oldest files have gone.
            for stream in ("left", "right"):
                await until(lambda stream=stream: list(tmp_path.glob(f"{stream}*.ring-*0009*")))
            assert final(tmp_path) == []
            process.send_signal(signal.SIGUSR1)
            await until(lambda: len(final(tmp_path)) == 2)

    with served(tmp_path, "--ring", "2", "--workers", str(workers)) as (url, process):
        asyncio.run(scene(url, process))
    for path in final(tmp_path):
        assert verify(path, decode=True).ok
        found = numbers(path)
        assert found == list(range(found[0] or 0, (found[0] or 0) + len(found)))
        assert 60 <= len(found) <= 150  # two seconds, and a group of frames at the most
        assert found[0]
    assert len(list(tmp_path.glob("*.ts"))) == 2
