"""How a source that went away is asked for again."""

from __future__ import annotations

from itertools import islice

import pytest

from recordkit.background.description import describe, restore
from recordkit.errors import SettingsError
from recordkit.sources.media_file import MediaFile
from recordkit.sources.reconnect import Reconnect


def test_each_wait_is_a_twentieth_longer_up_to_the_longest() -> None:
    waits = list(islice(Reconnect().waits(), 80))
    assert waits[:4] == pytest.approx([0.5, 0.525, 0.551, 0.579], rel=0.01)
    assert waits[-2:] == [15, 15]
    # Whenever it returns it waits for a twentieth of the time that it was away, and the first wait, at the most.
    assert all(wait <= sum(waits[:number]) / 20 + 0.5 + 1e-9 for number, wait in enumerate(waits))
    assert list(islice(Reconnect("100ms", 0.1).waits(), 2)) == [0.1, 0.1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_s": 0},
        {"first_s": 3, "longest_s": 2},
        {"give_up_after": 0},
        {"give_up_after": "soon"},
        {"silence_s": -1},
        {"tries": 3},
    ],
)
def test_what_is_no_way_of_asking_again_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Reconnect(**wrong)  # type: ignore[arg-type]


def test_a_source_takes_it_and_travels_with_it() -> None:
    source = MediaFile("rtsp://127.0.0.1/cam", reconnect=Reconnect(give_up_after="10min"))
    assert restore("source", describe("source", source)) == source
    assert source.reconnect is not None
    assert source.reconnect.give_up_after == 600
    with pytest.raises(SettingsError, match=r"rk\.Reconnect"):
        MediaFile("rtsp://127.0.0.1/cam", reconnect=True)  # type: ignore[arg-type]
