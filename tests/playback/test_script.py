"""The page's side: one file, with what all sides share in front of it."""

import pytest

from recordkit.panel.camera import Camera
from recordkit.panel.presence import Presence
from recordkit.playback.script import STYLE, script


@pytest.mark.parametrize("text", [script(), Camera._esm, Presence._esm], ids=["player", "camera", "presence"])
def test_what_the_page_sides_share_stands_in_front_of_each(text):
    shared = str(text).partition("export default")[0]
    assert shared.count("function whenKernelGoes(") == 1
    assert "\nimport " not in shared  # each is one file
    assert STYLE.is_file()
