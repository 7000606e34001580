"""Where a source is wanted: paths and URLs are files, all else is told what can be given."""

from fractions import Fraction
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.sources.given import source_of

from ..steering import recordkit_threads


class Rate:
    """A rational that is no Fraction, as PyAV's rates are."""

    def __init__(self, numerator, denominator):
        self.numerator, self.denominator = numerator, denominator


@pytest.mark.parametrize("given", ["clip.mp4", Path("clip.mp4"), "rtsp://camera/1"])
def test_a_path_or_url_is_a_media_file(given):
    assert source_of("source", given) == rk.MediaFile(given) == rk.MediaFile(url=str(given))


def test_a_home_folder_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert rk.MediaFile("~/clip.mp4").url == "/home/somebody/clip.mp4"


def test_a_source_stays_what_it_is():
    source = rk.Synthetic(64, 48)
    assert source_of("source", source) is source
    assert (source.width, source.height) == (64, 48)


@pytest.mark.parametrize("record", [rk.record, rk.start])
@pytest.mark.parametrize("given", [42, None, b"clip.mp4", rk.Synthetic, rk.Camera, [], open])
def test_what_is_no_source_is_refused_at_once(tmp_path, record, given):
    with recordkit_threads(), pytest.raises(rk.SettingsError, match=r"path or URL, rk\.MediaFile.*rk\.Synthetic"):
        record(given, tmp_path / "talk.ts")
    assert list(tmp_path.iterdir()) == []


def test_a_camera_is_recorded_in_a_process_of_its_own(tmp_path):
    with pytest.raises(rk.SettingsError, match=r"use rk\.start\(\) or rk\.RecordingPanel\(\)"):
        rk.record(rk.Camera(), tmp_path / "talk.ts")


def test_sources_take_values_as_the_command_line_does():
    assert rk.MediaFile("a.mp4", fps="30000/1001").fps == Fraction(30000, 1001)
    assert rk.MediaFile("a.mp4", fps=Rate(25, 1)).fps == rk.Synthetic(fps=Rate(25, 1)).fps == 25
    assert rk.MediaFile("a.mp4", options={"framerate": 30}).options == {"framerate": "30"}
    assert rk.Synthetic(seconds="500ms").seconds == 0.5
    assert rk.Loopback(128, 96, bit_rate="200k", seconds="2s").bit_rate == 200_000
    assert rk.Whip(0).port == 0
    assert rk.Whip(max_bytes="4G", max_seconds="1h", min_free_bytes="1M").max_bytes == 4 << 30


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: rk.MediaFile(7), "url"),
        (lambda: rk.MediaFile(""), "url"),
        (lambda: rk.MediaFile("a.mp4", options=["x"]), "options"),
        (lambda: rk.MediaFile("a.mp4", fps=Rate(0, 1)), "fps"),
        (lambda: rk.MediaFile("a.mp4", video="no"), "video"),
        (lambda: rk.Synthetic("wide"), "width"),
        (lambda: rk.Synthetic(second=1), "second"),
        (lambda: rk.Whip(port="http"), "port"),
        (lambda: rk.Camera(fps="fast"), "fps"),
    ],
)
def test_a_wrong_value_is_told_by_its_name(make, name):
    with pytest.raises(rk.SettingsError) as caught:
        make()
    assert caught.value.name == name


@pytest.mark.parametrize("call", [rk.record, rk.start, rk.serve])
def test_a_name_that_is_meant_otherwise_is_suggested(tmp_path, call):
    with pytest.raises(rk.SettingsError, match=r"flush_intervall=1: there is no such setting: flush_interval\?"):
        call(tmp_path, tmp_path / "talk.ts", flush_intervall=1)
    if call is not rk.serve:
        with pytest.raises(rk.SettingsError, match=r"second=1: there is no such setting: seconds\?"):
            call(rk.Synthetic(64, 48), tmp_path / "talk.ts", second=1)
