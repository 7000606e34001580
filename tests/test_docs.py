"""The documentation names everything that is public, once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import recordkit

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_has_every_public_name_once() -> None:
    named = Counter(re.findall(r"^\.\. auto\w+:: recordkit\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    assert named == Counter(recordkit.__all__)


def test_every_page_and_notebook_is_reachable() -> None:
    index = (DOCS / "index.md").read_text()
    pages = [path.stem for path in DOCS.glob("*.md") if path.stem != "index"]
    pages += [f"../notebooks/{path.stem}" for path in (DOCS.parent / "notebooks").glob("*.ipynb")]
    assert [page for page in pages if not re.search(rf"^{re.escape(page)}$", index, re.MULTILINE)] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (DOCS / target).exists(), f"{page.name}: {target}"
