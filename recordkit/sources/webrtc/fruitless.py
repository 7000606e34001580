"""Packets that come without a frame, or with nothing but padding: told while it lasts, and why."""

from __future__ import annotations

from ...model import Received
from .assembly import Assembly

STUCK_S = 2.5
"""So long packets come without a unit before that is told."""
_PAUSE_S = 1.0
"""Once nothing has come for so long, nothing can come of it."""


class Fruitless:
    """Sees whether packets come and no unit of them; ``is_told`` says that this has been told.

    ``has_media`` is true once a packet with media in it has come. Before that padding counts, too; later it is what
    a sender fills its pauses with.
    """

    def __init__(self) -> None:
        self.is_told = False
        self.has_media = False
        self._is_untold = True
        self._since_s: float | None = None
        self._fed_s = 0.0
        self._gave = False

    def packet(self, now_s: float, *, is_padding: bool = False) -> None:
        """A packet with media in it came, or one without."""
        if is_padding and self.has_media:
            return
        if not is_padding and not self.has_media:
            # That something comes is another matter than that a frame comes of it.
            self.has_media, self._since_s, self._is_untold = True, None, True
        self._fed_s = now_s
        self._since_s = now_s if self._since_s is None else self._since_s

    def unit(self) -> bool:
        """A unit is whole; returns whether that ends what was told."""
        self._since_s, self._gave, self._is_untold = None, True, True
        was_told, self.is_told = self.is_told, False
        return was_told

    def is_due(self, now_s: float) -> bool:
        """Whether it has lasted so long that it is to be told now."""
        lasts = self._since_s is not None and now_s - self._since_s >= STUCK_S and now_s - self._fed_s < _PAUSE_S
        return self._tell(lasts and self._is_untold)

    def is_due_at_end(self) -> bool:
        """Whether nothing at all has come of the stream, which ends now."""
        return self._tell(self._since_s is not None and not self._gave)

    def _tell(self, is_due: bool) -> bool:
        self.is_told |= is_due
        self._is_untold &= not is_due
        return is_due


def reason(assembly: Assembly, counters: Received, *, has_media: bool = True) -> str:
    """Why no frame comes, in words."""
    if not has_media:
        return (
            f"{counters.packets} packets came, all of them padding without media: the sender is connected and "
            "sends nothing; see whether its camera or its track is muted"
        )
    if assembly.lacks_sets:
        return (
            f"{counters.dropped_units} frames came without parameter sets (SPS and PPS), and none are known, "
            "so that no decoder could start; let the sender repeat them before each keyframe"
        )
    if assembly.needs_entry:
        return (
            f"no keyframe came in spite of {counters.keyframe_requests} requests; {counters.dropped_units} "
            f"frames were left out, {counters.lost_packets} packets were lost"
        )
    return f"{counters.packets} packets came, and no whole frame"
