"""What the writer's thread does with a full slot: write it, sync it, report it; and how a recording ends."""

from __future__ import annotations

import logging
from itertools import chain

import psutil

from ..container import Packager
from ..errors import WriteError
from ..model import FlushRecord
from ..names import is_of_ring
from ..settings import Durability
from ..system import Clock
from ..telemetry.process import resident_bytes
from ..ticks import TICKS_PER_SECOND
from .buffer import Buffer, Job
from .observer import Observer
from .output import Output
from .room import Room
from .tail import Tail

log = logging.getLogger("recordkit")

_PIECE_BYTES = 1024 * 1024


class Flusher:
    """Flushes slots into ``output``, in order; called from one thread, what it counts may be read from any.

    ``buffer`` tells how many bytes have been packetised, ``observer`` what stands before them.
    ``doing`` is what it does at this moment with the disk, in words, or None.
    """

    def __init__(
        self,
        output: Output,
        room: Room,
        clock: Clock,
        durability: Durability,
        buffer: Buffer,
        observer: Observer,
    ) -> None:
        self.file_bytes = 0
        self.doing: str | None = None
        self._output = output
        self._room = room
        self._clock = clock
        self._durability = durability
        self._buffer = buffer
        self._observer = observer
        self.synced_bytes = 0
        self._flushes = 0
        self._started_s = 0.0
        self._process = psutil.Process()

    def begin(self, started_s: float | None = None) -> float:
        """The records count from ``started_s``, or from now on; returns what it is now."""
        now_s = self._clock.monotonic()
        self._started_s = now_s if started_s is None else started_s
        return now_s

    def flush(self, job: Job, tail: Tail) -> FlushRecord:
        """Write the job's slot where it belongs, and sync it if each flush is to be. Raises WriteError."""
        slot = job.slot
        size = slot.buffer.used_bytes
        end = slot.offset + size
        started_s = self._clock.monotonic()
        self.doing = f"writing {size:,} bytes at byte {slot.offset:,}"
        self._output.check_name(slot.offset)
        self._room.write(slot, tail)
        written_s = self._clock.monotonic()
        if self._durability == "flush":
            self.doing = f"syncing the file up to byte {end:,}"
            self._output.sync_data(end)
        self.doing = None
        synced_s = self._clock.monotonic()
        status = self._observer.queue()
        record = FlushRecord(
            index=self._flushes,
            time_ns=self._clock.time_ns(),
            elapsed_s=synced_s - self._started_s,
            flush_bytes=size,
            file_bytes=end,
            write_s=written_s - started_s,
            sync_s=synced_s - written_s,
            reason=job.reason,
            interval_s=job.interval_s,
            video_units=slot.video_units,
            audio_units=slot.audio_units,
            media_s=(slot.end_dts - slot.first_dts) / TICKS_PER_SECOND,
            dropped_units=status.dropped_units,
            queue_bytes=status.queue_bytes,
            bytes_at_risk=self._buffer.laid_bytes - self.synced_bytes,
            rss_bytes=resident_bytes(self._process),
        )
        self._flushes += 1
        self.file_bytes = end
        if self._durability == "flush":
            self.synced_bytes = end
        log.info(
            "Flushed buffer: %s bytes (%s) in %.0f ms, file %s bytes",
            f"{size:,}",
            job.reason,
            (synced_s - started_s) * 1000,
            f"{end:,}",
        )
        return record

    def finish(self, *, end: int, commit: bool, overwrite: bool, packager: Packager, tail: Tail | None) -> bool:
        """End the recording: commit it, or leave the partial, synced; True where it was committed.

        Before it is committed, ``packager`` makes it the final file: what comes at its end is synced
        before anything at its beginning is turned, so that a kill in between leaves a partial as before.

        What stands behind ``end`` is cut: the beginning of a unit that did not come to its end. A
        recording without a byte leaves no file. Raises WriteError or OutputExistsError.
        """
        final_path = self._output.final_path
        self.doing = f"committing {self.file_bytes:,} bytes" if commit else f"syncing {self.file_bytes:,} bytes"
        if end < self.file_bytes:
            self._output.truncate(end)
            self.file_bytes = end
        if not self.file_bytes:
            self._output.discard()
            return False
        if not commit:
            self._output.sync(self.file_bytes)
            level = logging.INFO if is_of_ring(final_path.name) else logging.WARNING
            log.log(level, "Left %s (%s bytes), not committed", self._output.partial_path, f"{self.file_bytes:,}")
            return False
        self._complete(packager, tail)
        self._output.commit(self.file_bytes, overwrite=overwrite)
        log.info("Committed %s (%s bytes)", final_path, f"{self.file_bytes:,}")
        return True

    def _complete(self, packager: Packager, tail: Tail | None) -> None:
        """Append what makes the partial the final file, and turn what it says. Raises WriteError or MediaError."""
        begin = end = self.file_bytes

        def append() -> None:
            nonlocal end
            finish, end, gathered = packager.finish(begin), begin, bytearray()
            try:
                for piece in chain(finish.append, (b"",)):
                    gathered += piece
                    if len(gathered) >= _PIECE_BYTES or (gathered and not piece):
                        self._output.write(memoryview(gathered), end)
                        end += len(gathered)
                        gathered = bytearray()
            except WriteError:
                self._output.truncate(begin)
                raise

        def give_way() -> None:
            self._output.sync(begin)
            if tail is not None:
                tail.remove()

        self._room.complete(append, give_way)
        patches = packager.finish(begin).patches
        if patches:
            self._output.sync(end)
        for offset, patch in patches:
            self._output.patch(patch, offset)
        self.file_bytes = end
