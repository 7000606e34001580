"""Other writers' broken files: what is valid is copied, the original is only read."""

import errno

import pytest

import recordkit as rk
from recordkit.recovery.outcome import Outcome

from ..media import make_clip
from ..mpegts.builder import wrapped
from ..steering import FaultySystem
from .material import PACKET, Lying, media, unit_starts


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "other.ts", seconds=1).read_bytes()


def test_garbage_and_parts_of_packets_are_left_out(tmp_path, clip):
    path, fixed = tmp_path / "other.ts", tmp_path / "fixed.ts"
    at = 30 * PACKET
    hurt = b"junk" + clip[:at] + b"garbage" * 100 + clip[at:] + clip[:100]
    path.write_bytes(hurt)
    found = rk.recover(path, output=fixed)
    assert fixed.read_bytes() == clip
    assert path.read_bytes() == hurt
    assert (found.outcome, found.final_path, found.bytes) == (Outcome.REPAIRED, fixed, len(clip))
    assert [(cut.offset, cut.bytes) for cut in found.cuts] == [(0, 4), (4 + at, 700), (len(hurt) - 100, 100)]
    assert found.problems == ()
    assert found.duration_s == pytest.approx(1, abs=0.1)
    assert rk.verify(fixed, decode=True).ok
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fixed.ts", "other.ts"]


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.77, 0.9])
def test_units_without_their_ends_are_left_out(tmp_path, clip, cut):
    path, fixed = tmp_path / "other.ts", tmp_path / "fixed.ts"
    path.write_bytes(clip[: int(len(clip) * cut)])
    found = rk.recover(path, output=fixed)
    verified = rk.verify(fixed, decode=True)
    assert verified.ok, verified.problems
    assert found.cut_bytes > 0


@pytest.mark.parametrize("size", [192, 204])
def test_packets_of_other_sizes(tmp_path, clip, size):
    path, fixed = tmp_path / "other.ts", tmp_path / "fixed.ts"
    path.write_bytes(wrapped([clip[at : at + PACKET] for at in range(0, len(clip), PACKET)], size))
    found = rk.recover(path, output=fixed)
    assert fixed.read_bytes() == clip
    assert found.cut_bytes <= 4


def test_damaged_packets_are_left_out(tmp_path):
    data = bytearray(media())
    at = unit_starts(media())[30]
    data[at + 1] |= 0x80
    (tmp_path / "other.ts").write_bytes(data)
    found = rk.recover(tmp_path / "other.ts", output=tmp_path / "fixed.ts")
    assert [(cut.offset, cut.bytes, cut.reason) for cut in found.cuts] == [(at, PACKET, "a damaged packet")]
    assert any("continuity" in one for one in found.problems)


def test_names_and_links(tmp_path):
    path = tmp_path / "other.ts"
    with pytest.raises(rk.RecoveryError, match="no such file"):
        rk.recover(path, output=tmp_path / "fixed.ts")
    path.write_bytes(media())
    with pytest.raises(rk.OutputExistsError):
        rk.recover(path, output=path)
    with pytest.raises(rk.OutputNameError):
        rk.recover(path, output=tmp_path / "fixed.mp4")
    (tmp_path / "link.ts").symlink_to(path)
    with pytest.raises(rk.RecoveryError, match="link"):
        rk.recover(tmp_path / "link.ts", output=tmp_path / "fixed.ts")
    with pytest.raises(rk.RecoveryError):
        rk.recover(tmp_path, output=tmp_path / "fixed.ts")
    assert rk.recover(path, output=tmp_path / "fixed.ts", dry_run=True).outcome is Outcome.REPAIRED
    assert not (tmp_path / "fixed.ts").exists()


def test_what_is_no_transport_stream(tmp_path):
    (tmp_path / "other.ts").write_bytes(b"x" * 10_000)
    found = rk.recover(tmp_path / "other.ts", output=tmp_path / "fixed.ts")
    assert (found.outcome, found.final_path, found.bytes) == (Outcome.NOTHING, None, 0)
    assert [one.name for one in tmp_path.iterdir()] == ["other.ts"]


@pytest.mark.parametrize(
    "name", ["open fixed.repairing.ts", "write", "sync", "rename", "sync_folder", "free_bytes"]
)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_faults(tmp_path, name, number):
    path, fixed = tmp_path / "other.ts", tmp_path / "fixed.ts"
    path.write_bytes(media())
    system = FaultySystem()
    system.fail(name, 1, number)
    with pytest.raises(rk.RecordkitError):
        rk.recover(path, output=fixed, _system=system)
    assert not (tmp_path / "fixed.repairing.ts").exists()
    assert path.read_bytes() == media()
    fixed.unlink(missing_ok=True)
    assert rk.recover(path, output=fixed).outcome is Outcome.REPAIRED


def test_a_repair_that_was_killed_is_begun_anew(tmp_path):
    path, fixed = tmp_path / "other.ts", tmp_path / "fixed.ts"
    path.write_bytes(media())
    (tmp_path / "fixed.repairing.ts").write_bytes(b"half")
    seen = []
    rk.recover(path, output=fixed, on_progress=lambda done, total: seen.append(done / total))
    assert fixed.read_bytes() == media()
    assert sorted(seen) == seen
    assert seen[-1] == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_partial_can_be_copied_without_being_touched(tmp_path):
    lying = Lying(tmp_path).lay(media() + b"xyz")
    rk.recover(lying.partial, output=tmp_path / "copy.ts")
    assert (tmp_path / "copy.ts").read_bytes() == media()
    assert lying.partial.read_bytes() == media() + b"xyz"


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("kind", ["partial", "tail"])
def test_the_name_of_an_unfinished_recording_is_not_taken(tmp_path, kind, dry_run):
    lying = Lying(tmp_path).lay(media(), [(len(media()), b"")])
    (lying.tail if kind == "partial" else lying.partial).unlink()
    other = tmp_path / "other.ts"
    other.write_bytes(media())
    before = lying.names()
    with pytest.raises(rk.PartialExistsError, match="choose another name"):
        rk.recover(other, output=lying.final, dry_run=dry_run)
    assert lying.names() == before
