"""recover: what was published comes back, what cannot be used is set aside, what is alive is left alone."""

import errno
import fcntl
import itertools
import os
import subprocess
import sys

import pytest

import recordkit as rk
from recordkit.errors import RecoveryError
from recordkit.recovery import ending
from recordkit.recovery.outcome import Outcome
from recordkit.system import System

from ..steering import PACKET, FaultySystem, packetiser, scan
from .material import Lying, large_units, media, short_units, tail_bytes, unit_starts


@pytest.fixture
def lying(tmp_path):
    return Lying(tmp_path)


def complete_up_to(data: bytes, end: int) -> int:
    """The end of the last unit that is whole in the first ``end`` bytes (tables before the next count)."""
    if end == len(data):
        return end
    starts = [start for start in unit_starts(data) if start <= end]
    return max((start for start in starts if start <= end), default=0)


def test_file_and_tail_are_put_together(lying):
    data = media()
    first, second = unit_starts(data)[40], unit_starts(data)[60]
    # The first slot was being written when the process died: half of it is in the file.
    lying.lay(data[: first + 1000], [(first, data[first:second]), (second, data[second:])])
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.names() == ["talk.ts"]
    assert (found.outcome, found.final_path, found.path) == (Outcome.RECOVERED, lying.final, lying.partial)
    assert (found.bytes, found.tail_bytes) == (len(data), len(data) - first - 1000)
    assert found.duration_s == pytest.approx(1.0, abs=0.05)
    assert 0 < found.tail_s < found.duration_s
    assert (found.cuts, found.rejected_path, found.problems) == ((), None, ())
    assert "from the tail" in found.message
    assert found.to_dict()["final_path"] == str(lying.final)
    assert rk.verify(lying.final, decode=True).ok


@pytest.mark.parametrize("name", ["talk.ts", "talk.recording.ts", "talk.recording.tail"])
def test_each_name_of_a_recording_means_it(lying, name):
    lying.lay(media(), [(0, media())])
    assert rk.recover(lying.folder / name).final_path == lying.final


def test_slots_in_the_other_order(lying):
    data = media()
    middle = unit_starts(data)[60]
    lying.lay(b"", [(middle, data[middle:]), (0, data[:middle])])
    assert rk.recover(lying.final).tail_bytes == len(data)
    assert lying.final.read_bytes() == data


def test_a_cut_at_each_place_of_a_packet(tmp_path):
    data = media()
    place = unit_starts(data)[50] + 2 * PACKET
    for cut in range(PACKET):
        lying = Lying(tmp_path, f"talk{cut}").lay(data[: place + cut])
        found = rk.recover(lying.partial)
        kept = lying.final.read_bytes()
        assert data.startswith(kept)
        assert len(kept) == complete_up_to(data, place + cut)
        assert kept + b"".join(lying.rejects()) == data[: place + cut]
        assert rk.verify(lying.final).ok
        assert found.cut_bytes == place + cut - len(kept)


