"""Makes the gallery: every notebook run here and now, as a page in which clips play where its players stood.

``python -m tests.pictures.gallery FOLDER`` writes a page for each notebook, and ``index.html`` that leads to them.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
MOST_CLIP_BYTES = 1_200_000
CELL_TIMEOUT_S = 180
BEFORE = "from tests.pictures import gallery\n_shown = gallery.play_in_page()"
AFTER = "gallery.show_all(_shown)"
PANEL = "<p><i>In a running notebook a panel stands here: it begins, shows and ends recordings.</i></p>"
INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>recordkit: the notebooks</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 42rem; margin: 3rem auto; padding: 0 1rem }}
li {{ margin: 0 0 1rem }}
</style>
</head>
<body>
<h1>The notebooks, as they ran</h1>
<p>What the players showed plays here without a kernel; where a recording is long, its beginning.</p>
<ul>
{rows}
</ul>
</body>
</html>
"""


# In the kernel: what stands in a saved notebook for a player is its card, and here a clip below it.


def play_in_page() -> list[tuple[Any, Any]]:
    """From now on clips play below the cards; returns the list of the players and panels that are shown."""
    from recordkit.panel import kept

    cards, shown = kept.cards, []
    show = kept.Kept.show

    def show_and_note(one: Any, bundle: Any, words: str, films: list[Any]) -> None:
        show(one, bundle, words, films)
        if films:
            shown.append((one, films))

    kept.cards = lambda films: cards(films) + clips(films)
    kept.Kept.show = show_and_note
    return shown


def show_all(shown: list[tuple[Any, Any]]) -> None:
    """Show what has become of recordings that were still running when their players were shown."""
    for one, films in shown:
        one.update(films)


def clips(films: list[Any]) -> str:
    """The beginning of each recording, beside each other, or in words why it does not play."""
    from recordkit.errors import RecordkitError
    from recordkit.reading.embed import embed

    found = []
    for film in films:
        try:
            clip = embed(film.file, max_bytes=MOST_CLIP_BYTES, start=None, end=None)
            found.append(clip.html.replace("<figure ", '<figure class="clip" ', 1))
        except RecordkitError as error:
            found.append(f"<p>{html.escape(str(error))}</p>")
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin:8px 0">{"".join(found)}</div>'


# Here.


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run it in ``folder``; raises nbclient's error if a cell fails."""
    first, last = (nbformat.v4.new_code_cell(one) for one in (BEFORE, AFTER))
    notebook.cells = [first, *notebook.cells, last]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    notebook.cells = notebook.cells[1:-1]
    return notebook


def page(notebook: NotebookNode) -> str:
    """It as HTML that needs nothing from elsewhere: without widgets, which need a kernel."""
    notebook.metadata.pop("widgets", None)
    for number, cell in enumerate((one for one in notebook.cells if one.cell_type == "code"), 1):
        cell.execution_count = number
        cell.outputs = [one for one in map(_without_widget, cell.outputs) if one is not None]
    body, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": title(notebook)}})
    body = re.sub(r'<script[^>]*\bsrc="https?:[^"]*"[^>]*>\s*</script>', "", body)
    return re.sub(r'<script type="module">.*?</script>', "", body, flags=re.DOTALL)


def _without_widget(output: NotebookNode) -> NotebookNode | None:
    data = output.get("data", {})
    if "application/vnd.jupyter.widget-view+json" not in data:
        return output
    if not str(data.get("text/plain")).startswith("<RecordingPanel"):
        return None  # its clip stands there
    return nbformat.v4.new_output("display_data", {"text/html": PANEL})


def title(notebook: NotebookNode) -> str:
    """Its heading."""
    return str(notebook.cells[0].source.splitlines()[0].lstrip("# "))


def row(notebook: NotebookNode, name: str) -> str:
    """Its line in the index: the heading and the first sentence."""
    words = html.escape(notebook.cells[0].source.split("\n\n")[1].replace("**", "").replace("`", ""))
    return f'<li><a href="{name}.html">{html.escape(title(notebook))}</a><br>{words}</li>'


def make(target: Path) -> None:
    """A page of each notebook, and the index."""
    target.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory(prefix="gallery-") as folder:
            run(notebook, Path(folder))
        (target / f"{path.stem}.html").write_text(page(notebook))
        rows.append(row(notebook, path.stem))
        print(target / f"{path.stem}.html", flush=True)
    (target / "index.html").write_text(INDEX.format(rows="\n".join(rows)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    make(parser.parse_args().folder)
