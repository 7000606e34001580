"""When the frames of a real WebRTC sender were taken, against the moments at which it took them."""

import numpy as np

import recordkit as rk
from recordkit.sources.marks import read_frame_number
from recordkit.sources.webrtc import tracks


def test_frames_are_dated_by_the_senders_reports_to_the_millisecond(tmp_path, monkeypatch):
    """The loopback's sender takes frame n at n frame times after its beginning, and its reports say so."""
    begun = []
    monkeypatch.setattr(tracks._Start, "begin", _noting(tracks._Start.begin, begun))
    fps, path = 30, tmp_path / "talk.ts"
    rk.record(rk.Loopback(320, 180, fps=fps, seconds=5, loss=0.02), path)
    with rk.open(path) as video:
        rows = video.frames
        numbers = np.array([read_frame_number(frame.frame) for frame in video])
    errors_s = rows["captured"].astype("int64").to_numpy() / 1e9 - (begun[0]._unix_s + numbers / fps)
    reported = (rows["captured_by"] == "sender-report").to_numpy()
    assert reported.sum() > len(rows) / 2
    assert np.quantile(np.abs(errors_s[reported]), 0.99) < 0.001
    stated_s = rows["captured_error_s"].to_numpy()
    assert (np.isnan(stated_s) | (np.abs(errors_s) <= stated_s)).all()


def _noting(begin, begun):
    def note(start, *given):
        begin(start, *given)
        begun.append(start)

    return note
