"""All that receiving past aiortc's tasks needs of aiortc, aioice and pylibsrtp beyond their public interfaces.

Each name is looked at before anything is changed. If one is not as expected TapError is raised, and packets are
heard behind aiortc's own handling.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from aiortc import RTCDtlsTransport, RTCRtpReceiver
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from .internals import changed, private
from .rtp_header import Numbers

_DTLS = "_RTCDtlsTransport__"
_RECEIVER = "_RTCRtpReceiver__"
_STATISTICS = (
    "base_seq",
    "max_seq",
    "cycles",
    "packets_received",
    "_clockrate",
    "_jitter_q4",
    "_last_arrival",
    "_last_timestamp",
)


class TransportParts:
    """What is needed of a DTLS transport and the ICE transport under it; raises TapError if it is not there."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        self.connection = private(dtls.transport, "_connection", lambda one: _has(one, "_nominated", dict))
        self.taken = private(self.connection, "data_received", callable)
        """aioice's own: what it is given goes through its queue to aiortc's task."""
        self.waiting = private(self.connection, "_queue", _is(asyncio.Queue))
        """Where that waits for the task."""
        router = private(dtls, "_rtp_router", lambda one: _has(one, "ssrc_table", dict))
        self.receiver_by_ssrc: dict[int, Any] = router.ssrc_table
        self.receivers_by_type: dict[int, set[Any]] = private(router, "payload_type_table", _is(dict))
        self._senders: dict[int, Any] = private(router, "senders", _is(dict))
        self._dtls = dtls
        for name in ("_rx_srtp", "_data_receiver"):
            if name not in vars(dtls):
                raise changed(f"RTCDtlsTransport.{name}")
        for name in ("rx_bytes", "rx_packets"):
            private(dtls, _DTLS + name, _is(int))
        self._numbers()

    @property
    def session(self) -> Any:  # noqa: ANN401 - pylibsrtp's
        """The SRTP session by which packets are decrypted; None before the DTLS handshake is over."""
        return self._dtls._rx_srtp

    @property
    def numbers(self) -> Numbers:
        """Those of the header extensions that matter here."""
        return self._numbers()

    def count(self, packets: int, size: int) -> None:
        """Let the transport's statistics know of datagrams that it has not seen."""
        for name, more in (("rx_packets", packets), ("rx_bytes", size)):
            setattr(self._dtls, _DTLS + name, getattr(self._dtls, _DTLS + name) + more)

    @property
    def is_asking(self) -> bool:
        """Whether aioice waits for the answer to a check."""
        return any(getattr(one, "transactions", None) for one in self.protocols())

    @property
    def is_two_way(self) -> bool:
        """Whether media or data are sent by it, too."""
        return bool(self._senders) or self._dtls._data_receiver is not None

    def protocols(self) -> list[Any]:
        """Those of aioice that datagrams come by."""
        return list(getattr(self.connection, "_protocols", ()))

    def _numbers(self) -> Numbers:
        there: Any = private(self._dtls, "_rtp_header_extensions_map", lambda one: one is not None)
        own = getattr(there, "aiortcs", there)
        ids = private(own, "_HeaderExtensionsMap__ids", lambda one: hasattr(one, "abs_send_time"))
        return Numbers(ids.abs_send_time, getattr(there, "number", None))


