"""What people see: every name is escaped, every state has its word."""

from __future__ import annotations

import re

import pytest

from recordkit.endpoint import pages
from recordkit.endpoint.pages import Row
from recordkit.endpoint.settings import WhipSettings

ROW = Row("talk", "talk-1.ts", "recording", 3723.4, 12_345_678, 0, "", is_over=False)
NASTY = '<img src=x onerror="alert(1)">&'


def text_of(*rows: Row, **settings: object) -> str:
    response = pages.status(rows, WhipSettings(**settings), free_bytes=5 * 10**9)  # type: ignore[arg-type]
    assert response.text is not None
    return response.text


def test_what_is_recorded_stands_there_in_words() -> None:
    text = text_of(ROW)
    assert "1 recording · recordkit" in text
    for words in ("talk-1.ts", ">recording<", "1:02:03", "12.3 MB", "5.00 GB free"):
        assert words in text
    assert "Nothing is being recorded" not in text
    assert "Nothing is being recorded" in text_of()


def test_what_has_ended_stands_below_with_its_reason() -> None:
    over = Row("walk", "walk-1.ts", "committed", 5, 1000, 7, "the publisher went away", is_over=True)
    text = text_of(ROW, over)
    assert text.index("talk-1.ts") < text.index("Recently finished") < text.index("walk-1.ts")
    assert "The publisher went away." in text
    assert '<span class="drops">7</span>' in text


def test_names_and_reasons_are_escaped() -> None:
    text = text_of(Row(NASTY, NASTY, "failed", 0, 0, 0, NASTY, is_over=True))
    assert "<img" not in text
    assert text.count("&lt;img") == 3


@pytest.mark.parametrize("has_page", [True, False])
def test_the_page_for_publishing_is_named_where_there_is_one(has_page: bool) -> None:
    assert ('href="publish"' in text_of(publish_page=has_page)) is has_page


@pytest.mark.parametrize("needs", [True, False])
def test_the_page_for_publishing_asks_for_a_token_where_one_is_needed(needs: bool) -> None:
    response = pages.publish(needs_token=needs)
    assert f'data-needs-token="{"yes" if needs else "no"}"' in (response.text or "")


def test_scripts_run_only_with_the_nonce_of_this_very_page() -> None:
    first, second = (pages.publish(needs_token=False) for _ in range(2))
    for response in (first, second):
        policy = response.headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert f'<script nonce="{nonce[1]}">' in (response.text or "")
        assert "unsafe" not in policy
        assert "{{" not in (response.text or "")
    assert first.headers["Content-Security-Policy"] != second.headers["Content-Security-Policy"]
