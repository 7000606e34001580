"""An earlier build of recordkit, out of git's history, to be measured in turn with the one at hand."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

COMMIT = "c01c649"
"""The last one before media was taken where it arrives."""
_ROOT = Path(__file__).parents[2]


@contextmanager
def earlier_build() -> Iterator[Path | None]:
    """A folder with that build's package; None where there is no such history (a copy without git)."""
    with TemporaryDirectory() as folder:
        words = ["git", "archive", COMMIT, "recordkit"]
        done = subprocess.run(words, cwd=_ROOT, capture_output=True, check=False)
        if done.returncode:
            print(f"without {COMMIT}: {done.stderr.decode(errors='replace').strip()}")
            yield None
            return
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


def with_build(command: Sequence[str], build: Path | None) -> list[str]:
    """A command that imports recordkit from ``build``, its children as well; None: the one at hand."""
    return [*command] if build is None else ["env", f"PYTHONPATH={build}", *command]
