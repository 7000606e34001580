"""What the instruments cost: the share of a core that sampling once a second takes.

    python tests/benchmarks/sampler.py [--samples N] [--megabytes N] [--json]

Each sample is taken as in a recording, held against the alert rules and written to the log. The
figure is CPU time, of the process and of the system on its behalf, for one sample; a second has
one sample. ``--megabytes`` is memory that the process holds, which the system has to count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from recordkit.system import Clock, System
from recordkit.telemetry.alerts import Alerts, AlertSettings
from recordkit.telemetry.journal import Journal
from recordkit.telemetry.logfile import LogFile
from recordkit.telemetry.process import ProcessProbe
from recordkit.telemetry.sampler import Sampler, Standing


class Seconds(Clock):
    """A second goes by between two samples."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def measure(folder: Path, samples: int) -> dict[str, float]:
    """CPU seconds of a sample, as a share of the second that it is for."""
    clock, system = Seconds(), System()
    partial = folder / "talk.recording.ts"
    partial.write_bytes(b"\0" * 188)
    journal = Journal(clock)
    log = LogFile(folder / "talk.flushes.jsonl", {})
    journal.follow(log.add)
    alerts = Alerts(AlertSettings(memory_bytes=None), journal, folder, 1 << 24, clock, system, None)
    sampler = Sampler(lambda: Standing(partial), ProcessProbe(clock), clock, system, None)
    begun = time.process_time()
    for _ in range(samples):
        clock.now += 1.0
        sample = sampler.sample(clock.now)
        journal.add(sample)
        alerts.check(sample)
        log.write()
    seconds = (time.process_time() - begun) / samples
    log.close()
    return {
        "samples": samples,
        "rss_megabytes": sample.rss_bytes / 1e6,
        "milliseconds_a_sample": seconds * 1000,
        "percent_of_a_core": seconds * 100,
        "log_bytes_a_sample": log.path.stat().st_size / samples,
    }


def main(arguments: list[str]) -> None:
    """Measures and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=250)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    held = bytearray(b"\1") * (chosen.megabytes * 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), chosen.samples)
    del held
    if chosen.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:>22} {figure:>12,.4g}")


if __name__ == "__main__":
    main(sys.argv[1:])
