"""What a player calls a recording that is no one file here."""

import pytest

from recordkit.playback.titles import name_of_several, name_of_url


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("talk.ts", None),
        ("https://joe:pw@host/folder/talk.ts?token=secret", "talk.ts"),
        ("udp://239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("rtsp://joe:pw@host", "rtsp://***@host"),
    ],
)
def test_of_a_url_the_file_and_no_secret(given, name):
    assert name_of_url(given) == name


def test_of_several_the_first_and_how_many():
    assert name_of_several(["a/one.ts", "a/two.ts", "a/three.ts"]) == "one.ts and 2 more"
    assert name_of_several(["a/one.ts"]) is None
    assert name_of_several("a/{start}.ts") == "….ts"
