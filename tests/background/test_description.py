"""Settings, sources and results as JSON and back: equal on the other side, validated there, nothing else built."""

import json
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import pytest

from recordkit.background.description import _HOMES, describe, restore
from recordkit.errors import SettingsError
from recordkit.model import Codec, Received, StreamFormat
from recordkit.recorder.result import Counters
from recordkit.settings import AudioSettings, VideoSettings
from recordkit.sources.media_file import MediaFile
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.loopback import Loopback
from recordkit.telemetry.alerts import AlertSettings, Limit


@dataclass(frozen=True)
class Homemade:
    """A source that only this process knows."""

    name: str = "homemade"


class Synthetisch(Synthetic):
    """A subclass has behaviour of its own, which does not travel."""


def travelled(value):
    return restore("value", json.loads(json.dumps(describe("value", value))))


@pytest.mark.parametrize(
    "value",
    [
        Synthetic(fps="30000/1001", seconds=0.1, audio=False),
        Loopback(loss=0.05, outages=((1.0, 0.5),), sizes=((2.0, 320, 180),)),
        MediaFile(url="clip.mp4", options={"type": "dict", "rtsp_transport": "tcp"}, fps=Fraction(25)),
        VideoSettings(size=(640, 360), frame_rate=Fraction(30000, 1001), pixel_aspect=Fraction(4, 3)),
        (AudioSettings(language="deu"), AudioSettings()),
        AlertSettings(memory_bytes=None, queue_share=Limit(0.25, hold_s=1, clear=0.1)),
        {0: StreamFormat(Codec.H264, 64, 48), 1: None},
        b"\x12\x10\0",
        Counters(video_units=3, received=Received(packets=4)),
        Path("a/b.ts"),
        [1, 2.5, True, None, "ä\udcff"],
        float("inf"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_described_comes_back_equal(value):
    assert travelled(value) == value
    assert type(travelled(value)) is type(value)


@pytest.mark.parametrize(("name", "home"), _HOMES.items())
def test_each_type_is_where_it_is_looked_for(name, home):
    assert getattr(import_module(f"recordkit.{home}"), name).__module__ == f"recordkit.{home}"


@pytest.mark.parametrize("value", [print, Homemade(), Synthetisch(), Synthetic, {1}, AlertSettings(own=(print,))])
def test_what_cannot_travel_says_what_to_use(value):
    with pytest.raises(SettingsError, match="use Recorder or MediaRecorder"):
        describe("source", value)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Popen", "fields": {"args": "true"}},
        {"type": "Synthetic", "fields": {"colour": "red"}},
        {"type": "Synthetic", "fields": 3},
        {"type": "Fraction", "value": "1/0"},
        {"type": "tuple", "value": 3},
        {"type": "Codec", "value": "theora"},
        {},
    ],
)
def test_what_describes_nothing_is_refused(document):
    with pytest.raises(SettingsError, match=r"describes nothing|colour='red': there is no such setting"):
        restore("source", document)


def test_what_comes_back_is_validated():
    described = describe("video", VideoSettings())
    described["fields"]["crf"] = 99.0
    with pytest.raises(SettingsError, match="crf=99"):
        restore("video", described)
