"""What panel and player show in the page: their state, and the number that stands in the frame itself."""

import time
from base64 import b64decode
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Locator

from recordkit.sources.marks import read_frame_number

from ..steering import GUARD_S
from .jupyter import Notebook

VIEW = "document.querySelector('.recordkit-player').recordkitView"
_PIXELS = """(of) => {
    const film = document.querySelector('.recordkit-player').recordkitView.films[of];
    const from = film.video.hidden ? film.images.picture : film.video;
    const [width, height] = [from.videoWidth || from.naturalWidth, from.videoHeight || from.naturalHeight];
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const paper = canvas.getContext('2d', { willReadFrequently: true });
    paper.drawImage(from, 0, 0);
    const data = paper.getImageData(0, 0, width, height).data;
    let grey = '';
    for (let at = 0; at < data.length; at += 4) grey += String.fromCharCode(data[at]);
    return [width, height, btoa(grey)];
}"""


def of_view(notebook: Notebook, expression: str) -> object:
    """What ``expression`` is of the first player's view, ``view``."""
    return notebook.page.evaluate(f"() => {{ const view = {VIEW}; return {expression}; }}")


def until_view(notebook: Notebook, expression: str, timeout_s: float = GUARD_S) -> None:
    """Waits until ``expression`` is true of the first player's view."""
    there = VIEW.replace(".recordkitView", "?.recordkitView")
    script = f"() => {{ const view = {there}; return view && ({expression}); }}"
    notebook.page.wait_for_function(script, timeout=timeout_s * 1000)


def number_in_frame(notebook: Notebook, of: int = 0) -> int | None:
    """The number that stands in the frame that is shown."""
    width, height, grey = notebook.page.evaluate(_PIXELS, of)
    pixels = np.frombuffer(b64decode(grey), np.uint8).reshape(height, width)
    return read_frame_number(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "gray"))


def step(notebook: Notebook, key: str, expected: int) -> int | None:
    """Press ``key``, wait until the page says that it shows ``expected``, and read what it shows."""
    notebook.page.keyboard.press(key)
    until_view(notebook, f"view.first.number === {expected} && !view.first.video.seeking")
    return number_in_frame(notebook)


def seen(notebook: Notebook, expression: str, timeout_s: float = GUARD_S, name: str = "panel") -> None:
    """Waits until ``expression`` is true in the kernel."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if notebook.ask(f"print(bool({expression}))") == "True":
            return
        time.sleep(0.2)
    raise AssertionError(f"{expression} did not come true:\n" + notebook.ask(f"print({name})"))


def changed(notebook: Notebook, expression: str, before: object) -> None:
    """Waits until ``expression`` gives something else on the page."""
    script = "([text, before]) => JSON.stringify(eval(text)) !== JSON.stringify(before)"
    notebook.page.wait_for_function(script, arg=[expression, before])


def downloaded(notebook: Notebook, selector: str) -> bytes:
    """What arrives when the link or button in a panel or player is pressed."""
    with notebook.page.expect_download() as download:
        notebook.find(f".recordkit-panel {selector}, .recordkit-player {selector}").first.click()
    return Path(download.value.path()).read_bytes()


def button(notebook: Notebook, words: str) -> Locator:
    """A button of the panel."""
    return notebook.find(f".recordkit-panel button:has-text('{words}')").first
