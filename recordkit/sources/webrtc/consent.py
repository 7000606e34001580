"""Checks of consent (RFC 7675) as signs of life: a peer that sends neither media nor reports asks on and on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiortc import RTCRtpReceiver

log = logging.getLogger("recordkit")


def on_consent_check(receiver: RTCRtpReceiver, checked: Callable[[object], None]) -> None:
    """Call ``checked`` with each STUN request that comes for the connection that ``receiver`` belongs to.

    Where aioice is not built as expected nothing is changed: then a sender is known to live by its reports alone.
    """
    connection = getattr(getattr(getattr(receiver, "transport", None), "transport", None), "_connection", None)
    request_received = getattr(connection, "request_received", None)
    if not callable(request_received):
        log.debug("aioice has no Connection.request_received any more: checks of consent are no signs of life")
        return

    def received(message: object, *arguments: object, **named: object) -> None:
        checked(message)
        request_received(message, *arguments, **named)

    setattr(connection, "request_received", received)  # noqa: B010 - not its own
