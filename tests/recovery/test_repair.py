"""Other writers' broken files: what is valid is copied, the original is only read."""

import errno
import subprocess

import pytest

import recordkit as rk
from recordkit.mpegts.laying import section_packets
from recordkit.mpegts.tables import build_pat, build_pmt_of
from recordkit.recovery.outcome import Outcome

from ..media import make_clip
from ..mpegts.builder import wrapped
from ..steering import PACKET, FaultySystem
from .material import Lying, media, unit_starts


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


def pid_of(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def packets_of(data: bytes) -> list[bytes]:
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def repaired(folder, data: bytes):
    """The recovery of ``data``, and what verify says of the copy."""
    (folder / "other.ts").write_bytes(data)
    found = rk.recover(folder / "other.ts", output=folder / "fixed.ts")
    planned = rk.recover(folder / "other.ts", output=folder / "planned.ts", dry_run=True)
    assert (planned.outcome, planned.bytes, planned.problems) == (found.outcome, found.bytes, found.problems)
    return found, rk.verify(folder / "fixed.ts") if found.final_path else None


@pytest.mark.parametrize("lost", [1, 9, 40])
def test_packets_that_are_missing_are_told_and_marked(tmp_path, clip, lost):
    half = len(clip) // (2 * PACKET) * PACKET
    found, verified = repaired(tmp_path, clip[:half] + clip[half + lost * PACKET :])
    assert (found.outcome, verified.ok) == (Outcome.REPAIRED, True)
    assert "packets are missing at" in found.message
    assert any(one.startswith("continuity") for one in found.problems)
    assert found.added_bytes % PACKET == 0
    assert found.bytes == len(clip) - lost * PACKET + found.added_bytes
    assert "marked" in found.message


def test_of_a_whole_file_nothing_is_said(tmp_path, clip):
    found, verified = repaired(tmp_path, clip)
    assert (found.message, found.problems, found.added_bytes) == (
        f"{len(clip):,} bytes of valid packets; nothing was left out",
        (),
        0,
    )
    assert verified.ok


def test_times_that_jump_are_marked(tmp_path):
    """Two recordings in one file, as cat makes it."""
    found, verified = repaired(tmp_path, media() * 2)
    assert (found.outcome, verified.ok) == (Outcome.REPAIRED, True)
    assert "marked" in found.message
    once = rk.verify(write(tmp_path / "once.ts", media()))
    assert [one.access_units for one in verified.streams] == [2 * one.access_units for one in once.streams]


def damaged_table(packet: bytes) -> bytes:
    end = 5 + packet[4] + 3 + (int.from_bytes(packet[6:8]) & 0x0FFF)
    return packet[: end - 1] + bytes([packet[end - 1] ^ 0xFF]) + packet[end:]


@pytest.mark.parametrize("lacks", ["all tables", "the PAT", "the PMT", "each table's CRC", "the first tables"])
@pytest.mark.parametrize("writer", ["own", "other"])
def test_tables_that_are_missing_or_damaged(tmp_path, clip, lacks, writer):
    data = media() if writer == "own" else clip
    before = rk.verify(write(tmp_path / "whole.ts", data))
    packets = packets_of(data)
    pat = next(one for one in packets if pid_of(one) == 0)
    pmt_pid = int.from_bytes(pat[15:17]) & 0x1FFF
    of = {"all tables": {0, pmt_pid}, "the PAT": {0}, "the PMT": {pmt_pid}, "each table's CRC": {0, pmt_pid}}
    if lacks == "the first tables":
        packets = packets[next(n for n, one in enumerate(packets) if pid_of(one) not in (0, 0x11, pmt_pid)) :]
    elif lacks == "each table's CRC":
        packets = [damaged_table(one) if pid_of(one) in of[lacks] else one for one in packets]
    else:
        packets = [one for one in packets if pid_of(one) not in of[lacks]]
    found, verified = repaired(tmp_path, b"".join(packets))
    assert (found.outcome, verified.problems) == (Outcome.REPAIRED, ())
    assert [(one.codec, one.access_units, one.keyframes) for one in verified.streams] == [
        (one.codec, one.access_units, one.keyframes) for one in before.streams
    ]
    assert "made anew" in found.message or lacks == "the first tables"


def write(path, data: bytes):
    path.write_bytes(data)
    return path


CODINGS = {
    "h264": "libx264 -pix_fmt yuv420p",
    "hevc": "libx265 -pix_fmt yuv420p -x265-params log-level=none",
    "mpeg2video": "mpeg2video",
    "aac": "aac",
    "mp3": "libmp3lame",
    "mp2": "mp2",
    "opus": "libopus",
    "ac3": "ac3",
    "eac3": "eac3",
    "dts": "dca -strict -2",
}


@pytest.mark.judge
@pytest.mark.parametrize("codec", CODINGS)
def test_the_tables_of_each_coding_are_made_of_its_pes_packets(tmp_path, codec):
    is_video = codec in ("h264", "hevc", "mpeg2video")
    source = "testsrc2=size=160x96:rate=25:duration=1" if is_video else "sine=duration=1:sample_rate=48000"
    way = f"-f lavfi -i {source} -c:{'v' if is_video else 'a'} {CODINGS[codec]}"
    subprocess.run(["ffmpeg", "-v", "error", *way.split(), str(tmp_path / "whole.ts")], check=True)
    whole = rk.verify(tmp_path / "whole.ts")
    packets = packets_of((tmp_path / "whole.ts").read_bytes())
    found, verified = repaired(tmp_path, b"".join(one for one in packets if pid_of(one) not in (0, 0x11, 0x1000)))
    # FFmpeg's clock runs slower than the standard wants if there is audio only; a repair makes no other clock.
    assert {one.kind for one in verified.problems} == {one.kind for one in whole.problems} <= {"PCR gap"}
    assert (found.outcome is Outcome.REPAIRED) == whole.ok
    assert [(one.codec, one.access_units) for one in verified.streams] == [
        (one.codec, one.access_units) for one in whole.streams
    ]


def test_one_damaged_table_among_good_ones_is_left_out(tmp_path):
    packets = packets_of(media())
    at = [number for number, one in enumerate(packets) if pid_of(one) == 0x1000][1]
    packets[at] = damaged_table(packets[at])
    found, verified = repaired(tmp_path, b"".join(packets))
    assert (found.outcome, verified.ok) == (Outcome.REPAIRED, True)
    assert [(cut.offset, cut.reason) for cut in found.cuts] == [(at * PACKET, "a damaged table")]


def test_what_cannot_be_played_is_no_success(tmp_path):
    encrypted = [
        one[:3] + bytes([one[3] | 0x80]) + one[4:] if pid_of(one) >= 0x100 else one for one in packets_of(media())
    ]
    for data, why in ((b"".join(encrypted), "encrypted"), (b"".join(packets_of(media())[:2]) * 40, "access unit")):
        found, _ = repaired(tmp_path, data)
        assert (found.outcome, found.final_path, found.ok) == (Outcome.NOTHING, None, False)
        assert "nothing in it can be played" in found.message
        assert why in found.message
        assert sorted(one.name for one in tmp_path.iterdir()) == ["other.ts"]


def test_a_unit_that_states_its_length_needs_nothing_behind_it(tmp_path):
    """It ends where its length says, if that is the end of a full packet, too (2.4.3.7)."""
    pmt = build_pmt_of([(0x100, 0x06, b"")], 0x1FFF, 0)
    pes = b"\0\0\1\xbd" + (178).to_bytes(2) + b"\x80\x80\x05\x21\x00\x05\xbf\x21" + b"0123456789" * 17
    tables = bytes(section_packets(0, build_pat(), 0) + section_packets(0x1000, pmt, 0))
    data = tables + b"\x47\x41\x00\x10" + pes
    assert len(data) == 3 * PACKET
    found, _ = repaired(tmp_path, data)
    assert (tmp_path / "fixed.ts").read_bytes() == data
    assert found.cuts == ()
