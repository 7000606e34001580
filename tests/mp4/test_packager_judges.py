"""What programs of others say of our files, finished and as a partial."""

import pytest

from ..judges import assert_decodes_in_silence, run
from .cases import CASES
from .laying import lay

pytestmark = pytest.mark.judge
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def starts_and_frames(path):
    entries = ("-show_entries", "stream=codec_name,start_time,nb_read_packets", "-of", "csv=p=0")
    done = run("ffprobe", "-v", "error", "-count_packets", *entries, path)
    assert not done.stderr
    return [line.split(",") for line in done.stdout.split()]


@each_case
@pytest.mark.parametrize("state", ["partial", "fragmented", "whole"])
def test_ffmpeg_decodes_in_silence(case, state, tmp_path):
    path = tmp_path / "made.mp4"
    laid = lay(case.steps, fragmented=state == "fragmented")
    path.write_bytes(laid.partial if state == "partial" else laid.whole)
    assert_decodes_in_silence(path, "warning" if case.silent else "error")
    if case.name == "video_first_audio_early" and state != "whole":
        return  # a stream that is declared later has a place in the finished file alone
    found = starts_and_frames(path)
    assert min(float(start) for _, start, _ in found) == pytest.approx(0, abs=0.11)
    for index, (name, _, count) in enumerate(found):
        sent = [unit for unit in laid.units if unit.stream == index]
        assert name == laid.packager.streams[index].codec
        # Audio that only primes is left out of the finished file's presentation.
        assert len(sent) - 2 <= int(count) <= len(sent)
