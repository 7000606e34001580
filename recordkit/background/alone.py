"""What each worker's process begins with, ``python -m recordkit.background.alone MODULE``.

The linear algebra that numpy brings along starts a thread for each processor when it is loaded. Nobody here has
anything for them to do, and they cost a sixth of the time that a worker needs to begin. What is told in the
environment is for that one library: commands that a worker runs later find it as it was.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

_ONE_THREAD = "OPENBLAS_NUM_THREADS"


def run(module: str) -> int | None:
    """Load ``module`` and run its ``main``; what that returns."""
    is_ours = _ONE_THREAD not in os.environ
    os.environ.setdefault(_ONE_THREAD, "1")
    try:
        loaded = import_module(module)
    finally:
        if is_ours:
            del os.environ[_ONE_THREAD]
    code: int | None = loaded.main()
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
