"""Whether memory grows: half an hour of media, recorded as fast as it goes.

    python tests/benchmarks/growth.py [--quick] [--minutes N] [--json PATH]

The clock runs with the media, so that there are as many flushes, samples and events as in as much real time;
see memory.py. Resident memory is taken after the first minute and after the last.
"""

from __future__ import annotations

import json
import subprocess

from figures import Figures, command_line
from observing import script

MINUTES, QUICK_MINUTES = 30, 2


def run(quick: bool, minutes: int | None = None) -> Figures:
    """Resident memory in MB, and its growth an hour."""
    minutes = minutes or (QUICK_MINUTES if quick else MINUTES)
    words = script("memory.py", "growth", "--minutes", minutes, "--json")
    said = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return {
        "minutes": minutes,
        "flushes": said["flushes"],
        "first_minute_mb": round(said["first_minute_rss"] / 1e6, 2),
        "last_minute_mb": round(said["last_minute_rss"] / 1e6, 2),
        "growth_mb_an_hour": round(said["growth_bytes"] / 1e6 / (minutes - 1) * 60, 3),
    }


def table(figures: Figures) -> str:
    first, last = figures["first_minute_mb"], figures["last_minute_mb"]
    return (
        f"{figures['minutes']} minutes of media, {figures['flushes']} flushes: resident memory {first} MB after "
        f"the first minute, {last} MB after the last; {figures['growth_mb_an_hour']} MB an hour"
    )


if __name__ == "__main__":
    command_line(__doc__ or "", run, table, minutes=f"how many of media ({MINUTES})")
