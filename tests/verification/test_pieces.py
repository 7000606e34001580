"""A transport stream checked in pieces has the verdict of one that is checked in one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from recordkit.model import Codec
from recordkit.verification import pieces as module
from recordkit.verification.joining import Piece
from recordkit.verification.pieces import check_piece, joined
from recordkit.verification.verify import Verification, verdict, verify

from ..mpegts.builder import wrapped
from ..recovery.material import media
from .test_verify import laid, pictures, sounds, two_programs

PACKET = 188


def gap() -> bytes:
    """A gap of two seconds that the file itself flags, and a change of size."""
    before, after = pictures(25), pictures(25, 480, 272, first=75)
    after[0] = replace(after[0], random_access=True, discontinuity=True)
    return laid(before + after, sounds(40), codecs=(Codec.H264, Codec.AAC))


def damaged(seed: int) -> bytes:
    """Bytes that are others, bytes that are gone, packets that are."""
    chance, data = random.Random(seed), bytearray(media())
    for _ in range(seed):
        data[chance.randrange(len(data))] = chance.randrange(256)
    for at in sorted(chance.sample(range(0, len(data), PACKET), 4), reverse=True):
        del data[at : at + chance.choice((PACKET, 7, 3 * PACKET))]
    return bytes(data)


def scrambled(data: bytes) -> bytes:
    """From the middle on its packets are encrypted, but for the tables."""
    made = bytearray(data)
    for at in range(len(data) // 2 // PACKET * PACKET, len(data), PACKET):
        made[at + 3] |= 0x80 if made[at + 1] & 0x1F == 1 else 0
    return bytes(made)


CASES: dict[str, Callable[[], bytes]] = {
    "whole": media,
    "gap": gap,
    "programs": lambda: two_programs(1.5),
    "MP3": lambda: laid(pictures(25), sounds(47, Codec.MP3), codecs=(Codec.H264, Codec.MP3)),
    "192": lambda: wrapped((media()[at : at + PACKET] for at in range(0, len(media()), PACKET)), 192),
    "cut": lambda: media()[: PACKET * 130 + 100],
    "no media": lambda: b"no media at all" * 1000,
    "joined": lambda: media() + media(size=(192, 90)),
    "scrambled": lambda: scrambled(media()),
    **{f"damaged {seed}": (lambda seed=seed: damaged(seed)) for seed in range(6)},  # type: ignore[misc]
}


@cache
def case(name: str) -> bytes:
    return CASES[name]()


def in_pieces(path: Path, data: bytes, borders: list[int], early: int) -> tuple[Verification, int]:
    """The verdict by pieces, and how many of them were of no use."""
    misfits: list[Piece] = []

    def read(begin: int, end: int) -> bytes:
        return data[begin:end]

    spans = zip([0, *borders], [*borders, len(data)], strict=True)
    check = joined([check_piece(read, begin, end, early) for begin, end in spans], read, misfits.append)
    check.close()
    return verdict(path, check), len(misfits)


@pytest.mark.parametrize("name", CASES)
def test_any_split_has_the_same_verdict(name: str, tmp_path: Path) -> None:
    data = case(name)
    path = tmp_path / "talk.ts"
    path.write_bytes(data)
    whole, chance = verify(path), random.Random(name)
    for early in (0, len(data) // 3, len(data)):
        for is_packet in (True, False):
            borders = sorted(chance.sample(range(1, len(data)), 3))
            borders = sorted({one // PACKET * PACKET or PACKET for one in borders}) if is_packet else borders
            found, _ = in_pieces(path, data, borders, early)
            assert found == whole


def test_pieces_that_began_early_enough_are_not_walked_again(tmp_path: Path) -> None:
    """Long enough for a keyframe and all tables: only then is a piece of any use."""
    units = pictures(100)
    units[60] = replace(units[60], discontinuity=True)
    units[60:] = [replace(one, pts=one.pts + 180_000, dts=one.dts + 180_000) for one in units[60:]]
    audio = sounds(187)
    data = laid(units, audio)
    path = tmp_path / "talk.ts"
    path.write_bytes(data)
    borders = [len(data) * part // 5 // PACKET * PACKET for part in range(2, 5)]
    found, misfits = in_pieces(path, data, borders, len(data) // 3)
    assert found == verify(path)
    assert misfits == 0
    assert found.streams[0].gaps == 1


def test_what_is_read_at_once_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10_000)
    data = case("damaged 3")
    path = tmp_path / "talk.ts"
    path.write_bytes(data)
    assert in_pieces(path, data, [len(data) // 2], len(data) // 3)[0] == verify(path)