def test_a_cut_behind_each_packet_of_some_units(tmp_path):
    data = media(crf=5)
    starts = unit_starts(data)
    for number in range(starts[50] // PACKET, starts[56] // PACKET):
        lying = Lying(tmp_path, f"talk{number}").lay(data[: number * PACKET])
        rk.recover(lying.partial)
        kept = lying.final.read_bytes()
        assert rk.verify(lying.final).ok
        assert number * PACKET - len(kept) < max(b - a for a, b in itertools.pairwise(starts))
        assert kept + b"".join(lying.rejects()) == data[: number * PACKET]


def test_pictures_without_a_stated_length(tmp_path):
    """Larger than 64 KiB: only the stuffing of the last packet says where it ends."""
    data = large_units()
    starts = unit_starts(data)
    sizes = [b - a for a, b in itertools.pairwise(starts)]
    large = max(range(len(sizes)), key=sizes.__getitem__)
    assert sizes[large] > 70_000
    for number, end in enumerate((starts[large] + 66_000 // PACKET * PACKET, starts[large + 1])):
        lying = Lying(tmp_path, f"talk{number}").lay(data[:end])
        rk.recover(lying.partial)
        assert len(lying.final.read_bytes()) == (starts[large] if number == 0 else end)
        assert scan(lying.final.read_bytes()).problem_counts == {}


@pytest.mark.parametrize("is_full", [True, False])
def test_where_a_unit_is_published_in_pieces_its_beginning_is_cut(lying, is_full):
    data = large_units()
    starts = unit_starts(data)
    start = next(a for a, b in itertools.pairwise(starts) if b - a > 70_000)
    piece = 66_000 // PACKET * PACKET
    slot_bytes = -(-piece // 4096) * 4096 if is_full else 1 << 20
    lying.lay(data[:start], [(start, data[start : start + piece])], slot_bytes=slot_bytes)
    found = rk.recover(lying.final)
    # A slot with room to spare ends a unit: then it is the writer's word against the packets'.
    assert found.bytes == (start if is_full else start + piece)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"garbage "])
@pytest.mark.parametrize("size", [1, 187, 188, 4096, 100_000])
def test_what_is_no_packet_at_the_end_is_cut(lying, fill, size):
    data, junk = media(), (fill * size)[:size]
    lying.lay(data + junk)
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.rejects() == [junk]
    assert found.rejected_path == lying.rejected
    assert f"{size:,} bytes could not be used" in found.message


@pytest.mark.parametrize("sector", [512, 4096])
def test_sectors_that_a_power_cut_left_zero(tmp_path, sector):
    data = media(crf=0, size=(640, 360))
    for number, begin in enumerate(range(len(data) // 2 // sector * sector, len(data) // 2 + 12 * sector, sector)):
        lying = Lying(tmp_path, f"talk{number}").lay(data[:begin] + bytes(len(data) - begin))
        rk.recover(lying.final)
        kept = lying.final.read_bytes()
        assert data.startswith(kept)
        assert begin - len(kept) < 20_000
        verified = rk.verify(lying.final, decode=True)
        assert verified.ok, verified.problems


def test_more_zeros_than_a_window_holds(lying, monkeypatch):
    monkeypatch.setattr(ending, "WINDOW_BYTES", 4096)
    data = media()
    lying.lay(data + bytes(50_000))
    assert rk.recover(lying.final).bytes == len(data)


def test_a_unit_larger_than_a_window(lying, monkeypatch):
    monkeypatch.setattr(ending, "WINDOW_BYTES", 10 * PACKET)
    data = large_units()
    starts = unit_starts(data)
    start = next(a for a, b in itertools.pairwise(starts) if b - a > 70_000)
    lying.lay(data[: start + 300 * PACKET])
    assert rk.recover(lying.final).bytes == start


@pytest.mark.parametrize("damage", ["zeros", "garbage", "missing", "doubled", "swapped", "sync byte", "extra byte"])
def test_damage_in_the_middle_stays_and_is_named(lying, damage):
    data = media()
    at = unit_starts(data)[50] + PACKET
    hurt = bytearray(data)
    if damage in ("zeros", "garbage"):
        hurt[at : at + 2000] = (b"\0" if damage == "zeros" else b"garbage!") * 2000
        hurt[at + 2000 :] = data[at + 2000 :]
    elif damage == "missing":
        del hurt[at : at + 3 * PACKET]
    elif damage == "doubled":
        hurt[at:at] = data[at : at + 3 * PACKET]
    elif damage == "swapped":
        start = unit_starts(data)[52]
        hurt[start : start + 2 * PACKET] = data[start + PACKET : start + 2 * PACKET] + data[start : start + PACKET]
    elif damage == "sync byte":
        hurt[at] = 0
    else:
        hurt[at:at] = b"\x55"
    lying.lay(bytes(hurt))
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == bytes(hurt)
    assert found.problems
    assert found.cuts == ()


# Tails that are not what they should be.


def test_a_tail_of_another_file_is_left_alone(lying):
    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[:cut], [(cut, data[cut:])], inode=1)
    before = lying.tail.read_bytes()
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data[:cut]
    assert lying.tail.read_bytes() == before
    assert any("belongs to another file" in one for one in found.problems)
    assert rk.recover(lying.final).outcome is Outcome.NOTHING
    assert lying.tail.read_bytes() == before


@pytest.mark.parametrize("flushed", ["nothing", "the first slot in part", "the first slot", "both"])
@pytest.mark.parametrize("boot", [None, bytes(16)])
def test_a_copy_of_both_files_is_recovered_as_they_are(lying, flushed, boot):
    """A rescued disk, a synced folder: the inodes are others, and the bytes say what belongs together."""
    data = media()
    starts = unit_starts(data)
    first, second = starts[30], starts[60]
    slots = [(first, data[first:second]), (second, data[second:])]
    there = {"nothing": first, "the first slot in part": first + 1880, "the first slot": second, "both": len(data)}
    lying.lay(data[: there[flushed]], slots, inode=1, recording=data, boot=boot)
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.names() == ["talk.ts"]
    assert (found.cuts, found.tail_bytes) == ((), len(data) - there[flushed])


@pytest.mark.parametrize("flushed", [0, 1880, None])
def test_a_copy_from_before_the_first_slot_was_flushed(lying, flushed):
    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[: cut if flushed is None else flushed], [(0, data[:cut]), (cut, data[cut:])], inode=1)
    rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.names() == ["talk.ts"]


@pytest.mark.parametrize("where", ["at its seam", "from the beginning", "nowhere near"])
def test_the_tail_of_another_recording_is_left_alone(lying, where):
    """It would continue the file without a fault, and says that it stands behind other bytes."""
    data, other = media(), bytearray(media())
    cut = unit_starts(data)[50]
    at = {"at its seam": cut - 100, "from the beginning": 300, "nowhere near": cut - 3000}[where]
    other[at] ^= 1
    slots = [(0, bytes(other[:cut])), (cut, data[cut:])] if where == "from the beginning" else [(cut, data[cut:])]
    lying.lay(data[:cut], slots, inode=1, recording=None if where == "from the beginning" else bytes(other))
    before = lying.tail.read_bytes()
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data[:cut]
    assert lying.tail.read_bytes() == before
    assert any("belongs to another file" in one for one in found.problems)


def test_a_copy_of_a_recording_that_is_committed_with_its_tail_left(lying):
    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data, [(cut, data[cut:])], inode=1, recording=data)
    lying.partial.rename(lying.final)
    assert rk.recover(lying.final).outcome is Outcome.CLEANED
    assert lying.names() == ["talk.ts"]


def test_a_file_system_without_locks(lying, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[:cut], [(cut, data[cut:])])
    before = lying.names()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(RecoveryError, match="cannot be told whether the recording still runs"):
        rk.recover(lying.final)
    assert rk.recover(lying.final, dry_run=True).bytes == len(data)  # it only looks
    (one,) = rk.partials(lying.folder)
    assert "no locks" in one.problem
    lying.partial.unlink()
    with pytest.raises(RecoveryError, match="copy it"):
        rk.recover(lying.final)
    assert lying.names() == [name for name in before if name != "talk.recording.ts"]


def test_inode_numbers_that_change_at_each_look(lying):
    class Wandering(System):
        looks = 0

        def inode_at(self, path):
            self.looks += 1
            inode = super().inode_at(path)
            return None if inode is None else inode + self.looks

    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[:cut], [(cut, data[cut:])])
    rk.recover(lying.final, _system=Wandering())
    assert lying.final.read_bytes() == data
    assert lying.names() == ["talk.ts"]


