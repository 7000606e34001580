"""What other people's readers show of our files: the frame of each number is the one that ``recordkit.open`` shows.

By number, for frames at an even rate: OpenCV counts by time, and seeks in a transport stream by guessing. decord
counts frames, but knows no edit lists, and in a transport stream with B-frames none is where it looks.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

import recordkit as rk
from recordkit.sources.marks import read_frame_number
from tests.media import make_clip

Image = npt.NDArray[np.uint8]
Reader = Callable[[Path], tuple[int, Callable[[int], Image]]]
ASKED, FPS, SIZE = 20, 30, (320, 180)
VIDEO = rk.VideoSettings(preset="ultrafast", keyframe_interval=0.5)


def by_opencv(path: Path) -> tuple[int, Callable[[int], Image]]:
    cv2 = import_module("cv2")
    capture = cv2.VideoCapture(str(path))

    def frame(number: int) -> Image:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        is_there, image = capture.read()
        assert is_there, number
        return np.ascontiguousarray(image[..., ::-1])

    return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), frame


def by_decord(path: Path) -> tuple[int, Callable[[int], Image]]:
    decord = pytest.importorskip("decord", reason="it is there for x86-64 alone")
    frames = decord.VideoReader(str(path), num_threads=1)
    return len(frames), lambda number: frames[number].asnumpy()


def recorded(path: Path, *, lost: float = 0, fps: str = "30", **settings: object) -> rk.Recorder:
    """Three seconds, laid; it goes on."""
    chance = random.Random(path.name)
    recorder = rk.Recorder(path, video=VIDEO, flush_interval=0.2, **settings)  # type: ignore[arg-type]
    recorder.start()
    for item in rk.Synthetic(*SIZE, fps=fps, seconds=3, realtime=False).frames():
        if not isinstance(item, av.VideoFrame) or chance.random() >= lost:
            recorder.write(item)
    recorder.flush()
    return recorder


def finished(path: Path, **settings: object) -> Path:
    recorded(path, **settings).stop()  # type: ignore[arg-type]
    return path


def growing(path: Path) -> Path:
    """As it lies there before its end."""
    recorder = recorded(path)
    shutil.copy(recorder.temp_output_path, path.with_name(f"seen{path.suffix}"))
    recorder.stop()
    return path.with_name(f"seen{path.suffix}")


def recovered(path: Path) -> Path:
    recorder = recorded(path)
    left = path.parent / "killed"
    left.mkdir()
    for one in path.parent.glob("talk.*"):
        shutil.copy(one, left)
    recorder.stop()
    rk.recover(left / path.name)
    return left / path.name


def passed_through(path: Path) -> Path:
    clip = make_clip(path.with_name("clip.mp4"), size=SIZE, fps=FPS, seconds=3, options={"bf": "3", "g": "20"})
    rk.record(clip, path)
    return path


def second_segment(path: Path) -> Path:
    finished(path.with_name("{number}" + path.suffix), segments=rk.Segments(every=1))
    return path.with_name("2" + path.suffix)


def paused(path: Path) -> Path:
    recorder = rk.Recorder(path, video=VIDEO)
    recorder.start()
    for item in rk.Synthetic(*SIZE, fps=FPS, seconds=4, realtime=False).frames():
        at_s = float(item.pts * item.time_base)  # type: ignore[operator]
        if 1 <= at_s < 2:
            recorder.pause("close")
        else:
            recorder.resume()
        recorder.write(item)
    recorder.stop()
    return path


def clip(path: Path) -> Path:
    finished(path)
    rk.export(path, path.with_name(f"clip{path.suffix}"), start=0.7, end=2.2, exact=True)
    return path.with_name(f"clip{path.suffix}")


MADE: dict[str, Callable[[Path], Path]] = {
    "finished": finished,
    "29.97": lambda path: finished(path, fps="30000/1001"),
    "fragmented": lambda path: finished(path, finish="fragmented"),
    "growing": growing,
    "recovered": recovered,
    "passed through": passed_through,
    "second segment": second_segment,
    "paused": paused,
    "clip": clip,
    "frames lost": lambda path: finished(path, lost=0.3),
}
COUNTED = {"finished", "29.97", "recovered", "passed through", "second segment", "paused", "clip"}
"""Of what is in fragments OpenCV takes the length from libavformat, which counts what an edit list leaves out."""


CASES = [
    *((name, ".mp4", by_opencv) for name in MADE if name != "frames lost"),
    *((name, ".mp4", by_decord) for name in MADE),
    *((name, ".ts", by_opencv) for name in ("finished", "29.97", "growing", "recovered", "paused")),
]


@pytest.mark.parametrize(("name", "suffix", "reader"), CASES)
def test_another_reader_shows_the_same_frames(tmp_path: Path, name: str, suffix: str, reader: Reader) -> None:
    path = MADE[name](tmp_path / f"talk{suffix}")
    with rk.open(path) as video:
        numbers = [read_frame_number(frame.frame) for frame in video]
    assert None not in numbers
    count, frame = reader(path)
    if suffix == ".mp4" and (reader is by_decord or name in COUNTED):
        assert count == len(numbers)
    for number in random.Random(name).sample(range(len(numbers)), ASKED):
        image = av.VideoFrame.from_ndarray(frame(number), format="rgb24")
        assert read_frame_number(image) == numbers[number], number


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_torchcodec_finds_frames_by_the_mappings_that_we_give(tmp_path: Path, suffix: str) -> None:
    try:
        decoders = import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError):
        pytest.skip("torchcodec wants torch and, from 0.14 on, CUDA's libraries, which no part of recordkit needs")
    path = finished(tmp_path / f"talk{suffix}")
    with rk.open(path) as video:
        decoder = decoders.VideoDecoder(
            str(path), dimension_order="NHWC", custom_frame_mappings=video.frame_mappings()
        )
        assert len(decoder) == len(video)
        for number in random.Random(suffix).sample(range(len(video)), ASKED):
            image = np.ascontiguousarray(decoder[number].numpy())
            assert read_frame_number(av.VideoFrame.from_ndarray(image, "rgb24")) == number
