"""The page's side: one file, with what all sides share in front of it."""

import pytest

from recordkit.panel.camera import Camera
from recordkit.panel.presence import Presence
from recordkit.playback.script import STYLE, player_script


@pytest.mark.parametrize(
    "text", [player_script(), Camera._esm, Presence._esm], ids=["player", "camera", "presence"]
)
def test_what_the_page_sides_share_stands_in_front_of_each(text):
    shared = str(text).partition("export default")[0]
    assert shared.count("\nclass Kernel {") == 1
    assert "\nimport " not in shared  # each is one file
    assert STYLE.is_file()
