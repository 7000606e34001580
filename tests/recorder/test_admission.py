"""Which recording is refused, for want of what, and with which words."""

import pytest

from recordkit.errors import AdmissionError, RecordkitError
from recordkit.recorder.admission import DESCRIPTORS, RECENT_S, Load, Needs, check, memory_bytes
from recordkit.recorder.capacity import Capacity
from recordkit.settings import VideoSettings


class Machine(Capacity):
    def __init__(self, memory=10**9, files=1000):
        self.memory, self.files = memory, files

    def memory_bytes(self):
        return self.memory

    def descriptors(self):
        return self.files


NEEDS = Needs("new.ts", memory_bytes=50_000_000, encodes=True, device=7)
SOUND = Needs("new.ts", memory_bytes=50_000_000, encodes=False, device=7)
BUSY = Load("old.ts", since_drop_s=1.0, device=7)
BEHIND = Load("old.ts", since_drop_s=1.0, since_full_s=0.5, device=7)


def refused(needs=NEEDS, running=(), machine=None):
    with pytest.raises(AdmissionError) as caught:
        check(needs, running, machine or Machine())
    assert isinstance(caught.value, RecordkitError)
    assert caught.value.recording == "new.ts"
    assert "new.ts: not started, for want of " + caught.value.short in str(caught.value)
    assert "admission='off'" in str(caught.value)
    return caught.value


def test_what_a_recording_may_take():
    megabyte = 1 << 20
    audio = memory_bytes(10 * megabyte, 16 * megabyte, None)
    assert 30 * megabyte < audio < 40 * megabyte
    assert audio < memory_bytes(10 * megabyte, 16 * megabyte, VideoSettings()) < audio + 10 * megabyte
    large = memory_bytes(10 * megabyte, 16 * megabyte, VideoSettings(size=(1920, 1080)))
    assert 45 * megabyte < large - audio < 60 * megabyte


def test_memory():
    check(NEEDS, [], Machine(memory=50_000_000))
    error = refused(machine=Machine(memory=49_999_999))
    assert (error.short, error.needed, error.available) == ("memory", 50_000_000, 49_999_999)
    assert "smaller queue_bytes" in str(error)


def test_file_descriptors():
    check(NEEDS, [], Machine(files=DESCRIPTORS))
    check(NEEDS, [], Machine(files=None))
    error = refused(machine=Machine(files=DESCRIPTORS - 1))
    assert (error.short, error.needed, error.available) == ("file descriptors", DESCRIPTORS, DESCRIPTORS - 1)
    assert "ulimit -n" in str(error)


def test_a_recording_that_loses_media_to_its_encoder():
    error = refused(running=[Load("fine.ts"), BUSY])
    assert (error.short, error.needed, error.available) == ("processor", None, None)
    assert "old.ts is losing media already" in str(error)
    # Whichever disk it is that the new one goes to.
    assert refused(Needs("new.ts", 1, encodes=True, device=8), [BUSY]).short == "processor"
    check(SOUND, [BUSY], Machine())


def test_a_recording_that_loses_media_to_its_disk():
    error = refused(running=[BEHIND])
    assert error.short == "disk"
    assert "record to another disk" in str(error)
    assert refused(SOUND, [BEHIND]).short == "disk"
    check(Needs("new.ts", 1, encodes=True, device=8), [BEHIND], Machine())
    check(Needs("new.ts", 1, encodes=True), [Load("old.ts", since_drop_s=1.0, since_full_s=0.5)], Machine())


@pytest.mark.parametrize(
    "load",
    [
        Load("old.ts", device=7),
        Load("old.ts", since_drop_s=RECENT_S + 0.1, device=7),
        Load("old.ts", since_full_s=0.0, device=7),
    ],
    ids=["all is well", "it was long ago", "the disk is behind, and nothing is lost"],
)
def test_nobody_is_refused_while_nothing_is_lost(load):
    check(NEEDS, [load], Machine())


def test_a_full_buffer_of_long_ago_does_not_excuse_the_encoder():
    assert refused(running=[Load("old.ts", since_drop_s=1.0, since_full_s=60.0, device=7)]).short == "processor"
