"""The files of the page's side: one player, whatever carries its questions."""

from __future__ import annotations

from pathlib import Path

_PAGE = Path(__file__).parent / "page"
_KERNEL = _PAGE / "kernel.js"
LINE = _PAGE / "line.js"
_PARTS = ("elements", "line", "frames", "feed", "images", "film", "tools", "meter", "controls", "view")
STYLE = _PAGE / "player.css"


def player_script() -> str:
    """The script of a player, in one piece: what loads it knows no folder that others could lie in."""
    return script(*(_PAGE / f"{part}.js" for part in _PARTS))


def script(*paths: Path) -> str:
    """The script of a page's side at ``paths``, with what all of them share in front of it."""
    return "\n".join(path.read_text("utf-8") for path in (_KERNEL, *paths))
