"""The panel where its users have it: in Notebook 7 and in Voila, which one server serves beside JupyterLab."""

from pathlib import Path

import pytest

from ..steering import GUARD_S
from .jupyter import PANEL, Notebook, write_notebook
from .watching import button, downloaded, seen, until_view


@pytest.mark.judge
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


@pytest.mark.judge
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
