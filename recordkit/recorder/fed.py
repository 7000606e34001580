"""What whoever feeds a recorder, or watches it, says to it: sources, sessions and panels, not a caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..encode.routing import Routing
from ..model import EncodedUnit, EventKind, Field
from ..telemetry.frames import Log
from ..telemetry.schema import Record
from .prelude import AllPlaced
from .standing import Standing


class Fed(Standing):
    """A recorder as those see it who feed it from a network or a device; none of this is in tab completion."""

    _ours = frozenset(
        {
            "of",
            "takes_together",
            "write_early",
            "gather",
            "hand_over",
            "note",
            "list_streams",
            "degrade",
            "restore",
            "received",
            "follow",
            "unfollow",
        }
    )

    _routing: Routing

    def list_streams(self, order: Sequence[int]) -> None:
        """Whoever feeds the recorder says in which order the file lists its streams: 0 video, 1 and on audio."""
        self._parts.list_streams(order)

    def note(self, kind: EventKind, **fields: Field) -> None:
        """Put an event of whoever feeds the recorder into the log.

        DEGRADED with ``part`` and ``because`` is as ``degrade``, RESTORED with ``part`` as ``restore``.
        """
        self._parts.note(kind, **fields)

    def degrade(self, part: str, because: str) -> None:
        """Whoever feeds the recorder tells that a part ("video", a track) does not work; the rest goes on.

        The state is ``degraded`` until ``restore`` takes it back.
        """
        self._parts.note.degrade(part, because)

    def restore(self, part: str) -> None:
        """The part works again."""
        self._parts.note.restore(part)

    def follow(self, follower: Callable[[Record], None], so_far: Callable[[Log], None]) -> None:
        """Call ``so_far`` with all that is known so far, then ``follower`` with each flush, sample and event.

        None comes twice and none is left out. Both are called by the recorder's threads, which wait for
        them: they must be quick, and must not call the recorder.
        """
        self._parts.instruments.follow(follower, so_far)

    def unfollow(self, follower: Callable[[Record], None]) -> None:
        """Call ``follower`` no more."""
        self._parts.instruments.unfollow(follower)

    def gather(self) -> None:
        """The recorder's thread is told of what is written from now on at ``hand_over``; see Intake."""
        self._parts.pages.is_wanted = True
        self._parts.intake.gather()

    def hand_over(self) -> None:
        """Let the recorder's thread know of what was written since ``gather``."""
        self._parts.intake.hand_over()

    def write_early(self, unit: EncodedUnit | None, stream: int = 0) -> bool:
        """A live source holds ``unit`` until its place is known: keep it safe until it comes by ``write_unit``.

        None says that all of them have come. Returns False if there is no room for more that waits. While it
        returns True what comes after that had better be kept safe as well: much may have to be laid before it.
        Raises MediaError as ``write_unit`` does.
        """
        if self.state.is_recording:
            if unit is None:
                self._parts.intake.put_marker(AllPlaced())
            else:
                self._parts.pipeline.early.put(unit, self._routing.unit(unit, stream).stream)
        return self._parts.pipeline.early.has_room
