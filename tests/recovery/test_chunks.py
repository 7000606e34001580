"""Recovery of recordings in MP4: a kill anywhere leaves what is finished to the very file it would have been."""

import os

import av
import pytest

import recordkit as rk
from recordkit.model import Codec
from recordkit.recovery.outcome import Outcome
from recordkit.system import System

from ..judges import assert_decodes_in_silence
from ..media import make_clip, remuxed
from ..mp4 import real
from ..mp4.laying import lay, recording
from .material import Lying


@pytest.fixture(scope="module")
def laid():
    return lay(recording(real.video(Codec.H264, 64, 48, 24), real.audio(Codec.AAC, 48_000, 1)))


@pytest.fixture
def lying(tmp_path):
    return Lying(tmp_path, suffix=".mp4")


def until(laid, count):
    """The partial after so many units, and the finished file of them."""
    return laid.partial[: laid.ends[count - 1]]


def test_a_partial_without_a_tail_is_finished(lying, laid):
    lying.lay(laid.partial)
    found = rk.recover(lying.final)
    assert (found.outcome, found.final_path, found.cuts) == (Outcome.RECOVERED, lying.final, ())
    assert lying.final.read_bytes() == laid.whole
    assert lying.names() == ["talk.mp4"]
    assert found.duration_s == pytest.approx(1, abs=0.05)


@pytest.mark.judge
@pytest.mark.parametrize("more", [1, 40, 111, 113])
def test_a_cut_chunk_is_set_aside_and_the_rest_plays(lying, laid, more):
    whole = until(laid, 20)
    lying.lay(laid.partial[: len(whole) + more])
    found = rk.recover(lying.partial)
    assert [cut.bytes for cut in found.cuts] == [more]
    assert lying.rejects() == [laid.partial[len(whole) :][:more]]
    assert lying.final.read_bytes()[48 : len(whole)] == whole[48:]
    assert_decodes_in_silence(lying.final)


@pytest.mark.parametrize("in_file", [0, 8, 20, 30])
def test_the_tail_is_put_back(lying, laid, in_file):
    """Whatever of it had come to the file, and whatever of a chunk."""
    begin = laid.ends[7]
    slots = [(begin, laid.partial[begin : laid.ends[19]]), (laid.ends[19], laid.partial[laid.ends[19] :])]
    file = laid.partial[: begin if in_file <= 8 else laid.ends[in_file - 1] + 5]
    lying.lay(file, slots, packet_bytes=1, recording=laid.partial)
    found = rk.recover(lying.final)
    assert found.outcome is Outcome.RECOVERED
    assert found.tail_bytes == len(laid.partial) - len(file)
    assert lying.final.read_bytes() == laid.whole
    assert lying.names() == ["talk.mp4"]


def test_a_tail_alone_that_begins_the_recording(lying, laid):
    lying.lay(b"", [(0, laid.partial)], packet_bytes=1)
    assert rk.recover(lying.final).tail_bytes == len(laid.partial)
    assert lying.final.read_bytes() == laid.whole


@pytest.mark.parametrize("cut", [1, 8, 100, 10_000])
@pytest.mark.parametrize("turned", [False, True])
def test_a_finish_that_was_cut_short_is_made_anew(lying, laid, cut, turned):
    whole = laid.whole if turned else laid.partial + laid.whole[len(laid.partial) :]
    lying.lay(whole[: len(laid.partial) + cut])
    found = rk.recover(lying.final)
    assert found.outcome is Outcome.RECOVERED
    assert lying.final.read_bytes() == laid.whole
    assert lying.rejected.exists() == (cut < 8), "fewer bytes do not say what they are the beginning of"


@pytest.mark.parametrize("turned", [False, True])
def test_a_finish_that_was_all_written_stays_as_it_is(lying, laid, turned):
    lying.lay(laid.whole if turned else laid.partial + laid.whole[len(laid.partial) :])
    rk.recover(lying.final)
    assert lying.final.read_bytes() == laid.whole


@pytest.mark.parametrize("committed", [False, True])
def test_a_tail_that_has_the_beginning_too_changes_nothing_of_a_finished_file(lying, laid, committed):
    """A recording of one flush, killed before its tail was removed."""
    lying.lay(laid.whole, [(0, laid.partial)], packet_bytes=1)
    if committed:
        lying.partial.rename(lying.final)
    rk.recover(lying.folder)
    assert lying.final.read_bytes() == laid.whole
    assert lying.names() == ["talk.mp4"]