@pytest.mark.parametrize("header", [b"", b"RKTAIL\0\1", bytes(4096), b"x" * 4096])
def test_a_header_that_cannot_be_read(lying, header):
    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[:cut], [(cut, data[cut:])])
    whole = header + lying.tail.read_bytes()[len(header) :] if len(header) == 4096 else header
    lying.tail.write_bytes(whole)
    rk.recover(lying.final)
    assert lying.final.read_bytes() == data[:cut]
    assert lying.rejects() == ([whole] if whole.strip(b"\0") else [])
    assert not lying.tail.exists()


@pytest.mark.parametrize("words", [(1 << 62, 188), (188, 1 << 62), (7, 188), (188, 7), (0, (1 << 20) + 188)])
def test_a_header_that_contradicts_itself(lying, words):
    data = media()
    lying.lay(data, [(0, data)])
    tail = bytearray(lying.tail.read_bytes())
    tail[64:80] = b"".join(word.to_bytes(8, "little") for word in words)
    lying.tail.write_bytes(tail)
    assert rk.recover(lying.final).bytes == len(data)
    assert lying.rejects() == [bytes(tail)]


def test_a_slot_beyond_the_end_of_the_file_is_set_aside(lying):
    data = media()
    starts = unit_starts(data)
    lying.lay(data[: starts[30]], [(starts[50], data[starts[50] :])])
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data[: starts[30]]
    assert lying.rejects() == [data[starts[50] :]]
    assert [(cut.source, cut.offset) for cut in found.cuts] == [("slot", starts[50])]
    assert "hole" in found.cuts[0].reason


