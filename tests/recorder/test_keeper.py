"""While a recording runs its folder is kept within bounds, by a thread that holds nothing up."""

import os

import pytest

from recordkit.errors import SettingsError
from recordkit.model import EventKind
from recordkit.recorder.keeper import LOOK_INTERVAL_S, Keeper
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.shared import Shared
from recordkit.settings import Keep, RecordingSettings
from recordkit.sources.synthetic import Synthetic

from ..keeping.lying import WHOLE_BYTES, Folder
from ..steering import FakeClock, FaultySystem, recordkit_threads

OLD_NS = 1_000_000_000_000_000_000


class Kept:
    """A folder of ten old recordings with a keeper at work in it."""

    def __init__(self, path, **bounds):
        self.folder = Folder(path)
        for number in range(10):
            self.folder.one(f"r{number}", OLD_NS + number)
        self.clock, self.system, self.told = FakeClock(), FaultySystem(free=10**9), []
        settings = RecordingSettings(
            path=path / "now.ts", keep=Keep(**bounds), flush_threshold=65536, _clock=self.clock, _system=self.system
        )
        passes = Shared(_clock=self.clock).passes(path, settings.keep, self.system)
        self.keeper = Keeper("now.ts", settings, passes, lambda kind, **fields: self.told.append((kind, fields)))

    def __enter__(self):
        self.keeper.start()
        self.settle()
        return self

    def __exit__(self, *_):
        self.keeper.end()
        self.keeper.join()

    def settle(self):
        self.clock.until_waiting("recordkit-keep")

    def wake(self):
        self.keeper.wake()
        self.clock.advance(LOOK_INTERVAL_S)
        self.settle()


@pytest.fixture(autouse=True)
def no_threads_left():
    with recordkit_threads():
        yield


def test_a_pass_as_soon_as_a_flush_comes_near_the_bound(tmp_path):
    with Kept(tmp_path, max_bytes=20 * WHOLE_BYTES) as kept:
        assert len(kept.folder.recordings) == 10
        (tmp_path / "now.recording.ts").write_bytes(bytes(9 * WHOLE_BYTES))
        kept.wake()
        # A tenth of the bound is kept free for the flush that comes next.
        assert len(kept.folder.recordings) == 1 + 9
        assert kept.told == [
            (
                EventKind.DELETED,
                {"path": str(tmp_path / "r0.ts"), "bytes": WHOLE_BYTES, "because": "more than 23.0 kB"},
            )
        ]


def test_time_alone_makes_what_is_too_old_go(tmp_path):
    with Kept(tmp_path, max_age=1000) as kept:
        assert kept.folder.recordings == []
        now_ns = kept.clock.time_ns()
        kept.folder.one("young", now_ns)
        kept.wake()
        assert kept.folder.recordings == ["young"]
        kept.clock.advance(1001)
        kept.settle()
        kept.clock.advance(LOOK_INTERVAL_S)
        kept.settle()
        assert kept.folder.recordings == []


def test_what_others_take_of_the_disk_counts(tmp_path):
    with Kept(tmp_path, min_free=10**8) as kept:
        assert len(kept.folder.recordings) == 10
        kept.system.free = 10**8 + 65536 - 1
        kept.clock.advance(LOOK_INTERVAL_S)
        kept.settle()
        assert len(kept.folder.recordings) == 9


def test_nothing_to_delete_and_no_room_raises_an_alert_that_clears(tmp_path, caplog):
    with Kept(tmp_path, max_bytes=5000) as kept:
        (tmp_path / "now.recording.ts").write_bytes(bytes(6000))
        kept.wake()
        assert kept.keeper.nothing_to_delete(None) == "more than 5.00 kB, and there is nothing that may be deleted"
        assert caplog.text.count("nothing that may be deleted") == 1
        (tmp_path / "now.recording.ts").unlink()
        kept.wake()
        assert kept.keeper.nothing_to_delete(None) is None


def test_what_stays_is_told_once(tmp_path, caplog):
    (tmp_path / "r0.pinned").touch()
    with Kept(tmp_path, max_count=1) as kept:
        kept.folder.lay(7)
        kept.wake()
        kept.wake()
    assert caplog.text.count("is pinned") == 1


def test_a_folder_that_cannot_be_read_is_told_once_and_looked_at_again(tmp_path, caplog):
    with Kept(tmp_path, max_count=5) as kept:
        kept.system.fail("free_bytes", kept.system.count("free_bytes") + 1, 5, lasting=True)
        kept.folder.one("new", OLD_NS)
        kept.wake()
        kept.wake()
        assert len(kept.folder.recordings) == 6
        kept.system.fail("free_bytes", 10**9, 5, lasting=True)
        kept.wake()
        assert len(kept.folder.recordings) == 5
    assert caplog.text.count("cannot be looked at") == 1


def test_recordings_into_one_folder_share_what_is_known_of_it(tmp_path):
    shared, system = Shared(), FaultySystem()
    first = shared.passes(tmp_path, Keep(max_count=1), system)
    assert shared.passes(tmp_path, Keep(max_count=1), system) is first
    assert shared.passes(tmp_path, Keep(max_count=2), system) is not first


def test_a_recording_keeps_its_folder_within_bounds(tmp_path):
    folder = Folder(tmp_path)
    for number in range(5):
        folder.one(f"r{number}", OLD_NS + number)
    with Recorder(tmp_path / "now.ts", audio=None, keep=Keep(max_count=2)) as recorder:
        for frame in Synthetic(width=64, height=48, fps=10, seconds=0.3, audio=False).frames():
            recorder.write(frame)
    assert folder.recordings == ["now", "r4"]
    assert os.path.getsize(tmp_path / "now.ts")  # noqa: PTH202
    deleted = [one.fields["path"] for one in recorder.log.contents.events if one.kind is EventKind.DELETED]
    assert len(deleted) == 4 - len(folder.recordings) + 2


def test_bounds_without_anything_to_know_recordings_by(tmp_path):
    for options in ({"flush_log": False, "frame_table": False}, {"flush_log": False, "video": None}):
        with pytest.raises(SettingsError, match="leave flush_log or frame_table on"):
            RecordingSettings(path=tmp_path / "talk.ts", keep=Keep(max_count=1), **options)
    with pytest.raises(SettingsError, match="give recordkit"):
        RecordingSettings(path=tmp_path / "talk.ts", keep="7d")
