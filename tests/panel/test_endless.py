"""The settings of a recording without an end: what the form makes of them, and what it says of wrong ones."""

from __future__ import annotations

import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.panel.endless import WRONG, Again, comes_back
from recordkit.panel.form import Form, free_name
from recordkit.sources.media_file import MediaFile


@pytest.fixture
def form(tmp_path):
    return Form(["synthetic", "file", "whep"], tmp_path)


def test_without_any_it_is_one_file_and_nothing_is_deleted(form, tmp_path):
    assert {"segments", "keep"} & form.settings().keys() == set()
    assert form.path == tmp_path / "recording-1.ts"
    assert form.several._told.value == ""


def test_what_is_typed_in_is_read_as_everywhere(form):
    form.several.every.value, form.several.max_bytes.value = " 10min ", "4GB"
    form.several.at_clock.value = True
    form.bounds.max_age.value, form.bounds.max_bytes.value, form.bounds.min_free.value = "7d", "200GB", "20GB"
    settings = form.settings()
    assert settings["segments"] == rk.Segments(every=600, max_bytes=4_000_000_000, at_clock=True)
    assert settings["keep"] == rk.Keep(max_age=7 * 86_400, max_bytes=200_000_000_000, min_free=20_000_000_000)
    assert "deleted beyond that" in form.bounds._told.value


@pytest.mark.parametrize(
    ("part", "name", "given", "words"),
    [
        ("several", "every", "soon", "A file every='soon': give 0.1 seconds to 30 days, such as '10min'"),
        ("several", "max_bytes", "-1", "of at most='-1': give at least 100,000 bytes"),
        ("bounds", "max_age", "a week", "Keep for='a week': give a time of at least a second, such as '7d'"),
        ("bounds", "max_bytes", "much", "together at most='much': give at least 1 bytes"),
        ("bounds", "min_free", "0", "leave free='0': give at least 1 bytes"),
    ],
)
def test_what_cannot_be_used_is_named_as_it_stands_on_the_page_and_marked_there(form, part, name, given, words):
    field = getattr(getattr(form, part), name)
    field.value = given
    assert form.folded.selected_index is None
    with pytest.raises(SettingsError) as raised:
        form.settings()
    assert str(raised.value).startswith(words)
    assert WRONG in field._dom_classes
    assert form.folded.selected_index == 0
    field.value = ""
    form.settings()
    field.value = {"max_age": "1h", "every": "1h"}.get(name, "1GB")
    form.settings()
    assert WRONG not in field._dom_classes


def test_files_by_the_clock_need_a_time_that_divides_a_day(form):
    form.several.at_clock.value = True
    for every in ("", "7min"):
        form.several.every.value = every
        with pytest.raises(SettingsError, match=f"A file every='{every}': files that end by the clock"):
            form.settings()


def test_files_get_names_that_tell_them_apart(form, tmp_path):
    form.several.every.value = "10min"
    assert form.path == tmp_path / "recording-1_{start:%Y-%m-%d_%H-%M-%S}.ts"
    assert "<code>recording-1_2" in form.several._told.value
    form.name.value = "cam {number:03d}.mp4"
    assert form.path == tmp_path / "cam {number:03d}.mp4"
    assert "cam 001.mp4" in form.several._told.value
    form.name.value = "cam {size}.mp4"
    with pytest.raises(SettingsError, match=r"\{size\} is no field of it: .*\{number:04d\} may stand there"):
        _ = form.path
    assert "is no field of it" in form.several._told.value
    form.several.every.value = ""
    assert form.path == tmp_path / "cam {size}.mp4"
    assert form.several._told.value == ""


def test_a_name_that_has_files_already_is_not_offered_again(tmp_path):
    for name in ("recording-1_2026-11-29_10-00-00.ts", "recording-2_2026-11-29_10-00-00 (2).recording.ts"):
        (tmp_path / name).touch()
    assert free_name(tmp_path) == "recording-3.ts"
    form = Form(["synthetic"], tmp_path)
    form.name.value = "recording-1.ts"
    form.next_name()
    assert form.name.value == "recording-3.ts"


def test_only_a_source_that_may_come_back_is_asked_for_again(form):
    assert form.again.box.layout.display == "none"
    form.again.is_wanted.value = True
    assert form.source() == rk.Synthetic(width=1280, height=720)
    form.kind.value = 1
    assert form.again.box.layout.display == ""
    form.choices[1].url.value = "rtsp://127.0.0.1/cam"
    assert form.source().reconnect == rk.Reconnect()
    form.again.give_up_after.value = "10min"
    assert form.source().reconnect == rk.Reconnect(give_up_after=600)
    form.kind.value = 2
    form.choices[2].url.value, form.choices[2].token.value = "http://127.0.0.1/cam/whep", "secret"
    source = form.source()
    assert (source.url, source.token) == ("http://127.0.0.1/cam/whep", "secret")
    assert source.reconnect == rk.Reconnect(give_up_after=600)
    form.again.give_up_after.value = "at once"
    with pytest.raises(SettingsError, match="give up after='at once': give the time after which to give up"):
        form.source()


def test_a_source_of_the_callers_own_keeps_what_it_says_itself():
    again = Again()
    own = MediaFile("rtsp://127.0.0.1/cam", reconnect=rk.Reconnect(silence_s=20))
    assert again.applied(own) is own
    assert comes_back(own)
    assert not comes_back(rk.Synthetic())


def test_all_of_it_is_locked_while_it_would_mean_nothing(form):
    form.lock(locked=True)
    inputs = (form.several.every, form.several.at_clock, form.bounds.min_free, form.again.give_up_after, form.gap)
    assert all(one.disabled for one in inputs)