def test_what_the_file_had_in_the_place_of_a_slot_is_set_aside(lying):
    data = media()
    cut = unit_starts(data)[50]
    wrong = data[:cut] + bytes(500)
    lying.lay(wrong, [(cut, data[cut:])])
    rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.rejects() == [bytes(500)]


# After another boot.

OTHER = b"another boot, so"


def test_a_tail_of_another_boot_is_believed_where_it_continues_the_file(lying):
    data = media()
    cut = unit_starts(data)[50]
    lying.lay(data[: cut + 700], [(cut, data[cut:])], boot=OTHER)
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert any("started anew" in one for one in found.problems)
    assert not lying.tail.exists()


@pytest.mark.parametrize("lost", ["zeros", "older bytes", "garbage"])
def test_pages_of_the_tail_that_did_not_reach_the_disk(lying, lost):
    data = media(crf=0, size=(640, 360))
    starts = unit_starts(data)
    cut = starts[40]
    slot = bytearray(data[cut:])
    page = 5 * 4096
    assert len(slot) > page + 4096
    slot[page : page + 4096] = {"zeros": bytes(4096), "older bytes": data[376 : 376 + 4096]}.get(lost, b"x" * 4096)
    lying.lay(data[:cut], [(cut, bytes(slot))], boot=OTHER)
    rk.recover(lying.final)
    kept = lying.final.read_bytes()
    assert data.startswith(kept)
    assert cut + page - 20_000 < len(kept) <= cut + page
    assert rk.verify(lying.final, decode=True).ok
    assert lying.rejects() == [bytes(slot)[len(kept) - cut :]]


def test_a_stale_slot_is_not_believed(lying):
    data = media()
    starts = unit_starts(data)
    # What the slot held before: right packets, that come too early.
    lying.lay(data[: starts[50]], [(starts[50], data[starts[20] : starts[45]])], boot=OTHER)
    rk.recover(lying.final)
    assert lying.final.read_bytes() == data[: starts[50]]
    assert lying.rejects() == [data[starts[20] : starts[45]]]


def test_a_file_that_lost_its_end_while_the_tail_kept_it(lying):
    data = media()
    starts = unit_starts(data)
    lying.lay(data[: starts[40]] + bytes(5000), [(starts[30], data[starts[30] :])], boot=OTHER)
    rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert lying.rejects() == [bytes(5000)]


@pytest.mark.parametrize("old", ["a page", "all of it"])
def test_old_pages_of_a_disk_that_was_lost_while_the_machine_went_on(lying, old):
    data = media(crf=0, size=(640, 360))
    starts = unit_starts(data)
    cut = starts[40]
    slot = bytearray(data[cut:])
    earlier = data[starts[4] :][: len(slot)]
    if old == "a page":
        slot[4096:8192] = earlier[4096:8192]
    else:
        slot[:] = earlier
    lying.lay(data[:cut], [(cut, bytes(slot))])
    rk.recover(lying.final)
    kept = lying.final.read_bytes()
    assert data.startswith(kept)
    assert cut <= len(kept) <= cut + 4096
    assert rk.verify(lying.final, decode=True).ok
    assert lying.rejects() == [bytes(slot)[len(kept) - cut :]]


