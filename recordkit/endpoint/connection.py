"""Why a publisher's connection did not come about, in words that say what to do.

aiortc says "failed" and nothing more. ICE and DTLS fail for different reasons, with different remedies:
where no datagram comes through, ports have to be opened; where the handshake fails, the certificate or
the suites do not fit, and OpenSSL has said what the other side said.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import RTCDtlsTransport, RTCPeerConnection
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import Certificate
from OpenSSL import SSL

_HANDSHAKE = "_do_handshake"
_CERTIFICATE = "_RTCDtlsTransport__local_certificate"
_SUITES = b":".join(
    f"ECDHE-{kind}-{suite}".encode()
    for suite in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
    for kind in ("ECDSA", "RSA")
)
"""What aiortc offers for publishers with an ECDSA certificate, for those with an RSA one too."""
_SHOWN_CANDIDATES = 4
_ADVICE = "Give the publisher an ECDSA P-256 certificate (FFmpeg: the options cert_file and key_file)"
_DOUBTS = ("unknown ca", "bad certificate", "certificate unknown")
_DOUBTED = "It does not take this endpoint's certificate for the one of the answer's a=fingerprint; publish again"
BEFORE_HANDSHAKE_S = 0.05
"""So long the handshake waits once ICE is through. libdatachannel, by which OBS Studio publishes, connects in one
thread while another one still reads the answer: with a certificate that comes at once it has no fingerprint to
compare yet, and gives up."""


class Connection:
    """Watches how the transport of ``peer`` comes about; made once the offer is taken.

    All media of a publisher are bundled in one transport.
    """

    def __init__(self, peer: RTCPeerConnection, media_ports: tuple[int, int] | None) -> None:
        self._ports = media_ports
        transceivers = peer.getTransceivers()
        self._transport: RTCDtlsTransport | None = transceivers[0].receiver.transport if transceivers else None
        self._heard = ""
        # Only the words are poorer if aiortc has no such method any more.
        if callable(getattr(self._transport, _HANDSHAKE, None)):
            self._listen(self._transport)
            _accept_more(getattr(self._transport, _CERTIFICATE, None))

    @property
    def fault(self) -> str:
        """Why there is no connection, and what to do about it."""
        transport = self._transport
        if transport is None:
            return "the connection was closed"
        if transport.state == "new":
            return f"no datagram came through between {self._candidates(transport)}. {self._to_open}"
        if self._heard:
            return f"DTLS failed: {self._heard}"
        if transport.state == "failed":
            return (
                "DTLS failed: the publisher's certificate is not the one that its offer names (a=fingerprint), "
                "or it has no SRTP profile in common with this endpoint"
            )
        return "DTLS failed: the publisher does not answer the handshake"

    @property
    def _to_open(self) -> str:
        if self._ports is None:
            ports = "set media_ports, and let these UDP ports"
        else:
            ports = f"let UDP ports {self._ports[0]} to {self._ports[1]}"
        return (
            f"In a container or behind a firewall {ports} through to this machine; if publishers reach it by "
            "another address, set announced_address; or give ice_servers with a TURN server"
        )

    @staticmethod
    def _candidates(transport: RTCDtlsTransport) -> str:
        ice = transport.transport
        here = _addresses(ice.iceGatherer.getLocalCandidates())
        there = _addresses(ice.getRemoteCandidates())
        return f"the publisher (UDP {there}) and this endpoint (UDP {here})"

    def _listen(self, transport: Any) -> None:  # noqa: ANN401 - untyped over there
        handshake = getattr(transport, _HANDSHAKE)

        async def listened() -> None:
            ssl = transport._ssl
            transport._ssl = _Listened(ssl, self)
            try:
                await asyncio.sleep(BEFORE_HANDSHAKE_S)
                await handshake()
            finally:
                transport._ssl = ssl

        setattr(transport, _HANDSHAKE, listened)

    def heard(self, words: str) -> None:
        """The handshake has failed."""
        self._heard = words


def _accept_more(certificate: Any) -> None:  # noqa: ANN401 - untyped over there
    """Let the handshake succeed with publishers' RSA certificates, too.

    A publisher that says a=setup:passive leaves no choice of the role: then this side is the client, whose
    suites the publisher's certificate must fit, and aiortc names those for ECDSA alone.
    """
    made = getattr(certificate, "_create_ssl_context", None)
    if not callable(made):
        return

    def wider(*arguments: Any, **named: Any) -> SSL.Context:  # noqa: ANN401 - aiortc's own
        context: SSL.Context = made(*arguments, **named)
        context.set_cipher_list(_SUITES)
        return context

    certificate._create_ssl_context = wider


class _Listened:
    """OpenSSL's connection during the handshake: what it raises is told."""

    def __init__(self, ssl: SSL.Connection, connection: Connection) -> None:
        self._ssl = ssl
        self._connection = connection
        self._said: SSL.Error | None = None

    def do_handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError):
            raise
        except SSL.Error as error:
            said = self._said if self._said is not None and not any(error.args) else error
            self._connection.heard(_words(said, self._ssl.get_peer_certificate(as_cryptography=True)))
            raise

    def recv(self, size: int) -> bytes:
        """What aiortc reads with each datagram: an alert is told of here, and not by ``do_handshake`` any more."""
        try:
            return self._ssl.recv(size)
        except (SSL.WantReadError, SSL.WantWriteError, SSL.ZeroReturnError):
            raise
        except SSL.Error as error:
            self._said = error
            raise

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as it has it
        return getattr(self._ssl, name)


def _words(error: SSL.Error, certificate: Certificate | None) -> str:
    """What OpenSSL says, and what may help."""
    if isinstance(error, SSL.ZeroReturnError):
        return "the publisher closed the connection in the middle of the handshake"
    told = error.args[0] if error.args and isinstance(error.args[0], list) else []
    said = "; ".join(str(one[-1]) for one in told if one)
    if "alert" in said:
        advice = _DOUBTED if any(words in said for words in _DOUBTS) else _ADVICE
        return f"the publisher refused the handshake ({said}). {advice}"
    # OpenSSL's words are lost at times; the certificate is there all the same.
    kind = "" if certificate is None else f" at the publisher's certificate, {_key(certificate)}"
    return f"the handshake broke off{kind}{f' ({said})' if said else ''}. {_ADVICE}"


def _key(certificate: Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "whose key has an unknown kind"
    if isinstance(key, EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return f"RSA {key.key_size}" if isinstance(key, RSAPublicKey) else type(key).__name__


def _addresses(candidates: list[Any]) -> str:
    found = list(dict.fromkeys(f"{one.ip}:{one.port}" for one in candidates))
    more = f" and {len(found) - _SHOWN_CANDIDATES} more" if len(found) > _SHOWN_CANDIDATES else ""
    return (", ".join(found[:_SHOWN_CANDIDATES]) + more) or "no address"
