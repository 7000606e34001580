"""The packets of a container, for several who read it at the same time."""

import pytest

import recordkit as rk
from recordkit.demux import open_media
from recordkit.errors import SourceError
from recordkit.reading.container import ContainerTrack
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip


@pytest.fixture
def opened(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "recordkit.reading.video_file.open_media", lambda *given: (asked.append(given), open_media(*given))[1]
    )
    return asked


def test_who_reads_in_order_is_not_disturbed_by_who_reads_from_the_start(tmp_path, opened):
    with rk.open(make_clip(tmp_path / "clip.mkv", seconds=1, audio=())) as video:
        in_order = iter(video)
        seen = [read_frame_number(next(in_order).frame) for _ in range(5)]
        assert read_frame_number(video[0].frame) == 0
        seen += [read_frame_number(frame.frame) for frame in in_order]
        assert seen == list(range(30))
        assert read_frame_number(video[29].frame) == 29
    assert len(opened) <= 3  # to be scanned, and from the start for each of the two


def test_what_one_has_read_is_lent_to_the_next(tmp_path, opened):
    track = ContainerTrack(str(make_clip(tmp_path / "clip.mp4", seconds=1, audio=())))
    before = len(opened)
    for first in (20, 3, 11):
        assert next(track.packets(first)).size
    track.close()
    assert len(opened) - before <= 1


def test_one_that_is_closed_says_so_to_who_still_reads(tmp_path):
    track = ContainerTrack(str(make_clip(tmp_path / "clip.mp4", seconds=1, audio=())))
    reading = track.packets(0)
    next(reading)
    track.close()
    with pytest.raises(SourceError, match="closed"):
        next(reading)
    with pytest.raises(SourceError, match="closed"):
        next(track.packets(0))
