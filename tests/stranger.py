"""The child of test_strangers: another user who tries everything with a recording that is not his.

python stranger.py PATH; says in JSON what came of each attempt.
"""

import encodings.ascii
import encodings.idna  # noqa: F401 - which are loaded where text is first coded
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import recordkit as rk

NOBODY = 65534
FAST = rk.VideoSettings(preset="ultrafast")


def partials(path: Path) -> str:
    (found,) = rk.partials(path.parent)
    return "recording" if found.is_recording else "dead"


def log(path: Path) -> str:
    rk.read_flush_log(path)
    return "read"


def record(path: Path) -> str:
    with rk.Recorder(path, video=FAST, audio=None, overwrite=True):
        pass
    return "done"


def done(call: Callable[[], object]) -> str:
    found = call()
    return f"refused: {found}" if getattr(found, "ok", True) is False else "done"


ATTEMPTS: dict[str, Callable[[Path], str]] = {
    "partials": partials,
    "log": log,
    "attach": lambda path: done(lambda: rk.attach(path).stop()),
    "recover": lambda path: done(lambda: rk.recover(path)),
    "record": record,
    "unlink": lambda path: done(path.with_suffix(".recording.tail").unlink),
    "write": lambda path: done(lambda: path.with_suffix(".recording.ts").write_bytes(b"")),
}


def tried(path: Path) -> dict[str, str]:
    """What each attempt gives."""
    told = {}
    for name, attempt in ATTEMPTS.items():
        try:
            told[name] = attempt(path)
        except (rk.RecordkitError, OSError) as error:
            told[name] = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - a fault is what is looked for
            told[name] = f"fault: {error!r}"
    return told


def main(path: Path) -> None:
    # Once before, where nothing is: the interpreter may lie where another user cannot load anything from.
    with tempfile.TemporaryDirectory() as nothing:
        tried(Path(nothing) / "talk.ts")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    print(json.dumps(tried(path)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
