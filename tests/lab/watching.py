"""What a player in the page shows: its state, and the number that stands in the frame itself."""

import av
import numpy as np

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
    from base64 import b64decode

    width, height, grey = notebook.page.evaluate(_PIXELS, of)
    pixels = np.frombuffer(b64decode(grey), np.uint8).reshape(height, width)
    return read_frame_number(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "gray"))


def step(notebook: Notebook, key: str, expected: int) -> int | None:
    """Press ``key``, wait until the page says that it shows ``expected``, and read what it shows."""
    notebook.page.keyboard.press(key)
    until_view(notebook, f"view.first.number === {expected} && !view.first.video.seeking")
    return number_in_frame(notebook)
