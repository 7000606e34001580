"""Runs record, verify and recover over files, against ffprobe, and prints what disagrees: one row a file.

    python -m tests.corpus FOLDER... [--json FILE] [--limit SECONDS] [--only PATTERN]
    python -m tests.corpus [--packages NAME...] [--all] [--every N]

Without a folder the files are made with ffmpeg: plain, cut, trimmed, turned, interlaced, with audio that begins
late, with B-frames. A covering sample is made of them (pairwise: each coding in each container that takes it,
each coding and each container in each of these ways at least once), with ``--all`` every combination (some 10,000
films, many hours). ``--every N`` takes every Nth coding-in-container, or film. ``--packages`` takes the films that
packages of the Python index carry. Nothing is left behind but the rows.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .comparing import Row, tried
from .matrix import films
from .packages import carried
from .trying import Trier

DEFAULT_JSON = Path("recordings/corpus.json")
_OURS = (".flushes.jsonl", ".py", ".pyc", ".json", ".txt", ".md")


def files(folders: Iterable[Path], only: str) -> Iterator[tuple[Path, str]]:
    """All files below ``folders`` with ``only`` in their names, each with what to call it."""
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            name = str(path.relative_to(folder)) if folder.is_dir() else path.name
            if path.is_file() and re.search(only, name) and not name.endswith(_OURS) and path.stat().st_size:
                yield path, name


def table(rows: list[Row], *, whole: bool) -> Table:
    """One line a file; those that agree only if ``whole``."""
    made = Table(title="recordkit and ffprobe", title_justify="left", show_lines=False)
    for name in ("file", "streams of the source -> of the recording", "said", "disagrees"):
        made.add_column(name, overflow="fold")
    for row in rows:
        if row.state == "agrees" and not whole:
            continue
        said = row.told[0] + (f" (and {len(row.told) - 1} more)" if row.told[1:] else "") if row.told else ""
        faults = "\n".join(f"{kind}: {words}" for kind, words in row.disagreements.items())
        made.add_row(row.file, "\n".join(row.streams), said, faults, style="red" if faults else None)
    return made


def summary(rows: list[Row]) -> dict[str, Any]:
    """How many files, how many of each state, how many disagreements of each kind."""
    states = Counter(row.state for row in rows)
    kinds = Counter(kind for row in rows for kind in row.disagreements)
    return {"files": len(rows), **dict(sorted(states.items())), "kinds": dict(kinds.most_common())}


def run(found: Iterable[tuple[Path, str]], limit_s: float, console: Console, into: Path) -> list[Row]:
    """Try each file; rows go to ``into`` as they come, one JSON object a line."""
    rows = []
    into.parent.mkdir(parents=True, exist_ok=True)
    with closing(Trier()) as trier, into.open("w") as lines:
        for path, name in found:
            with tempfile.TemporaryDirectory(prefix="corpus-") as scratch:
                row = tried(path, name, Path(scratch), trier, limit_s)
            rows.append(row)
            lines.write(json.dumps(row.to_dict()) + "\n")
            lines.flush()
            if row.disagreements:
                console.print(
                    f"[red]{name}: {next(iter(row.disagreements.items()))}", highlight=False, soft_wrap=True
                )
    return rows


def main(arguments: list[str]) -> int:
    """0 if nothing disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, help="rows go there, one JSON object a line")
    parser.add_argument("--limit", type=float, default=60, help="seconds that each step with a file may take")
    parser.add_argument("--only", default="", help="files whose name has this in it, a regular expression")
    parser.add_argument("--every", type=int, default=1, help="of the files that are made, every Nth")
    parser.add_argument("--all", action="store_true", help="every combination, instead of a covering sample")
    parser.add_argument("--packages", nargs="*", default=[], help="take the films of these packages")
    parser.add_argument("--whole", action="store_true", help="print the files that agree as well")
    chosen = parser.parse_args(arguments)
    missing = [str(one) for one in chosen.folders if not one.exists()]
    if missing or not shutil.which("ffprobe"):
        parser.error(f"there is no {missing[0]}" if missing else "ffprobe is not installed")
    console = Console()
    with tempfile.TemporaryDirectory(prefix="corpus-films-") as folder:
        if chosen.folders:
            found = files(chosen.folders, chosen.only)
        elif chosen.packages:
            found = files(carried(chosen.packages, Path(folder)), chosen.only)
        else:
            found = films(Path(folder), chosen.only, chosen.every, whole=chosen.all)
        rows = run(found, chosen.limit, console, chosen.json)
    console.print(table(rows, whole=chosen.whole))
    console.print(summary(rows))
    return int(any(row.disagreements for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
