"""What stands around the video: each control, how it looks, what leaves the page; and in which pages it stands."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import recordkit as rk
from recordkit.sources.marks import read_frame_number

from ..steering import GUARD_S
from .jupyter import PANEL, Notebook, write_notebook
from .looking import amiss
from .watching import button, downloaded, number_in_frame, of_view, seen, until_view

pytestmark = pytest.mark.judge

STANDS = "!view.first.goal && view.first.target === null && !view.first.video.seeking"


@pytest.fixture(scope="module")
def talk(lab):
    source = rk.Synthetic(width=320, height=180, realtime=False, seconds=12)
    return rk.record(source, lab.folder / "talk.ts")


@pytest.fixture
def resized(page):
    """Makes the page so wide, for one test."""
    before = page.viewport_size
    yield lambda width: page.set_viewport_size({"width": width, "height": 1000})
    page.set_viewport_size(before)


def test_each_control_does_what_it_says_and_what_leaves_the_page_arrives(lab, cells, talk):
    notebook = cells("import recordkit as rk\nrk.Player('talk.ts')")
    keyboard, player = notebook.page.keyboard, notebook.find(".recordkit-player")
    until_view(notebook, "view.first.number === 0")
    # The time line, where one clicks it.
    line = notebook.find(".recordkit-player-line input").bounding_box()
    notebook.page.mouse.click(line["x"] + line["width"] / 2, line["y"] + line["height"] / 2)
    until_view(notebook, f"{STANDS} && Math.abs(view.first.number - 180) < 5")
    # Speed, and the level of what is heard.
    notebook.find(".recordkit-player select").select_option("0.5")
    notebook.find(".recordkit-player button[aria-label^='Play']").click()
    until_view(notebook, "view.first.video.playbackRate === 0.5 && view.meter.level > 0.1")
    notebook.find(".recordkit-player button[aria-label='Mute']").click()
    until_view(notebook, "view.first.video.muted")
    notebook.find(".recordkit-player button[aria-label^='Pause']").click()
    until_view(notebook, f"view.first.video.paused && {STANDS}")
    # Full screen, and back.
    player.focus()
    for is_full in ("true", "false"):
        keyboard.press("f")
        notebook.page.wait_for_function(f"() => Boolean(document.fullscreenElement) === {is_full}")
    # Ctrl+S is JupyterLab's, whatever the player does with its letters: it saves. Neither Ctrl+M nor Alt+M marks.
    notebook.page.evaluate("() => { window.jupyterapp.shell.currentWidget.model.dirty = true; }")
    for keys in ("Alt+m", "Control+m", "Control+s"):
        keyboard.press(keys)
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.model.dirty")
    assert notebook.find(".recordkit-player-marks button").count() == 0
    # The frame as an image: a file, whose number is that of the frame.
    number = of_view(notebook, "view.first.number")
    image = Image.open(io.BytesIO(downloaded(notebook, "button[aria-label='This frame as an image']")))
    assert (image.format, image.size) == ("PNG", (320, 180))
    assert read_frame_number(av.VideoFrame.from_ndarray(np.asarray(image), "rgb24")) == number
    # From here to here as a clip, with the frame that is shown at its end; Escape takes the first press back.
    cut = notebook.find(".recordkit-player button[aria-label^='A clip']")
    cut.click()
    player.focus()
    keyboard.press("Escape")
    cut.click()
    player.focus()
    for frame in range(1, 4):
        keyboard.press(".")
        until_view(notebook, f"view.first.number === {number + frame} && {STANDS}")
    cut.click()
    notebook.find(".recordkit-player-words").get_by_text("Saved: talk-clip-1.mp4, 0.1 s").wait_for()
    assert rk.verify(lab.folder / "talk-clip-1.mp4", decode=True).ok
    with rk.open(lab.folder / "talk-clip-1.mp4") as clip:
        assert [read_frame_number(frame.frame) for frame in clip] == [number + one for one in range(4)]
    assert number_in_frame(notebook) == number + 3
    assert notebook.faults == []


def test_panel_and_player_are_whole_and_legible_from_900_to_1900_px_in_light_and_dark(cells, resized):
    notebook = cells(PANEL.format(sources=["file", "synthetic"], folder="looks"))
    notebook.find(".recordkit-panel select").first.select_option(label="Synthetic camera and microphone")
    button(notebook, "Start").click()
    until_view(notebook, "view.isFollowing && view.first.number > 15")
    notebook.find(".recordkit-charts img").nth(1).wait_for()
    button(notebook, "Mark").click()
    notebook.find(".recordkit-player-marks button").wait_for()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.theme(theme)
        for width in (900, 1280, 1900):
            resized(width)
            notebook.page.wait_for_function(f"() => innerWidth === {width}")
            assert amiss(notebook.page) == []
            assert notebook.find(".recordkit-panel").bounding_box()["width"] <= 1090
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    assert notebook.faults == []


def test_an_embedded_clip_plays_in_a_page_without_a_kernel(browser, talk, tmp_path):
    (tmp_path / "page.html").write_text(talk.embed(max_bytes="300k")._repr_html_())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    video = page.locator("video")
    video.evaluate("video => { video.muted = true; return video.play(); }")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2", timeout=1000 * GUARD_S)
    assert video.evaluate("video => video.videoWidth") == 320
    page.close()


def test_in_notebook_7_the_panel_stands_whole_and_gives_its_file(lab, browser):
    write_notebook(lab.folder / "seven.ipynb", PANEL.format(sources=["synthetic"], folder="seven"))
    notebook = Notebook(browser, lab, "seven.ipynb", face="notebooks")
    notebook.run_all()
    button(notebook, "Start").click()
    until_view(notebook, "view.isFollowing && view.first.number > 15")
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    # As it does to what is higher than a hundred lines, which depends on the fonts.
    hidden = """area => {
        area.closest(".jp-CodeCell").classList.add("jp-mod-outputsScrolled");
        return area.scrollHeight - area.clientHeight;
    }"""
    assert notebook.find(".jp-Cell-outputArea").evaluate(hidden) == 0
    path = lab.folder / "seven" / "recording-1.ts"
    assert downloaded(notebook, "a:has-text('recording-1.ts')") == path.read_bytes()
    notebook.close()
    notebook.page.close()


def test_in_voila_the_panel_records_and_gives_its_file(lab, browser):
    write_notebook(lab.folder / "voila.ipynb", PANEL.format(sources=["synthetic"], folder="voila"))
    page = browser.new_page()
    page.set_default_timeout(1000 * GUARD_S)
    page.goto(f"{lab.url}voila/render/voila.ipynb")
    page.locator(".recordkit-panel button:has-text('Start')").click()
    page.wait_for_function("() => document.querySelector('.recordkit-player')?.recordkitView.first.number > 15")
    page.locator(".recordkit-panel button:has-text('Stop')").click()
    with page.expect_download() as download:
        page.locator("a:has-text('recording-1.ts')").click()
    assert Path(download.value.path()).read_bytes() == (lab.folder / "voila" / "recording-1.ts").read_bytes()
    page.close()
