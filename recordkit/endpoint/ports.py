"""UDP ports of the media, where only some of them can be reached: in a container, behind a firewall.

aioice takes whatever ports the system has free. All that this needs of it beyond its public interface
stands here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import Any

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc import RTCPeerConnection

log = logging.getLogger("recordkit")

_BUFFER_BYTES = 1 << 20
"""What the system holds of a publisher that sends faster than the event loop reads for a moment."""


def keep_to(peer: RTCPeerConnection, ports: tuple[int, int]) -> None:
    """Let ``peer`` take media from the first to the last of ``ports`` alone; before it gathers candidates."""
    for transceiver in peer.getTransceivers():
        connection: Any = transceiver.receiver.transport.transport.iceGatherer._connection
        others = connection.get_component_candidates

        async def gathered(
            component: int,
            addresses: Sequence[str],
            timeout: int = 5,
            connection: Connection = connection,
            others: Any = others,  # noqa: ANN401 - a method of aioice's
        ) -> list[Candidate]:
            here = await _host_candidates(connection, component, addresses, ports)
            mapped = await _mapped(connection, here, timeout)
            relayed: list[Candidate] = await others(component, [], timeout)
            return [protocol.local_candidate for protocol in here] + mapped + relayed

        connection.get_component_candidates = gathered


async def _host_candidates(
    connection: Any,  # noqa: ANN401 - with its list of sockets
    component: int,
    addresses: Sequence[str],
    ports: tuple[int, int],
) -> list[StunProtocol]:
    found: list[StunProtocol] = []
    for address in addresses:
        bound = _bound(address, ports)
        if bound is None:
            continue
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: StunProtocol(connection), sock=bound
        )
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", address),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=address,
            port=bound.getsockname()[1],
            type="host",
        )
        found.append(protocol)
    connection._protocols += found
    return found


async def _mapped(connection: Connection, here: Sequence[StunProtocol], timeout_s: float) -> list[Candidate]:
    """What a STUN server sees of these sockets (RFC 8445, 5.1.1.2)."""
    if connection.stun_server is None:
        return []
    asked = [
        asyncio.create_task(server_reflexive_candidate(protocol, connection.stun_server))
        for protocol in here
        if ipaddress.ip_address(protocol.local_candidate.host).version == 4
    ]
    if not asked:
        return []
    done, late = await asyncio.wait(asked, timeout=timeout_s)
    for task in late:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]


def _bound(address: str, ports: tuple[int, int]) -> socket.socket | None:
    """A socket at the first port of ``ports`` that is free at ``address``; None if there is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in range(ports[0], ports[1] + 1):
        one = socket.socket(family, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            one.bind((address, port))
        except OSError:
            one.close()
            continue
        return one
    log.warning("No UDP port from %d to %d is free at %s", ports[0], ports[1], address)
    return None
