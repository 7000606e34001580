"""Languages of all kinds of containers as the three letters that MPEG-TS has room for."""

import pytest

from recordkit.bitstream.language import three_letters


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("eng", "eng"),
        ("en", "eng"),
        ("en-GB", "eng"),
        ("pt_BR", "por"),
        ("DE", "deu"),
        ("ger", "ger"),
        ("zh-Hant-TW", "zho"),
        ("german", None),
        ("und", None),
        ("xx", None),
        ("é", None),
        ("", None),
        (None, None),
    ],
)
def test_a_language_is_three_letters_or_none(tag: str | None, expected: str | None) -> None:
    assert three_letters(tag) == expected
