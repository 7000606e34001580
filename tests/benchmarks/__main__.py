"""Runs the benchmarks one after the other, and writes what they found as JSON and Markdown.

    python -m tests.benchmarks [--quick] [--seconds N] [--piece NAME]... [--results FILE.json] [--list]
    python -m tests.benchmarks --readme README.md [--results FILE.json]

All pieces run by default. Results are kept after each, and those of pieces that did not run stay; the Markdown
lies beside the JSON. Before each the load has to be below 1, which is waited for. The second form runs nothing:
it puts the ratios into a document, between the comments that mark their place.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..documents import put_into
from .machine import machine
from .summary import PIECES, ratios, report

FOLDER = Path(__file__).parent
DEFAULT_RESULTS = FOLDER / "measured.json"
QUICK_RESULTS = Path("recordings/benchmarks-quick.json")
COMMAND = "make bench"
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""With this set each process compiles recordkit anew, which an installed package never does."""
_CALM, _LONGEST_WAIT_S, _LOOK_S = 1.0, 300.0, 5.0


def settle() -> None:
    """Wait until the machine has nothing else to do: what ran before counts in its load for minutes."""
    end_s = time.monotonic() + _LONGEST_WAIT_S
    while os.getloadavg()[0] >= _CALM and time.monotonic() < end_s:
        time.sleep(_LOOK_S)


def run(name: str, quick: bool, seconds: int | None = None) -> dict[str, Any]:
    """A piece in a process of its own: its figures, and what else the machine did meanwhile."""
    before, begun_s = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        words = [sys.executable, str(FOLDER / f"{name}.py"), "--json", str(path), *["--quick"] * quick]
        if name == "recorders" and seconds:
            words += ["--seconds", str(seconds)]
        subprocess.run(words, check=True, env={k: v for k, v in os.environ.items() if k != _NO_BYTECODE})
        figures = json.loads(path.read_text())
    return {
        "load_before": round(before, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "seconds": round(time.monotonic() - begun_s),
        "when": time.strftime("%Y-%m-%d"),
        "figures": figures,
    }


def main(arguments: list[str]) -> int:
    """0 where every piece ran."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short: shows that all run, the figures mean little")
    parser.add_argument("--seconds", type=int, help="how long each of the recorders records, instead of a minute")
    parser.add_argument("--piece", action="append", choices=list(PIECES), help="only this one; may be repeated")
    parser.add_argument("--results", type=Path, metavar="FILE.json")
    parser.add_argument("--readme", type=Path, metavar="FILE.md")
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args(arguments)
    path = chosen.results or (QUICK_RESULTS if chosen.quick else DEFAULT_RESULTS)
    if chosen.list:
        print("\n".join(f"{name}: {words}" for name, words in PIECES.items()))
        return 0
    if chosen.readme:
        put_into(chosen.readme, COMMAND, ratios(json.loads(path.read_text())))
        return 0
    results: dict[str, Any] = {"machine": machine(), "quick": chosen.quick, "pieces": {}}
    if path.exists():
        earlier = json.loads(path.read_text())
        # Figures of two machines, or of two versions of what is measured, do not go into one table.
        if {key: earlier[key] for key in ("machine", "quick")} == {
            key: results[key] for key in ("machine", "quick")
        }:
            results = earlier
    failed = []
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.piece or PIECES:
        print(f"\n{name}: {PIECES[name]}", flush=True)
        if not chosen.quick:
            settle()
        try:
            results["pieces"][name] = run(name, chosen.quick, chosen.seconds)
        except subprocess.CalledProcessError as error:
            print(f"{name} failed with status {error.returncode}", file=sys.stderr)
            failed.append(name)
        results["pieces"] = {one: results["pieces"][one] for one in PIECES if one in results["pieces"]}
        path.write_text(json.dumps(results, indent=1) + "\n")
        path.with_suffix(".md").write_text(report(results))
    print(f"\n{ratios(results)}\n\nin {path} and {path.with_suffix('.md')}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
