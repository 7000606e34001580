"""The bad network: each fault by itself without a clock, then all of them between real peers."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from recordkit.errors import SettingsError
from recordkit.sources.synthetic import Synthetic
from recordkit.sources.webrtc.network import Link, Network, NetworkFaults, Traffic
from recordkit.sources.webrtc.peers import connected_peers
from recordkit.sources.webrtc.tracks import SyntheticMedia
from tests.steering import GUARD_S

MANY = 5000
STEP_S = 0.001


def routed(link, count=MANY, traffic=Traffic.VIDEO):
    """When each of ``count`` packets came out, one going in each millisecond."""
    return [link.route(traffic, number * STEP_S) for number in range(count)]


def orders(outcomes):
    """The numbers of the packets in the order in which they came out."""
    arrivals = [(out_s, number) for number, times in enumerate(outcomes) for out_s in times]
    return [number for _, number in sorted(arrivals)]


def assert_balanced(counts):
    for traffic, one in counts.items():
        ends = one.delivered + one.lost + one.in_outage + one.overflowed + one.waiting
        assert one.sent + one.duplicated == ends, traffic


def test_a_good_network_lets_everything_through_at_once():
    assert not NetworkFaults().any
    assert routed(Link(NetworkFaults(), 1), 3) == [(0.0,), (STEP_S,), (2 * STEP_S,)]


def test_loss_is_the_share_that_was_asked_for_and_follows_the_seed_alone():
    faults = NetworkFaults(loss=0.03)
    one, same, other = (routed(Link(faults, seed)) for seed in (7, 7, 8))
    assert one == same != other
    lost = [number for number, times in enumerate(one) if not times]
    assert 0.02 * MANY < len(lost) < 0.04 * MANY


def test_the_fate_of_the_nth_picture_packet_does_not_hang_on_the_sound_between():
    faults = NetworkFaults(loss=0.1, reordering=0.1, duplication=0.1)
    alone, mixed = Link(faults, 3), Link(faults, 3)
    plain = routed(alone, 500)
    among = []
    for number in range(500):
        mixed.route(Traffic.AUDIO, number * STEP_S)
        among.append(mixed.route(Traffic.VIDEO, number * STEP_S))
    assert among == plain


def test_jitter_delays_without_changing_the_order():
    outcomes = routed(Link(NetworkFaults(delay_s=0.1, jitter_s=0.05), 1))
    delays = [out_s - number * STEP_S for number, (out_s,) in enumerate(outcomes)]
    assert orders(outcomes) == list(range(MANY))
    assert 0.1 <= min(delays) < 0.11
    assert 0.14 < max(delays) <= 0.151


def test_reordering_lets_later_packets_pass_some():
    outcomes = routed(Link(NetworkFaults(reordering=0.02), 1))
    link = Link(NetworkFaults(reordering=0.02), 1)
    assert routed(link) == outcomes
    order = orders(outcomes)
    overtaken = sum(later < earlier for earlier, later in pairwise(order))
    assert 0.01 * MANY < overtaken <= link.counts[Traffic.VIDEO].reordered < 0.03 * MANY


def test_duplicates_come_twice_and_are_counted():
    link = Link(NetworkFaults(duplication=0.05), 1)
    copies = Counter(len(times) for times in routed(link))
    assert copies.keys() == {1, 2}
    assert copies[2] == link.counts[Traffic.VIDEO].duplicated
    assert 0.04 * MANY < copies[2] < 0.06 * MANY


def test_sound_alone_can_be_late():
    link = Link(NetworkFaults(audio_delay_s=0.7), 1)
    assert link.route(Traffic.AUDIO, 1.0) == (pytest.approx(1.7),)
    assert link.route(Traffic.VIDEO, 1.0) == (1.0,)
    assert link.route(Traffic.CONTROL, 1.0) == (1.0,)


def test_an_outage_counts_from_the_first_media_and_stops_everything():
    link = Link(NetworkFaults(outages=((1.0, 2.0),)), 1)
    assert link.route(Traffic.CONTROL, 11.5) == (11.5,)
    link.begun_s = 10.0
    assert link.route(Traffic.VIDEO, 10.9) == (10.9,)
    assert link.route(Traffic.VIDEO, 11.0) == link.route(Traffic.CONTROL, 12.9) == ()
    assert link.route(Traffic.VIDEO, 13.0) == (13.0,)
    assert link.counts[Traffic.VIDEO].in_outage == 1


@pytest.mark.parametrize(
    "field",
    [
        {"loss": 1.5},
        {"loss": -0.1},
        {"loss": "half"},
        {"duplication": float("nan")},
        {"reordering": True},
        {"jitter_s": -1},
        {"delay_s": 11},
        {"audio_delay_s": float("inf")},
        {"outages": 3},
        {"outages": ((1.0,),)},
        {"outages": ((1.0, 0.0),)},
        {"outages": ((-1.0, 1.0),)},
        {"outages": (("a", "b"),)},
    ],
)
def test_what_makes_no_network_is_refused_by_name(field):
    with pytest.raises(SettingsError) as caught:
        NetworkFaults(**field)
    assert caught.value.name == next(iter(field))


def test_lists_from_json_become_pairs():
    assert NetworkFaults(outages=[[1, 2]]).outages == ((1, 2),)


def count_packets(receiver):
    """Counts what reaches ``receiver`` by its source; before retransmissions are unwrapped."""
    arrived, handle = Counter(), receiver._handle_rtp_packet

    async def counted(packet, arrival_time_ms):
        arrived[packet.ssrc] += 1
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = counted
    return arrived


async def until(condition):
    async with asyncio.timeout(GUARD_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_between_real_peers_every_packet_is_accounted_for(monkeypatch):
    route, came_s = Link.route, []

    def noted(link, traffic, now_s):
        came_s.append((link, traffic, now_s - link.begun_s))
        return route(link, traffic, now_s)

    monkeypatch.setattr(Link, "route", noted)
    faults = NetworkFaults(loss=0.05, jitter_s=0.01, delay_s=0.01, reordering=0.05, outages=((0.5, 0.2),))

    async def run():
        network = Network(faults, seed=4)
        media = SyntheticMedia(Synthetic(width=640, height=360, seconds=1.2), bit_rate=4_000_000)
        async with connected_peers(media.tracks, network=network) as peers:
            arrived = [count_packets(receiver) for receiver in peers.receivers]
            media.begin()
            network.begin()
            await media.wait()
            await network.drained()
            await until(lambda: sum(arrived[1].values()) == network.forward[Traffic.AUDIO].delivered)
        await media.close()
        return network, [sorted(one.values()) for one in arrived]

    network, arrived = asyncio.run(run())
    ahead, back = network.forward, network.back
    assert_balanced(ahead)
    assert_balanced(back)
    media = (ahead[Traffic.VIDEO].delivered, ahead[Traffic.RETRANSMISSION].delivered)
    assert arrived == [sorted(media), [ahead[Traffic.AUDIO].delivered]]
    assert ahead[Traffic.AUDIO].sent == 60
    # How many are in the outage depends on when the machine sends them: exactly those, and there are some.
    sound_s = [at_s for link, traffic, at_s in came_s if link.counts is ahead and traffic is Traffic.AUDIO]
    assert len(sound_s) == 60
    assert ahead[Traffic.AUDIO].in_outage == sum(0 <= at_s - 0.5 < 0.2 for at_s in sound_s) > 0
    assert ahead[Traffic.VIDEO].lost
    assert ahead[Traffic.RETRANSMISSION].sent, "what was lost is asked for and sent again"
    assert back[Traffic.CONTROL].sent
    assert back[Traffic.VIDEO].sent == 0


def test_copies_stop_at_srtp():
    async def run():
        network = Network(NetworkFaults(duplication=1.0), seed=1)
        media = SyntheticMedia(Synthetic(seconds=0.3, video=False))
        async with connected_peers(media.tracks, network=network) as peers:
            arrived = count_packets(peers.receivers[0])
            media.begin()
            await media.wait()
            await network.drained()
            await until(lambda: sum(arrived.values()) == 15)
        await media.close()
        return network.forward[Traffic.AUDIO], sum(arrived.values())

    counts, received = asyncio.run(run())
    assert (counts.sent, counts.delivered, received) == (15, 30, 15)
