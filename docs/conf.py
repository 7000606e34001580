"""How ``make docs`` makes HTML of the docstrings, the pages in ``docs/`` and the notebooks."""

import re

from sphinx.application import Sphinx

from recordkit import __version__

project = "recordkit"
author = "The recordkit authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = __version__

# The root of the repository is the source, so that the links of README and notebooks are the same here and there.
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "docs/_build", "recordings", "build", "dist"]

extensions = ["myst_nb", "sphinx.ext.autodoc"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_heading_anchors = 3
nb_execution_mode = "off"  # `make test` runs them; here they are for reading

maximum_signature_line_length = 100
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autoclass_content = "class"

html_theme = "furo"
html_title = f"recordkit {__version__}"
html_extra_path = ["start"]  # index.html, which leads to the first page
html_show_sourcelink = False


def short_defaults(*told: object) -> tuple[object, object] | None:
    """A signature in which default settings stand by their name: ``video=VideoSettings()``."""
    *_, signature, returned = told
    return signature and (re.sub(r"(\w+Settings)\((?:[^()]|\([^()]*\))*\)", r"\1()", str(signature)), returned)


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("autodoc-process-signature", short_defaults)
