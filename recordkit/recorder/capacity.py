"""What the machine, and the limits this process runs under, have left for one more recording."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import psutil

from ..telemetry.process import measured

_V1_LIMIT_NONE = 1 << 60
"""A control group of version 1 without a limit tells a number of about 2 to the 63rd."""


class Capacity:
    """Reads from the system; where it does not tell, None. ``root`` is where /proc and /sys are looked for."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def memory_bytes(self) -> int | None:
        """Memory that can still be had: the machine's, or that of a control group this process is in."""
        machine = measured(psutil.virtual_memory)
        limits = [limit - used for limit, used in self._groups()]
        limits += [] if machine is None else [machine.available]
        return max(0, min(limits)) if limits else None

    def total_memory_bytes(self) -> int | None:
        """The machine's memory, or the least limit of a control group."""
        machine = measured(psutil.virtual_memory)
        limits = [limit for limit, _ in self._groups()]
        limits += [] if machine is None else [machine.total]
        return int(min(limits)) if limits else None

    def descriptors(self) -> int | None:
        """Files that this process may still open (RLIMIT_NOFILE, the soft limit)."""
        if sys.platform == "win32":
            return None
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            return None
        try:
            return max(0, int(limit) - len(os.listdir(self._root / "proc/self/fd")))  # noqa: PTH208
        except OSError as error:
            return 0 if error.errno in (errno.EMFILE, errno.ENFILE) else None

    def _groups(self) -> list[tuple[int, int]]:
        """The limit of each control group around this process, and what of it cannot be freed at once.

        Pages of files that nobody has used for a while count as used by the group, and are freed
        when memory is wanted: they are what a recording itself leaves there.
        """
        try:
            lines = (self._root / "proc/self/cgroup").read_text("ascii", "replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if not controllers:  # version 2
                found += self._upwards("sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                found += self._upwards(
                    "sys/fs/cgroup/memory",
                    path,
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                )
        return found

    def _upwards(self, mount: str, path: str, limit: str, usage: str, freed: str) -> list[tuple[int, int]]:
        base = self._root / mount
        parts = [part for part in path.split("/") if part not in ("", "..")]
        found = []
        # In a container the path is that of the host: the group itself is what is mounted then.
        for count in range(len(parts), -1, -1):
            group = base.joinpath(*parts[:count])
            most, used = _number(group / limit), _number(group / usage)
            if most is not None and used is not None and most < _V1_LIMIT_NONE:
                found.append((most, max(0, used - _line(group / "memory.stat", freed))))
        return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # ValueError: "max"
        return None


def _line(path: Path, name: str) -> int:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((int(value) for key, _, value in (line.partition(" ") for line in lines) if key == name), 0)
