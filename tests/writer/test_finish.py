"""How a recording in MP4 is finished: in which order, on a full disk, and after a fault in any call."""

import errno

import pytest

import recordkit as rk
from recordkit.errors import WriteError
from recordkit.model import AccessUnit, Codec
from recordkit.mp4.movie import FTYP
from recordkit.mp4.packager import Packager
from recordkit.settings import RecordingSettings
from recordkit.writer.writer import Writer

from ..mp4 import real
from ..mp4.laying import Declare, lay, recording
from ..steering import GUARD_S, FakeClock, FaultySystem

STEPS = recording(real.video(Codec.H264, 64, 48, 24), real.audio(Codec.AAC, 48_000, 1))
CALLS = ("write", "sync_data", "sync", "rename", "sync_folder")


@pytest.fixture(scope="module")
def whole():
    return lay(STEPS).whole


class Recorded:
    """A writer of its own system, that laid all units and was closed."""

    def __init__(self, folder, prepare=lambda system: None, **settings):
        self.system = FaultySystem(folder=folder)
        packager = Packager()
        self.writer = Writer(
            RecordingSettings(path=folder / "talk.mp4", _clock=FakeClock(), _system=self.system, **settings),
            packager,
        )
        self.writer.start()
        for step in STEPS:
            if isinstance(step, Declare):
                packager.declare(step.stream, step.format)
            else:
                assert isinstance(step, AccessUnit)
                self.writer.lay(step)
        prepare(self.system)
        self.writer.close(commit=True)
        assert self.writer.join(GUARD_S)


def test_the_front_is_turned_only_when_the_end_is_on_the_disk(tmp_path, whole):
    made = Recorded(tmp_path)
    assert (tmp_path / "talk.mp4").read_bytes() == whole
    assert made.writer.file_bytes == len(whole)
    calls = [(call.name, call.offset) for call in made.system.calls if call.name in CALLS]
    media = lay(STEPS).partial
    assert calls[-6:] == [
        ("write", len(media)),
        ("sync", 0),
        ("write", len(FTYP)),
        ("sync", 0),
        ("rename", 0),
        ("sync_folder", 0),
    ]


@pytest.mark.parametrize("name", CALLS)
def test_a_fault_in_any_call_leaves_what_recovery_finishes(tmp_path, whole, name):
    for nth in range(1, 10):
        folder = tmp_path / str(nth)
        folder.mkdir()
        done = 0

        def prepare(system, nth=nth):
            nonlocal done
            done = len(system.named(name))
            system.fail(name, done + nth, errno.EIO)

        made = Recorded(folder, prepare)
        final = folder / "talk.mp4"
        if made.writer.committed:
            assert final.read_bytes() == whole
            break
        assert isinstance(made.writer.error, WriteError)
        if not final.exists():
            rk.recover(final)
        assert final.read_bytes() == whole
    else:
        pytest.fail("there is no end of calls")
    assert nth > 1 or name == "sync_data"


def test_on_a_full_disk_the_tail_gives_its_room_to_the_finish(tmp_path, whole):
    media = len(lay(STEPS).partial)

    def fill(system):
        system.room = media + 100

        def make_room():
            system.room = 1 << 30

        system.do("unlink", 1, make_room)

    made = Recorded(tmp_path, fill, on_disk_full="stop", flush_threshold=1 << 20)
    assert made.writer.committed
    assert (tmp_path / "talk.mp4").read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir()] == ["talk.mp4"]


def test_a_disk_that_stays_full_leaves_what_recovery_finishes(tmp_path, whole):
    media = len(lay(STEPS).partial)

    def fill(system):
        system.room = media + 100

    made = Recorded(tmp_path, fill, on_disk_full="stop", flush_threshold=1 << 20)
    assert isinstance(made.writer.error, WriteError)
    assert (tmp_path / "talk.recording.mp4").stat().st_size == media
    rk.recover(tmp_path / "talk.mp4")
    assert (tmp_path / "talk.mp4").read_bytes() == whole
