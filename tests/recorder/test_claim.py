"""What a recording tells of itself to the others of its process."""

import pytest

from recordkit.errors import AdmissionError
from recordkit.intake import Intake
from recordkit.recorder.claim import Claim
from recordkit.recorder.shared import Shared
from recordkit.settings import RecordingSettings

from ..steering import FakeClock


def claim(folder, shared, *, since_full_s=None, intake=None):
    settings = RecordingSettings(path=folder / "cam" / "talk.ts", queue_bytes=1 << 20, _clock=FakeClock())
    share = shared.budget.share()
    return Claim(
        settings,
        shared,
        share,
        intake or Intake(settings.queue_bytes, "drop", settings.clock, share),
        lambda: settings.path,
        lambda: since_full_s,
        8 << 20,
    )


def test_who_loses_media_to_a_disk_keeps_others_from_it_while_it_runs(tmp_path):
    """The folder is not there yet: the disk is that of the nearest one."""
    shared = Shared(_clock=FakeClock())
    intake = Intake(1 << 20, "drop", FakeClock())
    intake.put("frame", 0, 0, 1 << 20, entry=True)
    intake.put("one that is dropped", 0, 1, 1 << 20, entry=True)
    first, second = claim(tmp_path, shared, since_full_s=1.0, intake=intake), claim(tmp_path, shared)
    second.admit()
    first.join()
    with pytest.raises(AdmissionError, match="disk is behind"):
        second.admit()
    first.leave()
    first.leave()
    second.admit()
