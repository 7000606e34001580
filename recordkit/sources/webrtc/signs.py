"""Whether a sender lives though nothing comes of it: packets, reports and checks of consent are signs of life."""

from __future__ import annotations

from collections.abc import Callable

OUTAGE_S = 1.0
"""So long nothing of any stream has come when it is an outage."""
LIFELESS_S = 7.0
"""A sender of which no sign comes for so long does not live: consent is checked every 4 to 6 s (RFC 7675, 5.1)."""


class Signs:
    """The signs of life of one sender, all its streams together.

    A frame may stand as long as its sender likes: that is no outage while the sender lives. ``on_outage``
    is told when one begins. ``heard_s`` is when the last media packet came, ``sign_s`` the last sign of life; None
    before the first.
    """

    def __init__(self, on_outage: Callable[[], None] | None = None) -> None:
        self.heard_s: float | None = None
        self._on_outage = on_outage
        self._in_outage = False
        self.sign_s: float | None = None
        self._lifeless_s: float | None = None

    def heard(self, now_s: float) -> float:
        """A packet of any stream came.

        Returns the seconds of the pause that ends with it, if that is so long that it may be an outage, else 0. It
        was one if others are missing before the packet, or nothing lived (``was_lifeless``).
        """
        heard_s, self.heard_s = self.heard_s, now_s
        if heard_s is not None and now_s - heard_s < OUTAGE_S:  # as it mostly is
            self.sign_s, self._in_outage = now_s, False
            return 0.0
        self.lives(now_s)
        return 0.0 if heard_s is None else now_s - heard_s

    def lives(self, now_s: float) -> None:
        """The sender lives, though it may have nothing to show."""
        if self.sign_s is not None and now_s - self.sign_s >= LIFELESS_S:
            self._lifeless_s = now_s
        self.sign_s = now_s
        self._in_outage = False

    def was_lifeless(self, since_s: float) -> bool:
        """Whether for ``LIFELESS_S`` at a time there has been no sign of the sender since then."""
        return self._lifeless_s is not None and self._lifeless_s >= since_s

    def is_lifeless(self, now_s: float) -> bool:
        """Whether there has been no sign of the sender for ``LIFELESS_S`` now."""
        return self.sign_s is None or now_s - self.sign_s >= LIFELESS_S

    def poll(self, now_s: float) -> None:
        """See whether an outage begins."""
        sign_s = self.sign_s if self.heard_s is not None else None
        if sign_s is not None and not self._in_outage and now_s - sign_s >= OUTAGE_S:
            self._in_outage = True
            if self._on_outage is not None:
                self._on_outage()
