"""Items of streams that come at different paces, in the order of their times."""

from __future__ import annotations

from recordkit.encode.merging import LAG, Merger

VIDEO, AUDIO = 0, 1
SECOND = 90_000


def taken(merger: Merger[str]) -> list[str]:
    items = []
    while (item := merger.take()) is not None:
        items.append(item)
    return items


def put(merger: Merger[str], stream: int, place: int, size: int = 1) -> list[str]:
    merger.put(stream, place, f"{'va'[stream]}{place // SECOND}", size)
    return taken(merger)


def test_a_stream_alone_waits_for_nobody() -> None:
    merger: Merger[str] = Merger()
    assert [put(merger, VIDEO, number * SECOND) for number in range(3)] == [["v0"], ["v1"], ["v2"]]
    assert not merger.holds


def test_an_item_waits_for_a_stream_far_behind_and_comes_in_its_place() -> None:
    merger: Merger[str] = Merger()
    assert put(merger, AUDIO, 0) + put(merger, VIDEO, LAG) == ["a0", "v0"]
    assert put(merger, VIDEO, 3 * SECOND) == []
    assert (merger.holds, merger.next_place(VIDEO), merger.next_place(AUDIO)) == (True, 3 * SECOND, None)
    assert put(merger, AUDIO, 2 * SECOND) == ["a2"]
    assert put(merger, AUDIO, 3 * SECOND) == ["v3", "a3"]


def test_while_one_is_taken_the_next_of_another_stream_is_known() -> None:
    merger: Merger[str] = Merger()
    put(merger, AUDIO, 0)
    put(merger, VIDEO, 5 * SECOND)
    merger.put(AUDIO, 5 * SECOND, "a5", 1)
    assert merger.take() == "v5"
    assert merger.next_place(AUDIO) == 5 * SECOND


def test_what_is_released_waits_no_more_and_neither_does_what_follows_until_the_stream_goes_on() -> None:
    merger: Merger[str] = Merger()
    put(merger, AUDIO, 0)
    assert put(merger, VIDEO, 3 * SECOND) == []
    merger.release()
    assert taken(merger) == ["v3"]
    assert put(merger, VIDEO, 4 * SECOND) == ["v4"]
    assert put(merger, AUDIO, 1 * SECOND) == ["a1"]
    assert put(merger, VIDEO, 5 * SECOND) == []
    merger.forget(AUDIO)
    assert taken(merger) == ["v5"]


def test_what_waits_is_bounded_in_bytes() -> None:
    merger: Merger[str] = Merger()
    put(merger, AUDIO, 0)
    assert put(merger, VIDEO, 3 * SECOND, size=10 << 20) == []
    assert put(merger, VIDEO, 4 * SECOND, size=10 << 20) == ["v3", "v4"]
