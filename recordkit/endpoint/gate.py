"""Who may come in, and how often: tokens, origins, host names, requests a second."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict

from aiohttp import hdrs, web

from ..system import Clock
from .addresses import share_of
from .settings import LOOPBACK_NAMES, WhipSettings

_BURST = 40.0
_PER_SECOND = 5.0
_MOST_ADDRESSES = 4096


class RateLimit:
    """Lets each address do ``burst`` things at once and ``per_second`` in the long run; of IPv6 each /64.

    What it remembers is bounded: of the addresses those heard of longest ago are forgotten.
    """

    def __init__(self, clock: Clock, burst: float = _BURST, per_second: float = _PER_SECOND) -> None:
        self._clock = clock
        self._burst = burst
        self._per_second = per_second
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Count one thing; returns 0.0 if it may be done, else after how many seconds it may."""
        address = share_of(address)
        now_s = self._clock.monotonic()
        left, at_s = self._left.pop(address, (self._burst, now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_second)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[address] = (left if wait_s else left - 1, now_s)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return wait_s


class Gate:
    """Judges requests by the endpoint's settings; each method raises the HTTPException that refuses."""

    def __init__(self, settings: WhipSettings, token: str | None, clock: Clock) -> None:
        self._settings = settings
        self._token = token
        self._limit = RateLimit(clock)

    @property
    def needs_token(self) -> bool:
        """Whether publishers must show a token."""
        return self._token is not None

    def slow_down(self, request: web.Request) -> None:
        """Refuse who asks too often (RFC 6585, section 4)."""
        wait_s = self._limit.take(request.remote or "")
        if wait_s:
            raise web.HTTPTooManyRequests(
                text="Too many requests from this address.\n", headers={hdrs.RETRY_AFTER: str(int(wait_s) + 1)}
            )

    def publisher(self, request: web.Request) -> None:
        """Refuse who has no business with the WHIP resources."""
        if self._token is None:
            self._local_name(request)
        elif not self._matches(_bearer(request)):
            self.slow_down(request)
            raise web.HTTPUnauthorized(
                text="Show the token: Authorization: Bearer TOKEN.\n",
                headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="recordkit"'},
            )

    def viewer(self, request: web.Request) -> None:
        """Refuse who may not see the pages: where there is a token it is needed, as a password to browsers.

        From this machine, too: a proxy on it passes others on, often under the name localhost.
        """
        if self._token is None:
            self._local_name(request)
        elif not (self._matches(_bearer(request)) or self._matches(_password(request))):
            self.slow_down(request)
            raise web.HTTPUnauthorized(
                text="Show the token as the password.\n",
                headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="recordkit", charset="UTF-8"'},
            )

    def _matches(self, shown: str | None) -> bool:
        if shown is None or self._token is None:
            return False
        # aiohttp keeps bytes of a header that are no UTF-8 as surrogates.
        return hmac.compare_digest(shown.encode(errors="surrogateescape"), self._token.encode())

    def _local_name(self, request: web.Request) -> None:
        # A page from elsewhere can have its own name lead to 127.0.0.1 (DNS rebinding); its browser
        # then takes this for the page's own server. The name it asks for gives it away.
        if _host_name(request) not in LOOPBACK_NAMES:
            raise web.HTTPForbidden(
                text="Without a token only requests to localhost or 127.0.0.1 are answered: set a token.\n"
            )

    def cross_origin(self, request: web.Request) -> dict[str, str]:
        """The headers that let a page of an allowed origin read the response; none for all others.

        It may publish. What is recorded here is not for its eyes.
        """
        origin = request.headers.get(hdrs.ORIGIN) if request.path.startswith("/whip/") else None
        allowed = self._settings.allowed_origins
        if origin is None or not ("*" in allowed or origin in allowed):
            return {}
        headers: dict[str, str] = {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*" if "*" in allowed else origin,
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Location, Retry-After",
            hdrs.VARY: "Origin",
        }
        if request.method == hdrs.METH_OPTIONS:
            # What is not allowed here never leaves the browser, and its page learns nothing: PATCH, with the
            # If-Match of trickle ICE (RFC 9725, 4.3.1), has to come so far as to be refused in words.
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "POST, DELETE, PATCH, OPTIONS"
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "Authorization, Content-Type, If-Match"
            headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return headers


def _host_name(request: web.Request) -> str:
    name, colon, port = request.host.rpartition(":")
    return (name if colon and port.isdecimal() else request.host).lower()


def _bearer(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _password(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return None
