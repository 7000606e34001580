"""Media at chosen ports, and at an address that is announced."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest

from recordkit.endpoint.settings import WhipSettings
from recordkit.errors import SettingsError

from .rig import SDP, CountingDesk, an_offer, new_peer, offer_of, publish, running

FIRST = 42100


def candidates(sdp: str) -> list[tuple[str, int]]:
    return [
        (host, int(port)) for host, port in re.findall(r"a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ host", sdp)
    ]


def test_each_publisher_gets_a_port_of_the_range_and_connects_there() -> None:
    async def scene() -> None:
        async with running(CountingDesk(), media_ports=(FIRST, FIRST + 1)) as (endpoint, client):
            peers = [new_peer(), new_peer()]
            for peer in peers:
                await publish(endpoint, client, peer)
            told = [candidates(peer.remoteDescription.sdp.split("m=")[1]) for peer in peers]
            assert [{port for _, port in one} for one in told] == [{FIRST}, {FIRST + 1}]
            # All are taken: that is said, and nothing is left behind.
            async with client.post("/whip/talk", data=await an_offer(), headers=SDP) as response:
                assert response.status == 503
                assert "media_ports" in await response.text()
            assert len(endpoint.publishers) == 2
            for peer in peers:
                await peer.close()

    asyncio.run(scene())


def test_a_port_that_is_in_use_is_passed_over() -> None:
    async def scene() -> set[int]:
        offer = await an_offer()
        async with (
            running(CountingDesk(), media_ports=(FIRST + 10, FIRST + 12)) as (_, client),
            client.post("/whip/talk", data=offer, headers=SDP) as response,
        ):
            return {port for _, port in candidates(await response.text())}

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", FIRST + 10))  # noqa: S104 - every address of this machine
        assert FIRST + 11 in asyncio.run(scene())


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_an_announced_address_stands_beside_this_machines_own(address: str) -> None:
    async def scene() -> str:
        async with running(CountingDesk(), announced_address=address) as (_, client):
            peer = new_peer()
            async with client.post("/whip/talk", data=await offer_of(peer), headers=SDP) as response:
                text = await response.text()
            await peer.close()
            return text

    section = asyncio.run(scene()).split("m=")[1]
    found = candidates(section)
    own = [(host, port) for host, port in found if host != address and (":" in host) == (":" in address)]
    assert [(host, port) for host, port in found if host == address] == [(address, port) for _, port in own]
    foundations = re.findall(r"a=candidate:(\S+)", section)
    assert len(set(foundations)) == len(foundations)


@pytest.mark.parametrize("ports", [5, (1,), (0, 5), (5, 4), (1, 70_000), ("1", "2"), (1, 2, 3)])
def test_ports_that_are_no_range_are_refused(ports: object) -> None:
    with pytest.raises(SettingsError, match="first and the last"):
        WhipSettings(media_ports=ports)  # type: ignore[arg-type]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="IP address"):
        WhipSettings(announced_address="host.example")
