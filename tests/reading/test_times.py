"""Media time, PTS and time of capture: each from the others."""

from datetime import UTC, datetime

import av
import numpy as np
import pandas as pd
import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.sources.marks import read_frame_number

NOON_NS = 1_795_867_200_000_000_000
SECOND_NS = 1_000_000_000
CAMERA_NS = (0, 100_000_000, 133_000_000, 300_000_000, 333_000_000)
"""A camera that is uneven: when its frames were taken, since noon."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("times") / "talk.ts"
    with rk.Recorder(path) as recorder:
        frames = rk.Synthetic(160, 120, audio=False, seconds=1).frames()
        for frame, since_ns in zip(frames, CAMERA_NS, strict=False):
            recorder.write(frame, captured=NOON_NS + since_ns)
        recorder.flush()
        recorder.mark("stimulus")
    return path


def test_seconds_of_media_are_the_pts_less_the_first_time_of_any_stream(video):
    frames = video.frames
    base, start_s = 1 / 90_000, frames.attrs["start_s"]
    assert frames["pts"].to_numpy() * base - start_s == pytest.approx(frames["media_s"].to_numpy())
    assert video.media_s_of(frames["pts"]).tolist() == frames["media_s"].tolist()
    assert video.pts_of(frames["media_s"]).tolist() == frames["pts"].tolist()
    assert video.pts_of(frames["media_s"].iloc[3]) == frames["pts"].iloc[3]
    assert video.media_s_of(int(frames["pts"].iloc[2])) == frames["media_s"].iloc[2]


def test_what_is_shown_was_taken_evenly_between_two_frames(video):
    shown = video.frames["media_s"].to_numpy()
    for number, since_ns in enumerate(CAMERA_NS):
        assert video.captured_at(shown[number]).value == pytest.approx(NOON_NS + since_ns, abs=1000)
    between = video.captured_at((shown[2] + shown[3]) / 2)
    assert between.value - NOON_NS == pytest.approx((CAMERA_NS[2] + CAMERA_NS[3]) / 2, abs=1000)


def test_before_the_first_frame_and_behind_the_last_time_goes_on(video):
    shown = video.frames["media_s"].to_numpy()
    assert video.captured_at(shown[0] - 1).value == pytest.approx(NOON_NS - SECOND_NS, abs=1000)
    assert video.captured_at(shown[-1] + 2).value == pytest.approx(
        NOON_NS + CAMERA_NS[-1] + 2 * SECOND_NS, abs=1000
    )


def test_what_is_no_number_is_told_and_infinity_is_behind_all(video):
    count = len(video)
    assert video.between(-np.inf, np.inf).numbers == video.between(0, np.inf).numbers == range(count)
    assert len(video.between(np.inf, np.inf)) == 0
    assert (video.showing(-np.inf), video.showing(np.inf)) == (0, count - 1)
    assert video.audio(-np.inf, np.inf)[1] == 0
    for ask in (video.find, video.showing, video.captured_at, video.audio, lambda at: video.between(0, at)):
        for at in (float("nan"), "soon", None):
            with pytest.raises(SettingsError, match="give seconds of media"):
                ask(at)
    for at in (float("nan"), float("inf"), [0.0, float("nan")]):
        with pytest.raises(SettingsError, match="give seconds of media"):
            video.pts_of(at)


def test_each_way_leads_back(video):
    for media_s in np.linspace(-1, 2, 31):
        assert video.media_s_at(video.captured_at(media_s)) == pytest.approx(media_s, abs=2e-6)
    at = datetime(2026, 11, 28, 12, 0, 0, 50_000, tzinfo=UTC)
    assert abs(video.captured_at(video.media_s_at(at)) - pd.Timestamp(at)) <= pd.Timedelta(2, "us")


def test_a_mark_says_when_the_frame_that_showed_was_taken(video):
    (mark,) = video.marks.itertuples()
    assert mark.captured == video.frames["captured"].iloc[mark.number]
    assert str(video.marks["captured"].dtype) == "datetime64[ns, UTC]"


def test_what_says_nothing_of_capture_is_told(video, tmp_path):
    with pytest.raises(SettingsError, match="time zone"):
        video.media_s_at(datetime(2026, 11, 28, 12))
    rk.record(
        rk.Synthetic(160, 120, audio=False, seconds=0.2, realtime=False), tmp_path / "bare.ts", embed_times=False
    )
    (tmp_path / "bare.frames").unlink(missing_ok=True)
    with rk.open(tmp_path / "bare.ts") as bare:
        for ask in (lambda: bare.captured_at(0.0), lambda: bare.media_s_at(datetime.now(UTC))):
            with pytest.raises(IndexError, match="does not say when"):
                ask()


@pytest.mark.parametrize("is_laid", [False, True])
@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_a_mark_is_at_the_frame_given_last_in_a_file_that_grows_and_when_it_is_finished(tmp_path, suffix, is_laid):
    """Whether that was laid or waits, the first one, too.

    An MP4 hides the priming of its audio, which is longer than a frame here; a transport stream begins with it.
    """
    path, marked = tmp_path / f"talk{suffix}", [0, 9, 40, 71]
    video = rk.VideoSettings(preset="ultrafast")
    with rk.Recorder(path, video=video) as recorder:
        for frame in rk.Synthetic(160, 120, fps=100, seconds=1, realtime=False).frames():
            recorder.write(frame)
            if isinstance(frame, av.VideoFrame) and frame.pts in marked:
                if is_laid and frame.pts:  # else there would be no audio yet, which begins before the video
                    recorder.flush()
                recorder.mark(str(frame.pts))
        recorder.flush()
        assert at_marks(path, marked) == marked
    assert at_marks(path, marked) == marked
    assert recorder.stop().duration_s == pytest.approx(rk.verify(path).duration_s, abs=0.03)
    keyframes = recorder.events.query("kind == 'keyframe' and stream == 0")
    with rk.open(path) as video:
        assert keyframes["media_s"].iloc[0] == pytest.approx(video[0].media_s, abs=1e-4)


def at_marks(path, marked):
    with rk.open(path) as video:
        times = video.marks["media_s"].tolist()
        assert times == pytest.approx([video.time_of(number) for number in marked], abs=1e-4)
        return [read_frame_number(video.at(str(number)).frame) for number in marked]
