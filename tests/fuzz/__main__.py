"""Fuzzes one target, guided by the code that it reaches (atheris, ``pip install recordkit[fuzz]``).

    python -m tests.fuzz TARGET [--seconds N] [--scratch FOLDER]

What made a target fail is kept in the scratch folder, from where ``--input FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_INSTRUMENTED = [f"recordkit.{one}" for one in ("mpegts", "mp4", "recovery", "telemetry.logfile", "writer.header")]
_LONGEST_ONE_S = 20
_MOST_GROWTH_KB = 200 * 1024
"""One input may raise the peak of resident memory by no more."""
_MOST_MEMORY_MB = 8192
"""Of the whole process: atheris itself takes more with every input, 1 GB in a few thousand."""
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - its files have names of their own


def _watched(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        target(data)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < _MOST_GROWTH_KB, f"{len(data):,} bytes took {grown:,} KB of memory"

    return run


def main(arguments: list[str]) -> None:
    """Runs until the time is over or an input fails."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from .targets import LONGEST_BYTES, TARGETS
    from .seeds import SEEDS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--input", type=Path, help="run this one input")
    chosen = parser.parse_args(arguments)
    target = TARGETS[chosen.target]
    if _MEMORY_FOLDER.is_dir():
        tempfile.tempdir = str(_MEMORY_FOLDER)  # a real disk would be waited for thousands of times
    if chosen.input:
        target(chosen.input.read_bytes())
        return
    scratch = (chosen.scratch or Path(tempfile.mkdtemp(prefix="fuzz-"))) / chosen.target
    corpus = scratch / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[chosen.target]()):
        (corpus / f"seed{number:03}").write_bytes(seed[:LONGEST_BYTES])
    print(f"{chosen.target}: {chosen.seconds} s; what fails is kept in {scratch}", flush=True)
    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-artifact_prefix={scratch}/",
            f"-max_total_time={chosen.seconds}",
            f"-max_len={LONGEST_BYTES}",
            f"-timeout={_LONGEST_ONE_S}",
            f"-rss_limit_mb={_MOST_MEMORY_MB}",
            "-print_final_stats=1",
        ],
        _watched(target),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
