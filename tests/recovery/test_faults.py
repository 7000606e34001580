"""Every call of a recovery may fail, or be its last: nothing is lost, and the next run has the same result."""

import errno
import os

import pytest

import recordkit as rk
from recordkit.recovery import files, recover
from recordkit.recovery.outcome import Outcome

from ..steering import FaultySystem
from .material import Lying, lay_awkwardly, media


def lay(folder):
    lying = Lying(folder)
    kept = lay_awkwardly(lying)
    lying.final.write_bytes(b"in the way")
    return lying, kept


def calls(tmp_path):
    folder = tmp_path / "first"
    folder.mkdir()
    lying, _ = lay(folder)
    system = FaultySystem()
    rk.recover(lying.final, _system=system)
    counts = {}
    for call in system.calls:
        counts[call.name] = counts.get(call.name, 0) + 1
    return counts, lying.rejected.read_bytes().replace(str(folder).encode(), b"")


class Stop(BaseException):
    """Ends a run in the middle, as a kill would."""


@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOSPC, "stop", "short"])
def test_each_call_fails_once(tmp_path, fault):
    counts, _ = calls(tmp_path)
    assert counts["write"] > 5
    assert counts["rename"] == 2
    for name, count in counts.items():
        for nth in range(1, count + 1):
            folder = tmp_path / f"{name} {nth}"
            folder.mkdir()
            lying, kept = lay(folder)
            before, tail = lying.partial.read_bytes(), lying.tail.read_bytes()
            system = FaultySystem()
            if fault == "stop":
                system.do(name, nth, stop)
            elif fault == "short":
                system.shorten(1, 7, lasting=True)
            else:
                system.fail(name, nth, fault)
            try:
                found = rk.recover(lying.final, _system=system)
                # Where there is no room, the tail gives some.
                assert fault in ("short", errno.ENOSPC)
                assert found.outcome is Outcome.RECOVERED
            except rk.RecordkitError:
                assert fault in (errno.EIO, errno.ENOSPC)
            except Stop:
                pass
            # Nothing is lost in between, either.
            if lying.partial.exists():
                assert lying.tail.read_bytes() == tail
                held = lying.partial.read_bytes()
                assert held[: len(before)] == before or b"wrong" * 100 in b"".join(lying.rejects())
            again = rk.recover(lying.final)
            assert again.outcome in (Outcome.RECOVERED, Outcome.CLEANED, Outcome.NOTHING)
            assert lying.names() == ["talk (recovered).ts", "talk.rejected", "talk.ts"]
            assert (folder / "talk (recovered).ts").read_bytes() == kept
            assert lying.final.read_bytes() == b"in the way"
            assert b"wrong" * 100 in b"".join(lying.rejects())


def stop():
    raise Stop


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("what", ["ftruncate", "unlink"])
def test_cutting_and_removing_fail(tmp_path, monkeypatch, what, number):
    lying, kept = lay(tmp_path)
    lying.partial.write_bytes(lying.partial.read_bytes() + b"more" * 20_000)

    def fault(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if what == "ftruncate":
            patch.setattr(recover.os, "ftruncate", fault)
        else:
            patch.setattr(files.Path, "unlink", fault)
        with pytest.raises(rk.WriteError):
            rk.recover(lying.final)
    rk.recover(lying.final)
    assert (tmp_path / "talk (recovered).ts").read_bytes() == kept
    assert not lying.tail.exists()


def test_a_rejected_file_that_was_half_written_is_completed(tmp_path):
    lying, _ = lay(tmp_path)
    rk.recover(lying.final)
    complete = lying.rejected.read_bytes()
    for size in range(0, len(complete), 31):
        folder = tmp_path / str(size)
        folder.mkdir()
        other, _ = lay(folder)
        inode = other.partial.stat().st_ino
        mine = complete.replace(complete.split(b"(inode ")[1].split(b")")[0], str(inode).encode())
        other.rejected.write_bytes(mine[:size])
        rk.recover(other.final)
        assert other.rejected.read_bytes() == mine


def test_what_was_rejected_before_stays(tmp_path):
    lying, _ = lay(tmp_path)
    lying.rejected.write_bytes(b"of an earlier one\n")
    rk.recover(lying.final)
    assert lying.rejected.read_bytes().startswith(b"of an earlier one\n\n=== recordkit: ")


def test_a_piece_that_ends_as_a_line_does(tmp_path):
    data = media()
    lying = Lying(tmp_path).lay(data + b"one\n" + bytes(3), [(len(data) + 188, data)])
    rk.recover(lying.final)
    assert lying.rejects() == [b"one\n" + bytes(3), data]
    lying.lay(data + b"two\n")
    rk.recover(lying.final)
    assert lying.rejects()[2:] == [b"two\n"]
