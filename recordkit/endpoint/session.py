"""One session with a WHEP server: the offer, its answer, and the end (draft-ietf-wish-whep, 4)."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urljoin, urlsplit

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, hdrs, web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError

from ..errors import SourceError
from ..sources.webrtc.description import trimmed
from . import dialect, negotiation
from .connection import Connection
from .present import Sink
from .session_check import SessionCheck
from .whep_settings import WhepSettings

log = logging.getLogger("recordkit.endpoint")

_MOST_REDIRECTS = 5
_MOST_ANSWER_BYTES = 256 * 1024
_MOST_SHOWN = 200
_LONGEST_GOODBYE_S, _SHORT_GOODBYE_S = 2.0, 0.5
_REDIRECTS = (307, 308)
_COUNTER_OFFER = 406
_KEPT = ("video/h264", "audio/opus")
_REFUSALS = {
    400: "does not understand the offer",
    401: "wants a token (--token, rk.Whep(token=...)), or does not take the one that it was shown",
    403: "does not take the token for this stream",
    404: "has no such stream, or nobody publishes to it",
    405: "is no WHEP server: it takes no POST",
    406: "does not take the offer, and makes none itself",
    409: "has no such stream now: nobody publishes to it",
    415: "is no WHEP server: it takes no SDP",
    429: "is asked too often",
}
_FAULTS = (*negotiation.PARSER_FAULTS, InvalidAccessError, InvalidStateError, OperationError)


class WhepSession:
    """A peer connection to the server of ``settings``, which ``sink`` takes the media of; on the event loop.

    ``over`` is set once it has ended, ``fault`` says why if that is a fault. ``check`` asks whether the server
    still knows the session, if it has told where.
    """

    def __init__(self, settings: WhepSettings, http: ClientSession, sink: Sink) -> None:
        self.over = asyncio.Event()
        self.fault: str | None = None
        self._settings = settings
        self._http = http
        self._sink = sink
        self._at: str | None = None
        self._shown: dict[str, str] = {}
        self.check: SessionCheck | None = None
        self._tracks: list[MediaStreamTrack] = []
        self._connected = asyncio.Event()
        self._peer = self._new_peer()

    async def begin(self) -> None:
        """Make the session, and be connected. Raises SourceError, which says why that fails."""
        settings, peer = self._settings, self._peer
        for kind, is_wanted in (("video", settings.video), ("audio", settings.audio)):
            if is_wanted:
                _prefer_kept(peer.addTransceiver(kind, direction="recvonly"))
        await peer.setLocalDescription(await peer.createOffer())
        try:
            async with asyncio.timeout(settings.connect_timeout):
                said, is_offer = await self._ask(dialect.with_one_fingerprint(peer.localDescription.sdp))
                await (self._take_offer(said) if is_offer else self._take_answer(said))
        except TimeoutError:
            raise self._error(f"does not answer within {settings.connect_timeout:g} s") from None
        except (ClientError, OSError, ValueError) as error:
            raise self._error(f"cannot be reached: {error}") from None
        if not self._tracks:
            raise self._error("sends neither video nor audio that was asked for")
        for track in self._tracks:
            track.on("ended", self._track_ended)
        await self._sink.start(self._peer, sorted(self._tracks, key=lambda track: track.kind != "video"))
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await self._connected.wait()
        except TimeoutError:
            self.fault = f"did not connect within {settings.connect_timeout:g} s: no datagram came through"
        if self.fault is not None:
            raise self._error(self.fault)

    async def end(self) -> None:
        """Take no more, and say goodbye."""
        await self._sink.stop()
        if (at := self._at) is not None:
            try:
                # Who does not answer any more is not waited for: it is asked anew.
                async with asyncio.timeout(_LONGEST_GOODBYE_S if self.fault is None else _SHORT_GOODBYE_S):
                    await self._http.delete(at, headers=self._headers(at))
            except (ClientError, OSError, TimeoutError) as error:
                log.debug("%s: was not told of the end: %s", self._settings.name, error)
        try:
            async with asyncio.timeout(_LONGEST_GOODBYE_S):
                await self._peer.close()
        except TimeoutError:
            log.warning("%s: its connection did not close within %g s", self._settings.name, _LONGEST_GOODBYE_S)

    def _new_peer(self) -> RTCPeerConnection:
        peer = RTCPeerConnection(negotiation.ice_configuration(self._settings.ice_servers))
        peer.on("track", self._tracks.append)
        peer.on("connectionstatechange", self._changed)
        return peer

    async def _take_answer(self, answer: str) -> None:
        Connection(self._peer, None)  # takes certificates of all kinds
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        except _FAULTS as error:
            raise self._error(f"gives an answer that cannot be taken: {error or type(error).__name__}") from error

    async def _take_offer(self, offer: str) -> None:
        """Answer what the server offers in the place of an answer; aiortc needs another connection for that."""
        settings, before, at = self._settings, self._peer, self._at
        if at is None:
            raise self._error("makes an offer, and does not say where its answer is to go (Location)")
        before.remove_all_listeners()
        self._tracks.clear()
        peer = self._peer = self._new_peer()
        await before.close()
        try:
            await negotiation.accept(peer, negotiation.read_offer(offer), offer)
            for transceiver in peer.getTransceivers():
                if not getattr(settings, transceiver.kind):
                    transceiver.direction = "inactive"
                    self._tracks[:] = [track for track in self._tracks if track.kind != transceiver.kind]
            Connection(peer, None)
            answer = await negotiation.answer(peer, offer)
        except web.HTTPException as fault:
            words = " ".join((fault.text or fault.reason).split())
            raise self._error(f"makes an offer that cannot be taken: {words}") from fault
        headers = self._shown | {hdrs.CONTENT_TYPE: "application/sdp"}
        async with self._http.patch(at, data=answer, headers=headers, allow_redirects=False) as response:
            if not response.ok:
                said = _said(response.status, await _body(response))
                raise self._error(f"does not take the answer to its own offer {said}")
        self.check = SessionCheck(self._http, at, self._shown, answer)

    async def _ask(self, offer: str) -> tuple[str, bool]:
        """What the server says to ``offer``, and whether that is an offer of its own."""
        url = self._settings.url
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {hdrs.CONTENT_TYPE: "application/sdp", hdrs.ACCEPT: "application/sdp"}
            async with self._http.post(
                url, data=offer, headers=headers | self._headers(url), allow_redirects=False
            ) as response:
                if response.status in _REDIRECTS and hdrs.LOCATION in response.headers:
                    url = urljoin(url, response.headers[hdrs.LOCATION])
                    if urlsplit(url).scheme not in ("http", "https"):
                        raise self._error("redirects to what is neither http nor https")
                    continue
                text = await _body(response)
                is_offer = response.status == _COUNTER_OFFER and text.startswith("v=0")
                if response.status not in (200, 201) and not is_offer:
                    raise self._error(_refusal(response.status, text))
                if not text.startswith("v=0"):
                    raise self._error("is no WHEP server: its answer is no SDP")
                location = response.headers.get(hdrs.LOCATION)
                if location is not None:
                    self._at = at = urljoin(url, location)
                    etag = response.headers.get(hdrs.ETAG)
                    shown: dict[str, str] = {} if etag is None else {hdrs.IF_MATCH: etag}
                    self._shown = self._headers(at) | shown
                    self.check = SessionCheck(self._http, at, self._shown, offer)
                return trimmed(text), is_offer
        raise self._error(f"redirects more than {_MOST_REDIRECTS} times")

    def _headers(self, url: str) -> dict[str, str]:
        """The token is for the server that was named, and for no other."""
        token = self._settings.token
        is_same = urlsplit(url)[:2] == urlsplit(self._settings.url)[:2]
        return {hdrs.AUTHORIZATION: f"Bearer {token}"} if token is not None and is_same else {}

    def _error(self, because: str) -> SourceError:
        return SourceError(self._settings.name, because)

    def _changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            if not self._connected.is_set():
                self.fault = "did not connect: no datagram came through, or the handshake failed"
            elif state == "failed":
                self.fault = "does not answer any more"
            self._connected.set()
            self.over.set()

    def _track_ended(self) -> None:
        if all(track.readyState == "ended" for track in self._tracks):
            self.over.set()


def _prefer_kept(transceiver: RTCRtpTransceiver) -> None:
    """Ask for what is stored as it comes first; the server chooses (RFC 3264, 6.1)."""
    known = RTCRtpReceiver.getCapabilities(transceiver.kind)
    codecs = [] if known is None else known.codecs
    transceiver.setCodecPreferences(sorted(codecs, key=lambda one: one.mimeType.lower() not in _KEPT))


async def _body(response: ClientResponse) -> str:
    data = await response.content.read(_MOST_ANSWER_BYTES)
    while len(data) < _MOST_ANSWER_BYTES and (more := await response.content.read(_MOST_ANSWER_BYTES - len(data))):
        data += more
    return data.decode("utf-8", "replace")


def _refusal(status: int, text: str) -> str:
    words = _REFUSALS.get(status, "is in trouble" if status >= 500 else "refuses the offer")
    return f"{words} {_said(status, text)}"


def _said(status: int, text: str) -> str:
    said = " ".join(text.split())[:_MOST_SHOWN]
    return f"({status}{f': {said}' if said else ''})"


def http_client() -> ClientSession:
    """What the sessions of one source speak HTTP with."""
    return ClientSession(timeout=ClientTimeout(total=None))
