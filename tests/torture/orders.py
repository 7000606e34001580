"""What a child is told to do, and what it tells while it does so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recordkit.ticks import TICKS_PER_SECOND

_WORDS = ("units", "bytes", "begin_ticks", "end_ticks", "written_us", "flushed_bytes", "flushes", "committed")


class Told:
    """What the child has told so far: counts in a small mapped file, which a kill leaves as they are.

    ``units`` and ``bytes`` are packetised, from ``begin_ticks`` to ``end_ticks``; media up to
    ``written_us`` were handed to the recorder; ``flushed_bytes`` were told as flushed.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8 * len(_WORDS)))
        self.words = np.memmap(path, np.int64, "r+", shape=(len(_WORDS),))

    def __getattr__(self, name: str) -> int:
        if name not in _WORDS:
            raise AttributeError(name)
        return int(self.words[_WORDS.index(name)])

    def tell(self, name: str, value: int) -> None:
        """One aligned store."""
        self.words[_WORDS.index(name)] = value

    def snapshot(self) -> dict[str, int]:
        """All counts."""
        return dict(zip(_WORDS, self.words.tolist(), strict=True))


@dataclass(frozen=True)
class Order:
    """What to record, and what happens meanwhile.

    ``piece`` is how many bytes the system writes in one call at the most; ``line`` is a file
    within the package, a line in it and how often it may begin before the process dies at it.
    ``fault`` is a system call (as in FaultySystem), at which of its calls it fails, and the errno;
    ``is_short``: the write before it takes part of a packet. The power is cut before the call
    ``power_cut``. No file may grow beyond ``file_limit`` bytes. With ``every`` each file has so many seconds, and
    ``path`` is a pattern; lines of what cuts are met, too. Of the frames a share of ``lost`` is never handed over.
    """

    path: str
    told: str
    seconds: float = 60.0
    realtime: bool = True
    width: int = 160
    height: int = 90
    crf: int = 20
    audio: bool = True
    durability: str = "flush"
    flush_threshold: int = 64 * 1024
    flush_interval: float = 0.1
    piece: int | None = None
    line: tuple[str, int, int] | None = None
    census: str | None = None
    fault: tuple[str, int, int] | None = None
    is_short: bool = False
    power_cut: tuple[str, int] | None = None
    file_limit: int | None = None
    every: float | None = None
    lost: float = 0.0


def last_media_ms(told: dict[str, int]) -> float:
    """Up to where media were packetised, in ms from the first."""
    return (told["end_ticks"] - told["begin_ticks"]) * 1000 / TICKS_PER_SECOND
