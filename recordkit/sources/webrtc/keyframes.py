"""When the sender of a video stream is asked for a keyframe: with its packets, and by the clock when none come."""

from __future__ import annotations

INTERVAL_S = 3.0
"""So long a stream goes on without a keyframe before one is asked for."""
RETRY_S = 0.5
"""A keyframe that is needed is asked for so often, as long as packets come."""
SILENT_S = 1.0
_FIRST_PATIENCE_S = 0.2
_NEEDS_NONE = frozenset({"vp8", "vp9", "av1"})
"""These are encoded anew, with keyframes of their own: to ask for them would only cost bandwidth."""


class KeyframeRequests:
    """Decides when to ask; ``count`` is how often that was. All times are on the arrivals' clock.

    ``is_wanted``, until one comes, says that somebody cannot go on without a keyframe. What lives and sends
    nothing, a shared screen on which nothing moves, is asked every ``INTERVAL_S``: the frame that comes of it
    shows what stands.
    """

    def __init__(self, now_s: float) -> None:
        self.count = 0
        self.is_wanted = False
        self._codec = ""
        self._packet_s = self._entry_s = now_s
        self._first_s: float | None = None
        self._request_s = float("-inf")

    def entry(self, now_s: float) -> None:
        """A keyframe that came at ``now_s`` is whole."""
        self._entry_s = now_s
        self.is_wanted = False

    def with_packet(self, now_s: float, codec: str, *, needs_entry: bool, has_units: bool) -> bool:
        """Whether to ask with this packet, which counts as asked; ``has_units`` says that frames came already."""
        self._packet_s, self._codec = now_s, codec
        if self._first_s is None:
            self._first_s = self._entry_s = now_s
        patience_s = 0.0 if has_units else _FIRST_PATIENCE_S
        is_due = ((needs_entry or self.is_wanted) and now_s - self._first_s >= patience_s) or (
            codec not in _NEEDS_NONE and now_s - max(self._entry_s, self._request_s) >= INTERVAL_S
        )
        if not is_due or now_s - self._request_s < RETRY_S:
            return False
        self.asked(now_s)
        return True

    def is_due(self, now_s: float, *, needs_entry: bool) -> bool:
        """Whether to ask now although no packet comes; ``asked`` says that it was done."""
        is_silent = now_s - self._packet_s >= SILENT_S
        is_of_use = needs_entry or self.is_wanted or self._codec not in _NEEDS_NONE
        return is_silent and is_of_use and now_s - max(self._entry_s, self._request_s) >= INTERVAL_S

    def asked(self, now_s: float) -> None:
        """The sender has been asked."""
        self._request_s = now_s
        self.count += 1
