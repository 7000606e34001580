"""Whether a WHEP server still knows a session of which nothing comes."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import ClientConnectorError, ClientError, ClientSession, hdrs

log = logging.getLogger("recordkit.endpoint")

_LONGEST_ANSWER_S = 2.0
_GONE = (404, 410)
_LINES = ("m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:")


class SessionCheck:
    """Asks the resource ``at`` of a session that was offered by ``offer``.

    It is told that there are no more candidates (RFC 9725, 4.3.1; RFC 8840, 9), which changes nothing, and which
    each server answers in its own way. So it is asked once while it lives: only another answer later, one that
    there is no such session, is the session's end. So is a port at which nobody listens any more.
    """

    def __init__(self, http: ClientSession, at: str, headers: dict[str, str], offer: str) -> None:
        self._http = http
        self._at = at
        self._headers = headers | {hdrs.CONTENT_TYPE: "application/trickle-ice-sdpfrag"}
        self._fragment = no_more_candidates(offer)
        self._alive_status: int | None = None

    async def learn(self) -> None:
        """Ask while it lives."""
        try:
            self._alive_status = await self._status(_LONGEST_ANSWER_S)
        except (ClientError, OSError, TimeoutError) as error:
            log.debug("a WHEP server does not answer while its session lives: %s", type(error).__name__)

    async def fault(self, longest_s: float) -> str | None:
        """Ask again, for ``longest_s`` seconds at the most: why it has ended; None where that is not said."""
        try:
            status = await self._status(min(longest_s, _LONGEST_ANSWER_S))
        except ClientConnectorError as error:
            is_refused = isinstance(error.os_error, ConnectionRefusedError)
            return "nothing comes, and nobody listens at its address" if is_refused else None
        except (ClientError, OSError, TimeoutError):
            return None
        if status in _GONE and self._alive_status is not None and status != self._alive_status:
            return f"nothing comes, and the server does not know the session any more ({status})"
        return None

    async def _status(self, longest_s: float) -> int:
        async with asyncio.timeout(longest_s):
            asked = self._http.patch(self._at, data=self._fragment, headers=self._headers, allow_redirects=False)
            async with asked as response:
                return response.status


def no_more_candidates(offer: str) -> str:
    """The fragment that says so for the first media section of ``offer``, which carries all others."""
    lines = offer.splitlines()
    found = [next((line for line in lines if line.startswith(begin)), "") for begin in _LINES]
    return "\r\n".join([*filter(None, found), "a=end-of-candidates", ""])
