"""The gallery's pages: clips play where players stood, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from recordkit.playback.film import Film
from tests.media import make_clip
from tests.pictures import gallery

CLIPS = {"new.mp4": "libx264", "old.mkv": "mpeg4"}
VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_page_needs_no_kernel_and_nothing_from_elsewhere() -> None:
    new = nbformat.v4
    outputs = [
        new.new_output("display_data", {"text/html": "<b>card and clip</b>"}),
        new.new_output("display_data", {"text/plain": "<Player of talk.ts>", VIEW: {"model_id": "1"}}),
        new.new_output("display_data", {"text/plain": "<RecordingPanel here>", VIEW: {"model_id": "2"}}),
        new.new_output("stream", name="stdout", text="said"),
    ]
    cells = [new.new_markdown_cell("# A & B\n\nWhat **it** is."), new.new_code_cell("run()", outputs=outputs)]
    notebook = new.new_notebook(cells=cells, metadata={"widgets": {"state": {}}})
    html = gallery.page(notebook)
    assert "<b>card and clip</b>" in html
    assert "said" in html
    assert gallery.PANEL in html
    assert "Player of" not in html
    assert "model_id" not in html
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']https?:", html) == []
    assert gallery.row(notebook, "ab") == '<li><a href="ab.html">A &amp; B</a><br>What it is.</li>'


def test_what_plays_is_a_clip_and_what_does_not_is_said_in_words(tmp_path: Path) -> None:
    films = [Film(make_clip(tmp_path / name, video=coder, seconds=1)) for name, coder in CLIPS.items()]
    html = gallery.clips(films)
    for film in films:
        film.close()
    assert html.count("<video controls") == 1
    assert "old.mkv: is Matroska / WebM: MPEG-TS and MP4 can be exported" in html
