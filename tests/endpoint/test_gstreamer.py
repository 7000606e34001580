"""GStreamer's webrtcbin, as Debian has it, publishes: each picture that it sends is in the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify
from tests.judges import assert_decodes_in_silence, judge

from .test_serve import ROOT, TOKEN, serving

pytestmark = pytest.mark.judge

SYSTEM_PYTHON = "/usr/bin/python3"
SIZE = (320, 192)
CODINGS = {
    "H.264 high": "x264enc tune=zerolatency sliced-threads=false speed-preset=ultrafast key-int-max=30"
    " ! video/x-h264,profile=high ! rtph264pay config-interval=-1 pt=96",
    "H.264 baseline, aggregated": "x264enc speed-preset=ultrafast bframes=0 key-int-max=30"
    " ! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=1 aggregate-mode=zero-latency pt=96",
    "H.264 in slices, parameter sets between them": "x264enc tune=zerolatency sliced-threads=true threads=4"
    " speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay config-interval=-1 pt=96",
    "H.264 with intra refresh": "x264enc tune=zerolatency sliced-threads=true threads=4 intra-refresh=true"
    " speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=high ! rtph264pay config-interval=1 pt=96",
    "H.264 with B-frames": "x264enc speed-preset=ultrafast bframes=2 b-adapt=false key-int-max=30"
    " ! video/x-h264,profile=main ! rtph264pay config-interval=-1 pt=96",
    "VP8": "vp8enc deadline=1 keyframe-max-dist=30 target-bitrate=2000000 ! rtpvp8pay pt=96",
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Three seconds of numbered pictures as raw I420, and how many they are."""
    path = tmp_path_factory.mktemp("pictures") / "pictures.yuv"
    source = Synthetic(width=SIZE[0], height=SIZE[1], fps=30, seconds=3.0, audio=False, realtime=False)
    with path.open("wb") as file:
        for frame in source.frames():
            file.write(frame.reformat(format="yuv420p").to_ndarray().tobytes())  # type: ignore[union-attr, call-arg]
    return path, source.picture_count or 0


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_each_picture_that_webrtcbin_sends_is_in_the_file(
    coding: str, pictures: tuple[Path, int], tmp_path: Path
) -> None:
    judge("gst-inspect-1.0")
    path, count = pictures
    client = ROOT / "tests" / "endpoint" / "gstreamer_client.py"
    with serving(tmp_path / "out", token=TOKEN) as url:
        command = [SYSTEM_PYTHON, str(client), f"{url}/whip/gst", TOKEN, str(path), *map(str, SIZE), coding]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    recorded = tmp_path / "out" / "gst-1.ts"
    found = verify(recorded, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(recorded)
    assert {stream.codec for stream in found.streams} == {"h264", "aac"}
    back = read_back(recorded)
    assert (back.numbers_ok, back.lost, back.repeated, back.out_of_order, back.unreadable) == (count, 0, 0, 0, 0)
    assert (back.first_number, back.last_number) == (0, count - 1)
