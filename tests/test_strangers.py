"""Another user of the machine, and a disk that turns read-only: what they cost a recording, and what not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.errors import WriteError

from .mounts import disk, no_disk
from .steering import GUARD_S, PACKET, units_in, whole
from .writer.rig import rigged

CHILD = Path(__file__).with_name("stranger.py")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may look into, as those of tests are not."""
    made = Path(tempfile.mkdtemp(prefix="recordkit-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def as_another(path: Path) -> dict[str, str]:
    """What another user gets who tries everything with the recording at ``path``."""
    done = subprocess.run(
        [sys.executable, CHILD, path],
        env={"PYTHONPATH": str(CHILD.parents[1]), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    told: dict[str, str] = json.loads(done.stdout)
    return told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_look_and_nothing_else(shared: Path) -> None:
    path = shared / "talk.ts"
    source = rk.Synthetic(width=64, height=48, fps=10)
    with rk.start(source, path, video=rk.VideoSettings(preset="ultrafast"), on_parent_exit="continue") as session:
        while not session.figures.duration_s:
            assert session.wait(0.05) is False
        told = as_another(path)
        left = sorted(one.name for one in shared.iterdir())
        assert not session.has_ended
        assert rk.partials(shared)[0].is_recording
    # What is there may be read as far as the umask says; it is seen to be recorded.
    assert told["partials"] == "recording"
    assert told["log"] == "read"
    assert "another user" in told["attach"]
    # Not by the sockets, which know no permissions; nor can anything be finished, put in the way, or written over.
    for name in ("attach", "recover", "record", "unlink", "write"):
        assert told[name] != "done", told
        assert not told[name].startswith("fault"), told
    assert "talk.recording.ts" in left
    assert path.exists()
    assert rk.verify(path, decode=True).ok


def test_a_file_system_that_turns_read_only_fails_the_recording_and_keeps_what_was_flushed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if reason := no_disk("ext4"):
        pytest.skip(reason)
    place = tmp_path / "disk"
    with disk(tmp_path / "image", "ext4", place) as made:
        with rigged(place / "talk.ts") as rig:
            rig.lay(10)
            rig.writer.flush(GUARD_S)
            flushed = rig.writer.file_bytes
            # As the kernel does it when the disk has failed: files that are open for writing do not keep it.
            subprocess.run(
                ["mount", "-o", "remount,abort,errors=remount-ro", place], check=True, capture_output=True
            )
            rig.lay(10)
            with pytest.raises(WriteError) as caught:
                rig.writer.flush(GUARD_S)
            assert caught.value.errno in (errno.EROFS, errno.EIO)
            assert str(caught.value).count("talk.recording.ts")
            closed = rig.until_over()
            assert closed.error is caught.value
            assert not rig.final.exists()
        assert "Traceback" not in caplog.text
        made.unmount()
        made.mount()
        assert rk.recover(rig.final).ok
        units = units_in(whole(rig.final))
        assert units == [one.data for one in rig.laid][: len(units)]
        assert rig.final.stat().st_size >= flushed // PACKET * PACKET
