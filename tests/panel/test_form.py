"""The form: what it offers, and what it makes of the answers."""

from fractions import Fraction
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.errors import SettingsError
from recordkit.panel.choices import KINDS
from recordkit.panel.file_choice import FOLLOWED
from recordkit.panel.form import Form, free_name


def choose(form, kind):
    form.kind.value = list(KINDS).index(kind)
    return form.choices[form.kind.value]


def test_all_kinds_are_offered_and_each_shows_its_own_questions(tmp_path):
    form = Form(None, tmp_path)
    assert [label for label, _ in form.kind.options] == [kind.label for kind in KINDS.values()]
    for kind in KINDS:
        chosen = choose(form, kind)
        assert form.options.children == (chosen.box,)


def test_a_synthetic_source(tmp_path):
    form = Form(["synthetic"], tmp_path)
    form.choices[0].size.value, form.choices[0].fps.value = "640x360", 60
    assert form.source() == rk.Synthetic(width=640, height=360, fps=Fraction(60))


def test_a_loopback_with_a_bad_network(tmp_path):
    form = Form(["loopback"], tmp_path)
    chosen = form.choices[0]
    chosen.loss.value, chosen.delay.value, chosen.codec.value = 2.5, 120, "vp8"
    source = form.source()
    assert (source.loss, source.delay_s, source.codec) == (0.025, 0.12, "vp8")


def test_a_file_needs_an_address(tmp_path):
    form = Form(["file"], tmp_path)
    with pytest.raises(SettingsError, match="give the path or URL"):
        form.source()
    (tmp_path / "clip.mp4").touch()
    form.choices[0].url.value = " clip.mp4 "
    clip = str((tmp_path / "clip.mp4").resolve())
    assert form.source() == rk.MediaFile(url=clip, transcode=False, transcode_audio=False, protocols=("file",))


@pytest.mark.parametrize(
    "address",
    ["/etc/hostname", "file:/etc/hostname", "../other.ts", "other/link.ts", "/dev/null", "concat:clip.ts",
     "subfile,,a,1,,:clip.ts", "gopher://127.0.0.1/", "pipe:0", "cache:clip.ts", "x" * 300, "a\0b"],
)  # fmt: skip
def test_who_sees_a_panel_reads_files_below_its_folder_alone(address, tmp_path):
    folder = tmp_path / "recordings"
    (folder / "other").mkdir(parents=True)
    (tmp_path / "other.ts").touch()
    (folder / "clip.ts").touch()
    (folder / "other" / "link.ts").symlink_to(tmp_path / "other.ts")
    form = Form(["file"], folder)
    form.choices[0].url.value = address
    with pytest.raises(SettingsError, match=r"no such file below|is not allowed"):
        form.source()
    form = Form(["file"], folder, None)
    form.choices[0].url.value = address
    assert form.source().protocols is None


def test_a_url_in_a_panel_leads_to_no_file(tmp_path):
    form = Form(["file"], tmp_path)
    form.choices[0].url.value = "https://example.org/live.m3u8"
    assert form.source().protocols == FOLLOWED
    assert "file" not in FOLLOWED


def test_an_input_format_and_its_options(tmp_path):
    form = Form(["file"], tmp_path, None)
    chosen = form.choices[0]
    chosen.url.value, chosen.options.value = "/dev/video0", "framerate=30 'pixel_format=yuyv422'"
    assert form.source().format == "v4l2"
    assert form.source().options == {"framerate": "30", "pixel_format": "yuyv422"}
    chosen.url.value, chosen.format.value = "testsrc2", " lavfi "
    assert form.source().format == "lavfi"
    for wrong in ("framerate", "framerate='30"):
        chosen.options.value = wrong
        with pytest.raises(SettingsError, match="options"):
            form.source()


def test_strangers_choose_among_files_and_give_options_that_open_nothing(tmp_path):
    for name in ("clip.mp4", "talk.ts", "left.recording.ts", "notes.txt"):
        (tmp_path / name).touch()
    chosen = Form(["file"], tmp_path).choices[0]
    assert chosen.url.options == ("clip.mp4", "talk.ts")
    chosen.url.value, chosen.options.value = "rtsp://camera/live", "rtsp_transport=tcp"
    assert chosen.source().options == {"rtsp_transport": "tcp"}
    chosen.options.value = "rtsp_transport=tcp listen=1"
    with pytest.raises(SettingsError, match=r"options='listen': here only rtsp_transport, .*protocols=None"):
        chosen.source()


def test_an_endpoint(tmp_path):
    form = Form(["whip"], tmp_path)
    chosen = form.choices[0]
    chosen.port.value, chosen.token.value = 9000, "secret"
    source = form.source()
    assert (source.host, source.port, source.token) == ("127.0.0.1", 9000, "secret")


def test_sources_of_the_callers_own(tmp_path):
    own = rk.Synthetic(width=320, height=240)
    assert Form([own], tmp_path).source() is own
    labelled = Form({"the lab's camera": own}, tmp_path)
    assert labelled.kind.options == (("the lab's camera", 0),)
    assert labelled.source() is own


@pytest.mark.parametrize("sources", [["camcorder"], [], {}])
def test_sources_that_are_none(sources, tmp_path):
    with pytest.raises(SettingsError, match="sources"):
        Form(sources, tmp_path)


@pytest.mark.parametrize("name", ["", "  ", "../talk.ts", "a/b.ts", "/etc/talk.ts", ".."])
def test_a_name_does_not_leave_the_folder(name, tmp_path):
    form = Form(["synthetic"], tmp_path)
    form.name.value = name
    with pytest.raises(SettingsError, match="give a file's name"):
        _ = form.path


def test_a_name_without_its_ending_gets_it(tmp_path):
    form = Form(["synthetic"], tmp_path)
    form.name.value = " talk "
    assert form.path == tmp_path / "talk.ts"


def test_settings_are_those_of_start(tmp_path):
    form = Form(["synthetic"], tmp_path)
    plain = {"flush_threshold": 4 * 2**20, "flush_interval": 2.0, "durability": "flush", "overwrite": False}
    assert form.settings() == plain
    form.bit_rate.value, form.seconds.value = 2.5, 30
    assert form.settings() == plain | {"video": rk.VideoSettings(bit_rate=2_500_000), "seconds": 30.0}


def test_names_are_offered_that_nobody_has(tmp_path):
    for taken in ("recording-1.ts", "recording-2.recording.ts", "talk-9.ts", "talk.ts"):
        (tmp_path / taken).touch()
    assert free_name(tmp_path) == "recording-3.ts"
    assert free_name(tmp_path, "talk-9") == "talk-10.ts"
    assert free_name(tmp_path, "talk") == "talk-1.ts"
    assert free_name(Path(tmp_path / "not there yet")) == "recording-1.ts"


def test_after_a_recording_the_next_name_is_offered(tmp_path):
    form = Form(["synthetic"], tmp_path)
    form.next_name()
    assert form.name.value == "recording-1.ts"
    (tmp_path / "recording-1.ts").touch()
    form.next_name()
    assert form.name.value == "recording-2.ts"


def test_a_locked_form_can_be_read_and_not_changed(tmp_path):
    form = Form(["synthetic"], tmp_path)
    inputs = (form.kind, form.name, form.bit_rate, form.choices[0].size)
    form.lock(locked=True)
    assert all(one.disabled for one in inputs)
    form.lock(locked=False)
    assert not any(one.disabled for one in inputs)
