"""The child of test_kill: records as fast as it can, and says after each unit how many bytes are published.

    python killed.py FILE DURABILITY THRESHOLD PIECE

The system writes at most PIECE bytes a call, so that a kill can find a flush half done.
"""

import os
import sys

from recordkit.model import AccessUnit
from recordkit.recorder.recorder import Recorder
from recordkit.settings import VideoSettings
from recordkit.sources.synthetic import Synthetic
from recordkit.system import System
from recordkit.writer.writer import Writer


class Piecemeal(System):
    def __init__(self, piece: int) -> None:
        self.piece = piece

    def write_at(self, descriptor: int, data: memoryview, offset: int) -> int:
        return super().write_at(descriptor, data[: self.piece], offset)


def main(path: str, durability: str, threshold: str, piece: str) -> None:
    lay = Writer.lay

    def lay_and_tell(writer: Writer, unit: AccessUnit) -> bool:
        done = lay(writer, unit)
        if done:
            os.write(1, f"{writer.laid_bytes}\n".encode())
        return done

    Writer.lay = lay_and_tell  # type: ignore[method-assign]
    source = Synthetic(width=160, height=90, fps=30, seconds=120)
    recorder = Recorder(
        path,
        video=VideoSettings(preset="ultrafast", crf=5),
        flush_threshold=int(threshold),
        flush_interval=0.05,
        durability="flush" if durability == "flush" else "process",
        _system=Piecemeal(int(piece)),
    )
    with recorder:
        for frame in source.frames():
            recorder.write(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
