"""The files of the page's side: one player, whatever carries its questions."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
PLAYER = _HERE / "player.js"
STYLE = _HERE / "player.css"


def script(path: Path = PLAYER) -> str:
    """The script of a page's side at ``path``, with what all of them share in front of it."""
    return (_HERE / "kernel.js").read_text("utf-8") + path.read_text("utf-8")
