"""Makes the README's picture of the panel: notebooks/images/panel.png. Run as ``python -m tests.pictures.panel``.

``--all FOLDER`` also takes the views that are looked at before a release: light and dark, wide and narrow.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ..lab.jupyter import Notebook, running_browser, running_lab, write_notebook

PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "panel.png"
CELL = 'import recordkit as rk\n\nrk.RecordingPanel(["synthetic", "loopback", "file", "whip", "camera"])'
SECONDS = 21


def take(views: Path | None) -> None:
    """Record for a while in a real JupyterLab, and take the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        write_notebook(folder / "recording.ipynb", CELL)
        with (
            running_lab(folder, Path(scratch) / "home") as lab,
            running_browser(Path(scratch) / "profile", width=1320, height=1400) as browser,
        ):
            notebook = Notebook(browser, lab, "recording.ipynb")
            notebook.command("application:toggle-left-area")
            notebook.run_all()
            sizes = notebook.find(".recordkit-panel .widget-dropdown:has-text('Size') select")
            sizes.select_option(label="640x360")
            notebook.find(".recordkit-panel button:has-text('Start')").first.click()
            notebook.find(".recordkit-tile").first.wait_for()
            notebook.page.wait_for_timeout(SECONDS * 500)
            notebook.find(".recordkit-mark-name input").fill("first question")
            notebook.find(".recordkit-mark-name input").press("Enter")
            notebook.page.wait_for_timeout(SECONDS * 500)
            # Not on a machine that is too busy for it: that is another picture.
            notebook.find(".recordkit-badge").filter(has_text="recording").wait_for()
            notebook.find(".jp-Cell").first.screenshot(path=PICTURE)
            if views is not None:
                _take_all(notebook, views)
            notebook.find(".recordkit-panel button:has-text('Stop')").click()
            notebook.page.get_by_text("Committed:").wait_for()
            if views is not None:
                notebook.page.set_viewport_size({"width": 1180, "height": 1500})
                notebook.page.screenshot(path=views / "finished.png")
            notebook.close()


def _take_all(notebook: Notebook, views: Path) -> None:
    views.mkdir(parents=True, exist_ok=True)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.theme(theme)
        for width in (1280, 640):
            notebook.page.set_viewport_size({"width": width, "height": 1100})
            notebook.page.wait_for_timeout(1500)
            notebook.page.screenshot(path=views / f"{theme.split()[-1].lower()}-{width}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    take(parser.parse_args().all)
