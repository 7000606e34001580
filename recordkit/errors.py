"""Every error that recordkit raises, in one tree.

The type says whose fault it is, the message says what to do, the fields say what is concerned::

    RecordkitError
    ├── SettingsError        an argument or setting that cannot be used      name, value
    ├── StateError           a call that does not fit the recorder's state   state, wanted
    ├── OutputError          the recording's files                           path
    │   ├── OutputNameError      a name that recordkit does not write
    │   ├── OutputExistsError    the final name is taken
    │   ├── PartialExistsError   an unfinished recording lies there          partial
    │   ├── OutputBusyError      another recorder holds the partial's lock
    │   │   └── StillRecordingError  what was to be recovered is being recorded
    │   ├── RecoveryError        a file that cannot be recovered or repaired
    │   ├── OutputAccessError    the folder cannot be made or written
    │   ├── DiskSpaceError       too little room                             needed_bytes, free_bytes
    │   └── WriteError           a write, sync or rename that failed         offset, errno
    ├── AdmissionError       the machine cannot carry one more recording     recording, short, needed, available
    ├── LogError             a log of flushes that cannot be read            path
    ├── FleetError           what works on many files cannot be used         engine
    ├── WorkerError          the process that records has ended on its own   path, signal, exit_code
    ├── SourceError          the source cannot be opened or read             source
    │   └── TapError             aiortc is not built as the tap knows it         version, missing
    └── MediaError           media that cannot be encoded or carried         stream
"""

from __future__ import annotations

from pathlib import Path

from .printable import discreet


class RecordkitError(Exception):
    """Base of all errors that recordkit raises on purpose."""


class SettingsError(RecordkitError, ValueError):
    """An argument or a setting has a value that cannot be used.

    Fields: ``name`` of the setting, its ``value``, and the ``advice`` what would do.
    """

    def __init__(self, name: str, value: object, advice: str) -> None:
        super().__init__(f"{name}={discreet(repr(value))}: {advice}")
        self.name = name
        self.value = value
        self.advice = advice


class StateError(RecordkitError, RuntimeError):
    """A call came in a state that does not allow it.

    Fields: ``state`` as it is, ``wanted`` (what the call would have needed).
    """

    def __init__(self, state: str, wanted: str, advice: str) -> None:
        super().__init__(f"{advice} (state: {state}, needed: {wanted})")
        self.state = state
        self.wanted = wanted


class OutputError(RecordkitError):
    """Something is wrong with the recording's files. Field: ``path``."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class OutputNameError(OutputError, ValueError):
    """The output's name is not one that recordkit writes."""


class OutputExistsError(OutputError, FileExistsError):
    """The final name is taken, and overwriting was not asked for."""


class PartialExistsError(OutputError, FileExistsError):
    """An unfinished recording of this name lies in the folder. Field: ``partial``."""

    def __init__(self, path: Path, partial: Path) -> None:
        super().__init__(
            path,
            f"an unfinished recording lies in the way ({partial.name}), nothing of it has been touched: "
            f"finish it (recordkit recover {path.name}) or choose another name; "
            'on_partial="recover" does that by itself, on_partial="rename" moves it aside, "error" is this',
        )
        self.partial = partial


class OutputBusyError(OutputError):
    """Another recorder, in this process or another, is writing this recording."""


class StillRecordingError(OutputBusyError):
    """What was to be recovered or repaired is being recorded, or recovered, right now; it was not touched."""


class RecoveryError(OutputError):
    """A file cannot be recovered or repaired; the message says why, and nothing of it is lost."""


class OutputAccessError(OutputError, PermissionError):
    """The output's folder cannot be made or written to."""


class DiskSpaceError(OutputError):
    """There is too little room. Fields: ``needed_bytes``, ``free_bytes`` (None: not known)."""

    def __init__(self, path: Path, needed_bytes: int, free_bytes: int | None) -> None:
        has = "is full" if free_bytes is None else f"has {free_bytes:,}"
        super().__init__(
            path, f"needs {needed_bytes:,} bytes free to start, the disk {has}; make room or record elsewhere"
        )
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class WriteError(OutputError):
    """A write, sync or rename failed.

    While recording, what had been written stays as a partial, and what had not in its tail. Fields:
    ``offset`` in the main file (bytes), ``errno`` of the system's error.
    """

    def __init__(self, path: Path, offset: int, cause: OSError, doing: str) -> None:
        super().__init__(path, f"{doing} failed at byte {offset:,}: {cause.strerror or cause}")
        self.offset = offset
        self.errno = cause.errno

    def advise(self, advice: str) -> None:
        """Add to the message what can be done; who failed need not know."""
        self.args = (f"{self}; {advice}",)


class AdmissionError(RecordkitError):
    """The machine cannot carry one more recording; nothing is left of it.

    Fields: ``recording`` (its name), ``short`` ("memory", "file descriptors", "threads", "disk" or "processor"),
    and what is ``needed`` and ``available`` of it, in bytes, files or threads; None if that is not a number.
    """

    def __init__(self, recording: str, short: str, needed: int | None, available: int | None, message: str) -> None:
        # What the system refuses cannot be had all the same.
        refused = short == "threads" or (short == "memory" and available is None)
        forced = "" if refused else "; admission='off' (--no-admission) starts it all the same"
        super().__init__(f"{recording}: not started, for want of {short}: {message}{forced}")
        self.recording = recording
        self.short = short
        self.needed = needed
        self.available = available


class LogError(RecordkitError):
    """A log of flushes cannot be read. Field: ``path``."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class FleetError(RecordkitError):
    """What is to work on many files, this machine or a cluster, cannot be used. Field: ``engine`` (its name)."""

    def __init__(self, engine: str, message: str) -> None:
        super().__init__(f"{engine}: {message}")
        self.engine = engine


class WorkerError(RecordkitError):
    """The process that a session records in exited without a result; the partial recording is still on disk.

    Fields: ``path`` of the recording, ``signal`` that killed the process or None, its ``exit_code`` or None.
    """

    def __init__(self, path: Path, reason: str, signal: int | None = None, exit_code: int | None = None) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.signal = signal
        self.exit_code = exit_code


class SourceError(RecordkitError):
    """A source cannot be opened or read. Field: ``source`` (path, name, or URL without its secrets)."""

    def __init__(self, source: str, message: str) -> None:
        super().__init__(discreet(f"{source}: {message}"))
        self.source = discreet(source)


class TapError(SourceError):
    """The aiortc that is installed is not built as the tap on its receivers knows it.

    Fields: ``version`` of aiortc, ``missing`` (the name that is not there or is another thing).
    """

    def __init__(self, version: str, known: str, missing: str) -> None:
        super().__init__(
            f"aiortc {version}",
            f"{missing} is not what it was; the tap is known to work with aiortc {known}: install that one. "
            "Until then tracks are recorded by their decoded frames",
        )
        self.version = version
        self.missing = missing


class MediaError(RecordkitError):
    """Media that cannot be encoded or carried. Field: ``stream`` (its index, or None)."""

    def __init__(self, message: str, stream: int | None = None) -> None:
        super().__init__(message if stream is None else f"stream {stream}: {message}")
        self.stream = stream