def test_a_file_that_is_damaged_before_its_tail(lying):
    data = media()
    cut = unit_starts(data)[50]
    hurt = data[: cut - 4 * PACKET] + bytes(4 * PACKET)
    lying.lay(hurt, [(cut, data[cut:])])
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == hurt + data[cut:]
    assert found.problems


# Names, links and the living.


def test_a_name_that_is_taken(lying):
    data = media()
    for number, name in enumerate(["talk.ts", "talk (recovered).ts", "talk (recovered 2).ts"]):
        lying.lay(data)
        assert rk.recover(lying.final).final_path == lying.folder / name
        assert len(lying.names()) == number + 1
    lying.lay(data)
    assert rk.recover(lying.folder, dry_run=True)[0].final_path.name == "talk (recovered 3).ts"
    assert lying.partial.exists()


def test_a_folder_that_has_the_final_name(lying):
    lying.lay(media())
    lying.final.mkdir()
    with pytest.raises(rk.RecordkitError):
        rk.recover(lying.folder / "nothing.ts")
    assert rk.recover(lying.partial).final_path.name == "talk (recovered).ts"


@pytest.mark.parametrize("which", ["partial", "tail", "rejected"])
@pytest.mark.parametrize("kind", ["link", "broken link", "folder", "fifo"])
def test_links_and_the_like_are_refused(tmp_path, which, kind):
    folder = tmp_path / "folder"
    folder.mkdir()
    lying = Lying(folder)
    lying.lay(media() + b"\0", [])
    path, elsewhere = getattr(lying, which), tmp_path / "elsewhere"
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        if kind == "link":
            elsewhere.write_bytes(media())
        path.symlink_to(elsewhere)
    with pytest.raises(rk.RecoveryError):
        rk.recover(lying.final)
    assert not lying.final.exists()
    assert [one.outcome for one in rk.recover(folder)] == [Outcome.FAILED]
    assert len(rk.partials(folder)) == 1
    if kind == "link":
        assert elsewhere.read_bytes() == media()
    elif kind == "broken link":
        assert not elsewhere.exists()
    assert path.is_symlink() == kind.endswith("link")


def test_a_living_recording_is_not_touched(lying):
    lying.lay(media() + b"\0", [(0, media())])
    before = {name: (lying.folder / name).read_bytes() for name in lying.names()}
    with lying.partial.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for dry_run in (True, False):
            with pytest.raises(rk.StillRecordingError) as caught:
                rk.recover(lying.final, dry_run=dry_run)
            assert caught.value.path == lying.partial
            assert [one.outcome for one in rk.recover(lying.folder, dry_run=dry_run)] == [Outcome.RECORDING]
    assert {name: (lying.folder / name).read_bytes() for name in lying.names()} == before


def test_a_recording_of_this_process_is_not_touched(lying):
    with rk.Recorder(lying.final, video=None, flush_log=False) as recorder:
        with pytest.raises(rk.StillRecordingError):
            rk.recover(lying.final)
        for frame in rk.Synthetic(seconds=0.3, video=False).frames():
            recorder.write(frame)
    assert rk.verify(lying.final).ok


def test_a_recording_of_another_process_is_not_touched(lying):
    lying.lay(media())
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(lying.partial)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(rk.StillRecordingError):
            rk.recover(lying.final)
        other.stdin.close()
    assert rk.recover(lying.final).outcome is Outcome.RECOVERED


def test_one_that_only_looks_does_not_stand_in_the_way(lying):
    lying.lay(media())
    code = (
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 1); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(lying.partial)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        assert rk.recover(lying.final, dry_run=True).outcome is Outcome.RECOVERED
        other.stdin.close()
        other.wait()
    assert rk.recover(lying.final).outcome is Outcome.RECOVERED


# Little, or nothing.


def test_nothing_in_both_is_removed(lying):
    lying.lay(b"", [])
    assert rk.recover(lying.final, dry_run=True).outcome is Outcome.REMOVED
    assert len(lying.names()) == 2
    assert rk.recover(lying.final).outcome is Outcome.REMOVED
    assert lying.names() == []


