"""What a caller may choose: text as on the command line, and what is refused."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from functools import partial
from typing import get_type_hints

import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.settings import (
    AudioSettings,
    PortableOptions,
    RecordingOptions,
    RecordingSettings,
    VideoSettings,
)


def test_values_are_taken_as_on_the_command_line():
    video = VideoSettings(bit_rate="2M", size="1280x720", frame_rate="30000/1001", keyframe_interval="1500ms")
    assert (video.bit_rate, video.size) == (2_000_000, (1280, 720))
    assert (video.frame_rate, video.keyframe_interval) == (Fraction(30000, 1001), 1.5)
    assert AudioSettings(bit_rate="96k").bit_rate == 96_000
    recording = RecordingSettings(path="talk.ts", flush_interval="2s", flush_threshold="512k", queue_bytes="1M")
    assert (recording.flush_interval, recording.flush_threshold, recording.queue_bytes) == (2.0, 1 << 19, 1 << 20)


@pytest.mark.parametrize(
    ("made", "name", "value"),
    [
        (VideoSettings, "bit_rate", "fast"),
        (VideoSettings, "bit_rate", 2.5),
        (VideoSettings, "bit_rate", True),
        (VideoSettings, "size", "1280"),
        (VideoSettings, "size", "1280x720x3"),
        (VideoSettings, "size", (1280, 4)),
        (VideoSettings, "size", 720),
        (VideoSettings, "crf", "good"),
        (VideoSettings, "preset", None),
        (VideoSettings, "frame_rate", "0/1"),
        (VideoSettings, "frame_rate", []),
        (VideoSettings, "pixel_aspect", "wide"),
        (VideoSettings, "transcode", "yes"),
        (AudioSettings, "channels", 3),
        (AudioSettings, "channels", True),
        (AudioSettings, "sample_rate", 44_000),
        (AudioSettings, "codec", None),
        (AudioSettings, "language", 7),
    ],
)
def test_what_cannot_be_used_is_told_by_its_name(made, name, value):
    with pytest.raises(SettingsError, match=f"^{name}=.*: .+") as caught:
        made(**{name: value})
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flush_threshold", 64 * 1024 - 1),
        ("flush_threshold", (1 << 30) + 1),
        ("flush_interval", 0.04),
        ("flush_interval", 3601),
        ("flush_interval", float("nan")),
        ("flush_interval", "2 weeks"),
        ("durability", "always"),
        ("on_disk_full", "panic"),
        ("finish", "half"),
        ("finish", "fragmented"),
        ("overwrite", 1),
        ("sample_interval", -1.0),
        ("queue_bytes", "1k"),
        ("path", 7),
        ("path", b"talk.ts"),
        ("audio", "aac"),
        ("video", {"bit_rate": 1}),
        ("on_flush", 3),
        ("alerts", None),
        ("flush_log", 0),
    ],
)
def test_settings_of_a_recording_that_cannot_be_used(name, value):
    with pytest.raises(SettingsError) as caught:
        RecordingSettings(**{"path": "talk.ts", name: value})
    assert caught.value.name == name
    assert caught.value.value is value


def test_a_name_that_is_not_there_is_told_with_the_one_that_was_meant():
    with pytest.raises(SettingsError, match=r"bitrate='2M': there is no such setting: bit_rate\?"):
        VideoSettings(bitrate="2M")
    with pytest.raises(SettingsError, match=r"there is no such setting: there are admission, alerts, audio"):
        RecordingSettings(path="talk.ts", xyzzy=1)


def test_a_setting_that_belongs_to_the_video_or_the_audio_is_asked_for_there():
    both = r"give video=VideoSettings\(bit_rate=\.\.\.\) or audio=AudioSettings\(bit_rate=\.\.\.\)"
    for call in (rk.Recorder, rk.MediaRecorder, partial(rk.record, "clip.ts"), partial(rk.start, "clip.ts")):
        with pytest.raises(SettingsError, match=f"bit_rate='2M': there is no such setting: {both}"):
            call("talk.ts", bit_rate="2M")
    with pytest.raises(SettingsError, match=r"give video=VideoSettings\(frame_rate=\.\.\.\)$"):
        rk.Recorder("talk.ts", fps=30)
    with pytest.raises(SettingsError, match=r"fps=30: there is no such setting: frame_rate\?"):
        rk.VideoSettings(fps=30)
    with pytest.raises(SettingsError, match=r"duration=2: there is no such setting: seconds\?"):
        rk.Synthetic(duration=2)


def test_settings_are_frozen_and_make_others():
    one = RecordingSettings(path="talk.ts", audio=AudioSettings())
    with pytest.raises(FrozenInstanceError):
        one.flush_interval = 1.0
    assert one.audio == (AudioSettings(),)
    assert replace(one, flush_interval="3s") == RecordingSettings(path="talk.ts", flush_interval=3)
    assert len({one, RecordingSettings(path="talk.ts")}) == 1


def test_what_is_told_by_name_is_what_there_is():
    """Names and types for signatures stand beside the value itself: neither may lack what the other has."""
    hints = get_type_hints(RecordingSettings)
    of_value = {name: hint.__args__[0] if hasattr(hint, "__origin__") else hint for name, hint in hints.items()}
    del of_value["path"]
    assert get_type_hints(RecordingOptions) == of_value
    assert get_type_hints(PortableOptions).items() < of_value.items()


@pytest.mark.parametrize(
    "call", [rk.recover, rk.partials, rk.verify, rk.read_flush_log, rk.read_flush_logs, rk.open]
)
def test_a_name_with_a_nul_is_refused_in_words(call):
    with pytest.raises(rk.RecordkitError, match=r"NUL|null"):
        call("talk\0.ts")
