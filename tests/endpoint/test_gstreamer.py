"""GStreamer's webrtcbin, as Debian has it, publishes: each picture that it sends is in the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify
from tests.judges import assert_decodes_in_silence, judge

from .lossy import TOLD_WITHIN, Lossy, accounted, assert_accounted, told_after
from .test_serve import ROOT, TOKEN, serving

pytestmark = [pytest.mark.judge, pytest.mark.usefixtures("no_frame_stands")]

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


def published(coding: str, pictures: Path, folder: Path, *options: str) -> Path:
    """Publish all of these pictures; returns the recording."""
    judge("gst-inspect-1.0")
    client = ROOT / "tests" / "endpoint" / "gstreamer_client.py"
    with serving(folder, token=TOKEN) as url:
        command = [SYSTEM_PYTHON, str(client), f"{url}/whip/gst", TOKEN, str(pictures), *map(str, SIZE), coding]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "gst-1.ts"


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_each_picture_that_webrtcbin_sends_is_in_the_file(
    coding: str, pictures: tuple[Path, int], tmp_path: Path
) -> None:
    path, count = pictures
    recorded = published(coding, path, tmp_path / "out")
    found = verify(recorded, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(recorded)
    assert {stream.codec for stream in found.streams} == {"h264", "aac"}
    back = read_back(recorded)
    assert (back.numbers_ok, back.lost, back.repeated, back.out_of_order, back.unreadable) == (count, 0, 0, 0, 0)
    assert (back.first_number, back.last_number) == (0, count - 1)


@pytest.mark.parametrize(
    ("coding", "share"),
    [("H.264 high", 0.02), ("H.264 in slices, parameter sets between them", 0.05), ("VP8", 0.05)],
)
def test_what_a_bad_network_takes_is_told_and_all_the_rest_is_in_the_file(
    coding: str, share: float, pictures: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sender that sends nothing again; keyframes that it is asked for are all that helps."""
    path, count = pictures
    network = Lossy(share)
    network.attach(monkeypatch)
    recorded = published(CODINGS[coding], path, tmp_path / "out")
    assert verify(recorded, decode=True).decoded
    assert_decodes_in_silence(recorded)
    back = read_back(recorded)
    assert (back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0)
    received = assert_accounted(recorded, count, back.numbers_ok, network.unseen)
    assert received["dropped_units"] > 0
    assert received["keyframe_requests"] > 0


@pytest.mark.parametrize("coding", ["H.264 baseline, aggregated", "VP8"])
def test_what_is_sent_again_is_in_the_file(
    coding: str, pictures: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, count = pictures
    network = Lossy(0.05)
    network.attach(monkeypatch)
    recorded = published(CODINGS[coding], path, tmp_path / "out", "again")
    assert_decodes_in_silence(recorded)
    back = read_back(recorded)
    assert (back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0)
    received = assert_accounted(recorded, count, back.numbers_ok, network.unseen)
    assert received["recovered_packets"] > 0
    # The last packets are missed by nobody, and what was sent again may be lost again.
    assert back.numbers_ok > count // 2


@pytest.mark.parametrize("coding", ["H.264 with intra refresh", "H.264 with B-frames", "VP8"])
def test_who_comes_late_has_all_from_the_first_frame_that_can_be_decoded(
    coding: str, pictures: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, count = pictures
    Lossy(late_by=100).attach(monkeypatch)
    recorded = published(CODINGS[coding], path, tmp_path / "out")
    assert verify(recorded, decode=True).decoded
    assert_decodes_in_silence(recorded)
    back, received = read_back(recorded), accounted(recorded)
    assert back.first_number is not None
    assert (back.lost, back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0, 0)
    assert back.first_number > 0
    assert back.last_number == count - 1
    # With intra refresh a decoder shows nothing before all of the frame has been refreshed.
    assert received["received_units"] >= back.numbers_ok > 0
    if received["dropped_units"]:
        assert told_after(recorded) <= TOLD_WITHIN
