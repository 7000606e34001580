"""Lines in pieces of any size, and lines that are no messages."""

import random

import pytest

from recordkit.background.protocol import LONGEST_LINE_BYTES, Lines, Type, decode, encode, signal_line
from recordkit.errors import SettingsError


def test_lines_come_whole_however_they_are_cut():
    chance = random.Random(6)
    sent = [encode(Type.MARK, name="ä\n" * chance.randrange(50)) for _ in range(200)]
    data, heard, lines = b"".join(sent), [], Lines()
    while data:
        cut = chance.randrange(1, 300)
        heard += lines.feed(data[:cut])
        data = data[cut:]
    assert [line + b"\n" for line in heard] == sent
    assert decode(sent[0])["type"] == Type.MARK


def test_an_endless_line_takes_no_memory_and_the_next_is_heard():
    lines = Lines()
    for _ in range(3 * LONGEST_LINE_BYTES // 65536):
        assert lines.feed(b"x" * 65536) == []
    assert lines.feed(b"x\nnext\n") == [b"next"]
    assert lines.overlong == 1


@pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"3", b"{}", b'{"type":3}', b"[" * 100_000])
def test_what_is_no_message(line):
    assert decode(line) is None


@pytest.mark.parametrize("message", [{"a": object()}, {"a": b"bytes"}, 3])
def test_a_signal_that_json_cannot_carry(message):
    with pytest.raises(SettingsError, match="JSON"):
        signal_line(message)