@pytest.mark.parametrize("data", [b"\0", b"x" * 5000, b"G" * 5000, media()[:376], media()[:1000]])
def test_what_holds_no_unit_is_left_as_it_is(lying, data):
    lying.lay(data, [])
    before = {name: (lying.folder / name).read_bytes() for name in lying.names()}
    assert rk.recover(lying.final).outcome is Outcome.NOTHING
    assert {name: (lying.folder / name).read_bytes() for name in lying.names()} == before


def test_there_is_nothing_of_that_name(lying):
    with pytest.raises(rk.RecoveryError):
        rk.recover(lying.final)
    with pytest.raises(rk.OutputNameError):
        rk.recover(lying.folder / "talk.mkv")
    lying.final.write_bytes(media())
    assert rk.recover(lying.final).outcome is Outcome.NOTHING
    assert rk.recover(lying.folder) == []


# A recovery, or a commit, that was interrupted near its end.


def test_committed_with_its_tail_left(lying):
    data = media()
    lying.lay(data, [(0, data)])
    lying.partial.rename(lying.final)
    assert rk.recover(lying.final, dry_run=True).outcome is Outcome.CLEANED
    assert lying.tail.exists()
    (found,) = rk.recover(lying.folder)
    assert (found.outcome, found.final_path) == (Outcome.CLEANED, lying.final)
    assert lying.names() == ["talk.ts"]


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("slots", [None, []], ids=["all zeros, after a power cut", "nothing published"])
def test_a_tail_that_holds_nothing_is_removed(lying, slots, is_committed):
    lying.tail.write_bytes(bytes(3_000_000) if slots is None else tail_bytes(7))
    if is_committed:
        lying.final.write_bytes(media())
    wanted = Outcome.CLEANED if is_committed else Outcome.REMOVED
    assert rk.recover(lying.final, dry_run=True).outcome is wanted
    assert lying.tail.exists()
    assert rk.recover(lying.final).outcome is wanted
    assert lying.names() == (["talk.ts"] if is_committed else [])


@pytest.mark.parametrize("has_partial", [True, False])
@pytest.mark.parametrize("is_used", [True, False])
def test_a_tail_whose_header_was_being_made_holds_nothing(lying, has_partial, is_used):
    """Its first eight bytes come last; what stands in its slots without them is kept."""
    tail = bytearray(tail_bytes(7)) + bytes(3_000_000)
    tail[:8] = bytes(8)
    tail[2_000_000] = is_used
    lying.tail.write_bytes(tail)
    if has_partial:
        lying.partial.touch()
    assert rk.recover(lying.final).outcome is (Outcome.NOTHING if is_used else Outcome.REMOVED)
    assert lying.names() == ([name.name for name in sorted([lying.partial, lying.tail]) if name.exists()])
    assert lying.tail.exists() is is_used


def test_a_tail_is_left_alone_while_a_recording_begins_beside_it(lying):
    data = media()
    lying.lay(data, [(0, data)])
    lying.partial.rename(lying.final)
    begins = FaultySystem()
    begins.do(f"open {lying.partial.name}", 2, lambda: lying.partial.write_bytes(b""))
    with pytest.raises(rk.StillRecordingError):
        rk.recover(lying.final, _system=begins)
    assert lying.tail.exists()


def test_committed_under_another_name_with_its_tail_left(lying):
    data = media()
    lying.lay(data, [(0, data)])
    lying.final.write_bytes(b"another")
    lying.partial.rename(lying.folder / "talk (recovered).ts")
    assert rk.recover(lying.final).final_path.name == "talk (recovered).ts"
    assert lying.names() == ["talk (recovered).ts", "talk.ts"]


def test_two_names_of_one_file(lying):
    data = media()
    lying.lay(data, [(0, data)])
    os.link(lying.partial, lying.final)
    assert rk.recover(lying.final).final_path == lying.final
    assert lying.names() == ["talk.ts"]
    assert lying.final.read_bytes() == data