class ReceiverParts:
    """What is needed of a receiver; raises TapError if it is not there."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.receiver = receiver
        self.codecs: dict[int, Any] = private(receiver, _RECEIVER + "codecs", _is(dict))
        self.sources: dict[int, Any] = private(receiver, _RECEIVER + "remote_streams", _is(dict))
        self.active: dict[int, Any] = private(receiver, _RECEIVER + "active_ssrc", _is(dict))
        self.retransmitting: dict[int, int] = private(receiver, _RECEIVER + "rtx_ssrc", _is(dict))
        is_video = receiver.track.kind == "video"
        self.nack = private(receiver, _RECEIVER + "nack_generator", _fits(is_video, "add", "max_seq", "missing"))
        self.estimator = private(receiver, _RECEIVER + "remote_bitrate_estimator", _fits(is_video, "add"))
        self.send_nack: Callable[[int, list[int]], Any] = private(receiver, "_send_rtcp_nack", callable)
        self.send_pli: Callable[[int], Any] = private(receiver, "_send_rtcp_pli", callable)
        self._send = private(receiver, "_send_rtcp", callable)
        private(receiver, "_enabled", _is(bool))
        if _RECEIVER + "rtcp_ssrc" not in vars(receiver):
            raise changed("RTCRtpReceiver.rtcp_ssrc")

    @property
    def takes_media(self) -> bool:
        """Whether it takes media, and nobody has put a handler of their own in the place of aiortc's to see it."""
        receiver = self.receiver
        return bool(receiver._enabled) and "_handle_rtp_packet" not in receiver.__dict__

    def statistics(self, ssrc: int) -> Any | None:  # noqa: ANN401 - aiortc's
        """Those of a source, which aiortc has made with its first packet; None if they are not as expected."""
        found = self.sources.get(ssrc)
        return found if all(hasattr(found, name) for name in _STATISTICS) else None

    async def send_estimate(self, bit_rate: int, sources: list[int]) -> None:
        """Tell the sender what the way here can take (REMB), in bits a second, for these sources."""
        ssrc = getattr(self.receiver, _RECEIVER + "rtcp_ssrc")
        if ssrc is not None:
            fci = pack_remb_fci(bit_rate, sources)
            await self._send(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=ssrc, media_ssrc=0, fci=fci))


class Srtp:
    """libsrtp's own call, in place and without a copy (pylibsrtp makes three of each packet).

    Raises TapError if pylibsrtp is not as expected.
    """

    def __init__(self, size: int) -> None:
        try:
            binding = importlib.import_module("pylibsrtp._binding")
            ffi, self._unprotect = binding.ffi, binding.lib.srtp_unprotect
        except (ImportError, AttributeError) as error:
            raise changed("pylibsrtp's srtp_unprotect") from error
        self._bytes = ffi.new("char[]", size)
        self._size = ffi.new("int *")
        self._session: Any = None
        self._context: Any = None
        self.buffer = memoryview(ffi.buffer(self._bytes)).cast("B")

    @staticmethod
    def fits(session: Any) -> bool:  # noqa: ANN401 - pylibsrtp's
        """Whether ``session`` is one that ``unprotect`` can be given."""
        return getattr(session, "_srtp", None) is not None

    def unprotect(self, session: Any, size: int) -> int:  # noqa: ANN401 - pylibsrtp's
        """Decrypt the packet of ``size`` bytes in ``buffer``; returns its size then, 0 if it is not authentic."""
        if session is not self._session:
            self._session, self._context = session, session._srtp[0]
        length = self._size
        length[0] = size
        return 0 if self._unprotect(self._context, self._bytes, length) else int(length[0])


class SocketParts:
    """A socket of aioice's in asyncio's loop, which is read by ``read`` in place of asyncio's own reader.

    Raises TapError if it is none: of another loop, or of a relay.
    """

    def __init__(self, protocol: Any) -> None:  # noqa: ANN401 - aioice's
        self.protocol = protocol
        self.received: Callable[[bytes, Any], None] = private(protocol, "datagram_received", callable)
        self.failed: Callable[[OSError], None] = private(protocol, "error_received", callable)
        self._transport = private(protocol, "transport", lambda one: hasattr(one, "_read_ready"))
        self.socket = private(self._transport, "_sock", lambda one: hasattr(one, "recvmsg_into"))
        loop = asyncio.get_running_loop()
        self._add_reader = private(loop, "_add_reader", callable)
        self._remove_reader = private(loop, "_remove_reader", callable)
        private(self._transport, "_conn_lost", _is(int))

    @property
    def is_closed(self) -> bool:
        """Whether the socket has been closed, or is about to be."""
        return bool(self._transport.is_closing() or self._transport._conn_lost)

    def read_by(self, read: Callable[[], None]) -> None:
        """Call ``read`` whenever something can be read. Closing the transport ends that."""
        self._add_reader(self.socket.fileno(), read)

    def read_no_more(self) -> None:
        """Call nobody until ``read_by`` is called again."""
        self._remove_reader(self.socket.fileno())


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _has(owner: object, name: str, kind: type) -> bool:
    return isinstance(getattr(owner, name, None), kind)


def _fits(is_there: bool, *names: str) -> Callable[[Any], bool]:
    return lambda value: all(hasattr(value, name) for name in names) if is_there else value is None