def test_a_recovery_may_fail_at_each_call_and_be_repeated(tmp_path, laid):
    """Each call to the system in turn fails once; the next recovery ends with the same file."""
    calls = 0
    while True:
        folder = tmp_path / str(calls)
        folder.mkdir()
        lying = Lying(folder, suffix=".mp4")
        begin = laid.ends[7]
        lying.lay(laid.partial[:begin], [(begin, laid.partial[begin:])], packet_bytes=1, recording=laid.partial)
        system = Failing(calls)
        try:
            rk.recover(lying.final, _system=system)
        except rk.RecordkitError:
            assert not lying.final.exists() or lying.final.read_bytes() == laid.whole
            if not lying.final.exists():
                rk.recover(lying.final)
        assert lying.final.read_bytes() == laid.whole
        if system.left >= 0:
            break
        calls += 1
    assert calls > 5


class Failing(System):
    """Fails with the ``left``-th of the calls that write or sync."""

    def __init__(self, left):
        self.left = left

    def _count(self):
        self.left -= 1
        if self.left == -1:
            raise OSError(5, os.strerror(5))

    def write_at(self, *arguments):
        self._count()
        return super().write_at(*arguments)

    def sync(self, *arguments):
        self._count()
        return super().sync(*arguments)

    def sync_folder(self, *arguments):
        self._count()
        return super().sync_folder(*arguments)


def test_after_a_power_cut_the_tail_is_believed_up_to_lost_pages(lying, laid):
    begin = laid.ends[7]
    held = bytearray(laid.partial[begin:])
    held[4096:8192] = bytes(4096)
    lying.lay(laid.partial[:begin], [(begin, bytes(held))], boot=bytes(16), packet_bytes=1)
    found = rk.recover(lying.final)
    assert found.outcome is Outcome.RECOVERED
    kept = max(end for end in laid.ends if end <= begin + 4096)
    assert lying.final.read_bytes()[48:kept] == laid.partial[48:kept]
    assert found.tail_bytes == kept - begin
    assert any("started anew" in one for one in found.problems)


def test_nothing_changes_in_a_dry_run(lying, laid):
    begin = laid.ends[7]
    lying.lay(laid.partial[:begin], [(begin, laid.partial[begin:])], packet_bytes=1)
    found = rk.recover(lying.final, dry_run=True)
    assert (found.outcome, found.tail_bytes) == (Outcome.RECOVERED, len(laid.partial) - begin)
    assert lying.partial.read_bytes() == laid.partial[:begin]


def test_what_holds_no_chunk_is_left_as_it_is(lying, laid):
    lying.lay(laid.partial[: laid.ends[0] - 1])
    assert rk.recover(lying.final).outcome is Outcome.NOTHING
    assert lying.partial.exists()


def test_all_of_a_folder(tmp_path, laid):
    for name in ("a", "b"):
        Lying(tmp_path, name, ".mp4").lay(laid.partial)
    assert [one.final_path.name for one in rk.recover(tmp_path)] == ["a.mp4", "b.mp4"]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("foreign") / "clip.mp4", seconds=3, options={"g": "15"})


@pytest.mark.judge
@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_every_frame+empty_moov+default_base_moof"])
@pytest.mark.parametrize("share", [0.4, 0.8, 0.97])
def test_fragments_of_others_are_brought_back(foreign, tmp_path, flags, share):
    data = remuxed(foreign, tmp_path / "remuxed.mp4", options={"movflags": flags}).read_bytes()
    broken, fixed = tmp_path / "broken.mp4", tmp_path / "fixed.mp4"
    broken.write_bytes(data[: int(len(data) * share)])
    found = rk.recover(broken, output=fixed)
    assert found.outcome is Outcome.REPAIRED
    assert found.duration_s > 0.5
    checked = rk.verify(fixed)
    assert {problem.kind for problem in checked.problems} <= {"DTS not increasing"}
    assert checked.streams[0].frames > 10
    assert broken.read_bytes() == data[: int(len(data) * share)]
    with av.open(str(fixed)) as container:
        assert sum(1 for _ in container.decode(video=0)) == checked.streams[0].frames


def test_a_plain_file_without_its_moov_is_told_as_what_it_is(foreign, tmp_path):
    data = foreign.read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data[: data.rindex(b"moov") - 4])
    found = rk.recover(broken, output=tmp_path / "fixed.mp4")
    assert found.outcome is Outcome.NOTHING
    assert "without its moov" in found.message
    assert not (tmp_path / "fixed.mp4").exists()


def test_what_is_brought_back_keeps_its_container(foreign, tmp_path):
    with pytest.raises(rk.OutputNameError, match=r"ends in \.mp4"):
        rk.recover(foreign, output=tmp_path / "fixed.ts")
