"""An MP4 checked in pieces has the verdict of one that is checked in one."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from recordkit.model import Codec
from recordkit.verification import chunk_pieces as module
from recordkit.verification.chunk_pieces import check_chunks, joined_chunks
from recordkit.verification.joining import Piece
from recordkit.verification.verify import Verification, verdict, verify

from ..media import make_clip
from ..mp4 import real
from ..mp4.cases import CASES
from ..mp4.laying import Laid, lay, recording


@cache
def usual() -> Laid:
    return lay(recording(real.video(Codec.H264), real.audio(Codec.AAC)))


def damaged(seed: int) -> bytes:
    """Bytes that are others, bytes that are gone, a chunk that is; the tables as they were."""
    chance, laid = random.Random(seed), usual()
    data = bytearray(laid.whole)
    for _ in range(seed):
        data[chance.randrange(len(data))] = chance.randrange(256)
    at = chance.randrange(5, len(laid.ends) - 5)
    if seed % 3 == 0:
        del data[laid.ends[at] : laid.ends[at + 1]]
    elif seed % 3 == 1:
        del data[laid.ends[at] + 3 : laid.ends[at] + 9]
    return bytes(data)


FILES: dict[str, Callable[[], bytes]] = {
    **{f"{case.name}, finished": (lambda case=case: lay(case.steps).whole) for case in CASES},  # type: ignore[misc]
    **{f"{case.name}, partial": (lambda case=case: lay(case.steps).partial) for case in CASES},  # type: ignore[misc]
    **{f"damaged {seed}": (lambda seed=seed: damaged(seed)) for seed in range(9)},  # type: ignore[misc]
    "cut": lambda: usual().whole[: len(usual().whole) * 2 // 3],
    "two in one": lambda: usual().partial + usual().partial,
    "finished twice": lambda: usual().whole + usual().whole,
}


@cache
def file(name: str) -> bytes:
    return FILES[name]()


def in_pieces(path: Path, borders: list[int], early: int) -> tuple[Verification, int]:
    """The verdict by pieces, and how many of them were of no use."""
    misfits: list[Piece] = []
    data = path.read_bytes()

    def read(begin: int, end: int) -> bytes:
        assert 0 <= begin <= end <= len(data), "no more is asked for than there is"
        return data[begin:end]

    spans = zip([0, *borders], [*borders, len(data)], strict=True)
    pieces = [check_chunks(read, begin, end, early) for begin, end in spans]
    check = joined_chunks([one for one in pieces if one is not None], read, misfits.append)
    check.close(lambda at, count: data[at : at + count])
    return verdict(path, check), len(misfits)


@pytest.mark.parametrize("name", FILES)
def test_any_split_has_the_same_verdict(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "talk.mp4"
    data = file(name)
    path.write_bytes(data)
    whole, chance = verify(path), random.Random(name)
    for early in (0, len(data) // 3, len(data)):
        monkeypatch.setattr(module, "_CHUNK_BYTES", chance.choice((8 << 20, 5000)))
        found, _ = in_pieces(path, sorted(chance.sample(range(5000, len(data)), 3)), early)
        assert found == whole


@pytest.mark.parametrize("finished", [True, False])
def test_pieces_that_began_with_a_keyframe_are_not_walked_again(finished: bool, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    laid = usual()
    path.write_bytes(laid.whole if finished else laid.partial)
    borders = [len(laid.partial) * part // 5 for part in range(2, 5)]
    found, misfits = in_pieces(path, borders, len(laid.partial) // 2)
    assert found == verify(path)
    assert found.ok
    assert misfits == 0


def test_a_plain_mp4_has_no_pieces(tmp_path: Path) -> None:
    for name in ("plain.mp4", "words.mp4"):
        path = tmp_path / name
        if name == "plain.mp4":
            make_clip(path, seconds=1)
        else:
            path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(3_000_000))
        data = path.read_bytes()
        assert check_chunks(lambda begin, end, data=data: data[begin:end], 0, len(data), 0) is None  # type: ignore[misc]
