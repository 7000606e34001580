"""One JupyterLab and one browser for the tests of a module."""

import shutil

import pytest

from ..judges import judge
from ..steering import GUARD_S
from .jupyter import NOTEBOOKS, Notebook, running_browser, running_lab, write_notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    judge("chromium")
    folder = tmp_path_factory.mktemp("notebooks")
    for notebook in NOTEBOOKS:
        shutil.copy(notebook, folder)
    with running_lab(folder, tmp_path_factory.mktemp("home")) as one:
        yield one


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with running_browser(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture(scope="module")
def page(lab, browser):
    """JupyterLab, loaded once: that takes longer than most of what is tested in it."""
    one = browser.new_page()
    one.goto(f"{lab.url}lab?reset", wait_until="domcontentloaded")
    one.wait_for_function("() => window.jupyterapp?.restored", timeout=1000 * GUARD_S)
    one.evaluate("() => window.jupyterapp.restored.then(() => null)")
    return one


@pytest.fixture
def opened(lab, browser, page):
    """Opens notebooks; at the end their kernels are shut down."""
    notebooks = []

    def open_one(name):
        notebooks.append(Notebook(browser, lab, name, page))
        return notebooks[-1]

    yield open_one
    for one in notebooks:
        one.close()


@pytest.fixture
def cells(lab, opened, request):
    """Opens a notebook of these cells and runs them all."""

    def run(*sources):
        name = f"{request.node.name}.ipynb".replace("[", "-").replace("]", "")
        write_notebook(lab.folder / name, *sources)
        notebook = opened(name)
        notebook.run_all()
        assert notebook.errors() == []
        return notebook

    return run


@pytest.fixture
def instead_of_the_device(page):
    """Puts a script in the place of the page's camera, for one test."""
    yield lambda script: page.evaluate(f"() => {{ {script} }}")
    page.evaluate("() => { delete navigator.mediaDevices.getUserMedia; }")