def test_two_names_of_a_file_that_is_not_complete(lying):
    lying.lay(media() + b"x", [])
    os.link(lying.partial, lying.final)
    with pytest.raises(rk.RecoveryError, match=r"is talk\.ts, too"):
        rk.recover(lying.final)
    assert lying.final.read_bytes() == media() + b"x"


def test_a_tail_of_a_committed_file_that_was_changed_is_kept(lying):
    data = media()
    lying.lay(data[:-PACKET], [(0, data)])
    lying.partial.rename(lying.final)
    assert rk.recover(lying.final).outcome is Outcome.NOTHING
    assert lying.tail.exists()


def test_progress_is_told(lying):
    lying.lay(media())
    seen = []
    rk.recover(lying.final, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(media()), len(media()))


def test_a_folder_of_several(tmp_path):
    for name in ("a", "b", "c"):
        Lying(tmp_path, name).lay(media(), [(0, media())])
    Lying(tmp_path, "b").partial.write_bytes(b"")
    found = rk.recover(tmp_path)
    assert [one.final_path for one in found] == [tmp_path / f"{name}.ts" for name in "abc"]


@pytest.mark.parametrize("has_header", [False, True])
def test_a_tail_of_nothing_but_zeros_is_not_read_through(lying, monkeypatch, has_header):
    data, slot_bytes = media(), 256 * 1024 * 1024
    lying.lay(data)
    valid = slot_bytes // PACKET * PACKET
    header = bytearray(tail_bytes(lying.partial.stat().st_ino, slot_bytes=1)[:4096])
    header[8:16] = slot_bytes.to_bytes(8, "little")
    for number in range(2):
        at = 64 * (number + 1)
        header[at : at + 8] = (len(data) + number * valid).to_bytes(8, "little")
        header[at + 8 : at + 16] = valid.to_bytes(8, "little")
    with lying.tail.open("wb") as file:
        file.write(header if has_header else bytes(4096))
        file.truncate(4096 + 2 * slot_bytes)
    read, whole = [], os.pread

    def pread(descriptor, size, offset):
        piece = whole(descriptor, size, offset)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(os, "pread", pread)
    found = rk.recover(lying.final)
    assert lying.final.read_bytes() == data
    assert found.cut_bytes == (2 * valid if has_header else 0)
    assert sum(read) < 32 * 1024 * 1024


@pytest.mark.parametrize("is_in_tail", [False, True])
def test_a_very_short_recording_is_filled_up_as_a_finished_one_is(lying, is_in_tail):
    data = short_units()
    assert len(data) < 11 * PACKET
    lying.lay(b"" if is_in_tail else data, [(0, data)])
    rk.recover(lying.final)
    recovered = lying.final.read_bytes()
    assert recovered.startswith(data)
    assert len(recovered) == 11 * PACKET
    # FFmpeg looks for packets of up to 204 bytes, ten of them.
    assert {recovered[at] for at in range(0, len(recovered), PACKET)} == {0x47}
    assert not scan(recovered).problem_counts


def test_a_short_recording_that_was_padded_already_keeps_its_last_frame(lying):
    data = short_units()
    padded = data + packetiser().finish(len(data)).append[0]
    found = rk.recover(lying.lay(padded, [(0, data)]).final)
    assert lying.final.read_bytes() == padded
    assert (found.cuts, found.tail_bytes) == ((), 0)


def test_padding_alone_is_no_recording(lying):
    padding = packetiser().finish(0).append[0]
    assert rk.recover(lying.lay(padding).final).outcome is Outcome.NOTHING
    assert lying.partial.read_bytes() == padding


def test_a_rejected_file_that_has_another_name_is_not_added_to(lying):
    data = media()
    lying.lay(data + b"x" * 5000)
    other = lying.final.with_name("precious")
    other.write_bytes(b"mine")
    os.link(other, lying.final.with_suffix(".rejected"))
    with pytest.raises(RecoveryError, match="hard link"):
        rk.recover(lying.final)
    assert other.read_bytes() == b"mine"
    lying.final.with_suffix(".rejected").unlink()
    assert rk.recover(lying.final).ok
