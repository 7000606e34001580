"""The figures of a recording, asked of its parts."""

from recordkit.model import Received
from recordkit.recorder.running import RunningRecording
from recordkit.recorder.shared import Shared
from recordkit.settings import RecordingSettings

from ..steering import FakeClock, unit


def parts_of(folder):
    clock = FakeClock()
    return RunningRecording(RecordingSettings(path=folder / "talk.ts", _clock=clock), Shared(_clock=clock)), clock


def test_each_figure_is_as_its_part_has_it(tmp_path):
    parts, _ = parts_of(tmp_path)
    ledger = parts.ledger
    assert (ledger.duration_s, ledger.counters.video_units, ledger.counters.received) == (0.0, 0, None)
    parts.pipeline.tally.add(unit(0), 0)
    parts.intake.dropped = 3
    parts.pipeline.layer.refused_units = parts.streams.rejected_items = 2
    assert (ledger.duration_s, ledger.counters.video_units) == (1 / 30, 1)
    assert (ledger.counters.dropped_items, ledger.counters.rejected_items) == (3, 4)


def test_what_has_limits_counts_what_the_network_dropped_too(tmp_path):
    ledger = parts_of(tmp_path)[0].ledger
    assert set(ledger.limited().values()) == {0}
    ledger.received = lambda: Received(dropped_units=5)
    assert ledger.limited()["received_dropped_units"] == ledger.counters.received.dropped_units == 5


def test_silence_counts_while_it_records(tmp_path):
    parts, clock = parts_of(tmp_path)
    parts.pipeline.tally.add(unit(0), 0)
    clock.advance(7.0)
    assert parts.ledger.standing().silent_s == 0.0
    parts.states.start()
    standing = parts.ledger.standing()
    assert (standing.silent_s, standing.path) == (7.0, tmp_path / "talk.recording.ts")
