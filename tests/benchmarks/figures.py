"""What the benchmarks share: how figures are told, and a command line that is the same for each."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def spread(values: Sequence[float], digits: int = 6) -> dict[str, float]:
    """Median, lowest and highest of the rounds."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
    }


_LEAST_BETWEEN = 8


def doubled(measure: Callable[[int], Figures], most: int) -> tuple[list[Figures], list[Figures]]:
    """What ``measure`` finds for 1, 2, 4 … until that is not ``carried``, ``most`` at most; and those that were.

    From eight on the number half way to the first that is not carried is measured, too, and then half way again.
    """
    rows: list[Figures] = []
    count = 1
    while count <= most and (not rows or rows[-1]["carried"]):
        rows.append(measure(count))
        count *= 2
    if len(rows) > 1 and not rows[-1]["carried"] and (last := count // 4) >= _LEAST_BETWEEN:
        between = measure(last + last // 2)
        nearer = measure(last + (3 if between["carried"] else 1) * last // 4)
        rows[-1:-1] = [between, nearer] if between["carried"] else [nearer, between]
    return rows, [row for row in rows if row["carried"]]


def command_line(
    description: str, run: Callable[..., Figures], table: Callable[[Figures], str], **numbers: str
) -> None:
    """Runs a benchmark with ``--quick`` and ``--json PATH``, and prints its table.

    ``numbers`` are further options of its own, by name, with their help; ``run`` gets those given.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short: shows that it runs, the figures mean little")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as JSON")
    for name, words in numbers.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=words)
    chosen = parser.parse_args()
    given = {name: getattr(chosen, name) for name in numbers if getattr(chosen, name) is not None}
    figures = run(chosen.quick, **given)
    print(table(figures))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="ascii")
