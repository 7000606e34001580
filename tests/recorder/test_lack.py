"""What is given and cannot be recorded: told while it is so, and at the end."""

from recordkit.model import EncodedUnit
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.state import State

from ..steering import FakeClock


def test_frames_without_parameter_sets_are_told_at_the_end_and_meanwhile(tmp_path, caplog):
    slices = bytes.fromhex("0000000165888040") + bytes([0x77]) * 100
    clock = FakeClock()
    with Recorder(tmp_path / "talk.ts", audio=None, sample_interval=0, _clock=clock) as recorder:
        for number in range(60):
            recorder.write_unit(EncodedUnit("h264", slices, number * 3000, is_entry=True))
            recorder.flush()
            clock.advance(1 / 20)
        assert recorder.state is State.DEGRADED
        assert "parameter sets" in recorder.degraded_because
        assert recorder.ended_because is None
    recording = recorder.stop()
    assert recording.path is None
    assert "parameter sets" in recording.ended_because
    assert recorder.ended_because in caplog.text
    assert "no media came" not in caplog.text
