"""A folder with recordings of a few bytes, each with what lies beside it."""

import os
from pathlib import Path

from recordkit.keeping.passing import Passed, Passes
from recordkit.settings import Keep
from recordkit.system import System

DAY_NS = 86_400_000_000_000
NOW_NS = 1_700_000_000_000_000_000
BYTES = 1000
BESIDE = ((".flushes.jsonl", 100), (".frames", 50))
WHOLE_BYTES = BYTES + sum(size for _, size in BESIDE)


class Folder:
    """Recordings ``r0.ts`` (the oldest) to ``r9.ts``, a day between each and the next; r0 ended 10 days ago."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lay(self, *numbers: int, suffix: str = ".ts") -> None:
        for number in numbers:
            self.one(f"r{number}", NOW_NS - (10 - number) * DAY_NS, suffix)

    def one(self, stem: str, ended_ns: int, suffix: str = ".ts") -> Path:
        for beside, size in BESIDE:
            (self.path / (stem + beside)).write_bytes(bytes(size))
        main = self.path / (stem + suffix)
        main.write_bytes(bytes(BYTES))
        os.utime(main, ns=(ended_ns, ended_ns))
        return main

    def run(self, system: System | None = None, *, dry_run: bool = False, **bounds: object) -> Passed:
        passes = Passes(self.path, Keep(**bounds), system or System(), lambda path: None)  # type: ignore[arg-type]
        return passes.run(NOW_NS, dry_run=dry_run)

    @property
    def names(self) -> list[str]:
        return sorted(one.name for one in self.path.iterdir())

    @property
    def recordings(self) -> list[str]:
        return [name.removesuffix(".ts") for name in self.names if name.endswith(".ts")]


def whole(*stems: str) -> list[str]:
    """The names of the files of whole recordings."""
    return sorted(stem + suffix for stem in stems for suffix in (".ts", *(beside for beside, _ in BESIDE)))
