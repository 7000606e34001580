"""Attacks recordings, long, and prints one table.

    python -m tests.torture [--kind NAME]... [--trials N] [--seed N] [--json FILE] [--list]
    python -m tests.torture --markdown README.md [--json FILE...]

Every kind runs by default, each with as many trials as it is to have. ``--kind`` takes the beginning
of a name, in the plural as well (disks), or what stands behind its last comma (MP4). The second form
runs nothing: it puts the figures of one run or several into a document, between the comments that mark
their place; rows of kinds that were not run stay as they are there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..documents import between, put_into
from .kinds import KINDS
from .outcome import Kind, Outcome, row

DEFAULT_JSON = Path("recordings/torture.json")
COMMAND = "make torture"


def run(kind: Kind, trials: int, seed: int, scratch: Path, console: Console) -> list[Outcome]:
    """The trials of one kind, one after another."""
    own = scratch / kind.name.replace(" ", "-")
    own.mkdir()
    outcomes = []
    with kind.begin(own) as trial:
        for number in track(range(seed, seed + trials), kind.name, console=console, transient=True):
            place = own / f"{number}"
            place.mkdir()
            outcome = trial(number, place)
            outcomes.append(outcome)
            if outcome.faults:
                console.print(f"[red]{kind.name}, seed {number}: {'; '.join(outcome.faults)}", highlight=False)
            else:
                shutil.rmtree(place)
    return outcomes


def table(rows: list[dict[str, Any]]) -> Table:
    """One line a kind."""
    made = Table(title="Attacks, and what was lost", title_justify="left")
    made.add_column("attack")
    for name in ("trials", "passed", "lost bytes, median", "most", "lost ms, median", "most"):
        made.add_column(name, justify="right")
    made.add_column("other figures, worst")
    for one in rows:
        if "skipped" in one:
            made.add_row(one["kind"], "0", "", "", "", "", "", f"skipped: {one['skipped']}")
            continue
        figures = ", ".join(f"{name.replace('_', ' ')} {value:,g}" for name, value in one["figures"].items())
        lost = [f"{one[name]:,g}" for name in ("lost_bytes_median", "lost_bytes_worst")]
        late = [f"{one[name]:,.0f}" for name in ("lost_ms_median", "lost_ms_worst")]
        style = None if one["survived"] == one["trials"] else "red"
        made.add_row(one["kind"], str(one["trials"]), str(one["survived"]), *lost, *late, figures, style=style)
    return made


def merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one kind, from several runs, as one."""
    by_kind: dict[str, dict[str, Any]] = {}
    for one in rows:
        if "skipped" in one:
            continue
        same = by_kind.setdefault(one["kind"], {**one, "trials": 0, "survived": 0})
        for name in ("trials", "survived"):
            same[name] += one[name]
        for name in ("lost_bytes_worst", "lost_ms_worst"):
            same[name] = max(same[name], one[name])
        for name, value in one["figures"].items():
            same["figures"] = {**same["figures"], name: max(value, same["figures"].get(name, value))}
    return list(by_kind.values())


def markdown(rows: list[dict[str, Any]], before: str = "") -> str:
    """The rows in the order of the kinds as a table for a document; those of other kinds as ``before`` has them."""
    stay = {line.split(" | ")[0].removeprefix("| "): line for line in before.splitlines()}
    made = {one["kind"]: _line(one) for one in merged(rows)}
    lines = [line for kind in KINDS if (line := made.get(kind.name) or stay.get(kind.name)) is not None]
    return "\n".join(["| attack | trials | passed | most data lost |", "| --- | ---: | ---: | ---: |", *lines])


def _line(one: dict[str, Any]) -> str:
    lost = f"{one['lost_bytes_worst']:,g} bytes" if one["lost_bytes_worst"] else "nothing"
    if one["lost_bytes_worst"] and one["figures"].get("lost_packetised_ms"):
        lost += f", {one['figures']['lost_packetised_ms']:,.0f} ms"
    elif one["lost_ms_worst"] and one["promise"].endswith("second"):
        lost = f"{one['lost_ms_worst']:,.0f} ms"  # what is promised is counted in time there
    if "back_s" in one["figures"]:
        figures = one["figures"]
        lost = one["promise"] if figures["gaps"] else lost
        lost += f"; in the file {figures['back_s']:.1f} s after its return"
        lost += f", gaps right to {figures['gap_frames']:.2f} frames"
        lost += f", missed within {figures['missed_s']:.1f} s" if "missed_s" in figures else ""
    if "media_hours" in one["figures"]:
        hours, slope = one["figures"]["media_hours"], one["figures"]["memory_MB_an_hour"]
        lost += f"; in {hours:g} h of media, memory grew by {slope:.1f} MB per hour"
    return f"| {one['kind']} | {one['trials']:,} | {one['survived']:,} | {lost} |"


def _is_meant(name: str, asked: str) -> bool:
    return name.startswith(asked.removesuffix("s")) or name.endswith(f", {asked}")


def main(arguments: list[str]) -> int:
    """0 where every trial survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, nargs="+", default=[DEFAULT_JSON])
    parser.add_argument("--scratch", type=Path, help="where to work; what failed is left there")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if chosen.markdown:
        rows = [one for path in chosen.json for one in json.loads(path.read_text())]
        put_into(chosen.markdown, COMMAND, markdown(rows, between(chosen.markdown, COMMAND)))
        return 0
    saved = chosen.json[0]
    kinds = [kind for kind in KINDS if not chosen.kind or any(_is_meant(kind.name, one) for one in chosen.kind)]
    if chosen.list or not kinds:
        for kind in KINDS:
            console.print(f"{kind.name}: {kind.trials} trials; may cost {kind.promise}", highlight=False)
        return 0 if chosen.list else 2
    scratch = Path(tempfile.mkdtemp(prefix="torture-", dir=chosen.scratch))
    rows = []
    for kind in kinds:
        reason = kind.impossible()
        if reason:
            rows.append({"kind": kind.name, "skipped": reason})
            continue
        begun = time.monotonic()
        outcomes = run(kind, chosen.trials or kind.trials, chosen.seed, scratch, console)
        rows.append(row(kind, outcomes) | {"seconds": round(time.monotonic() - begun)})
        # After each kind: a run of hours that is interrupted keeps what it has measured.
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text(json.dumps(rows, indent=1))
    console.print(table(rows))
    failed = any(one.get("faults") for one in rows)
    if failed:
        console.print(f"What did not survive lies in {scratch}.")
    else:
        shutil.rmtree(scratch)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
