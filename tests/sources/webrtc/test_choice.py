"""One source is kept while it lives; another one takes over from its first packet on when it has ended."""

from recordkit.sources.webrtc.assembly import MediaPacket
from recordkit.sources.webrtc.choice import DECISION_S, SourceChoice


def packet(ssrc, at_s):
    return MediaPacket("h264", 90_000, ssrc, 0, 0, True, b"x", at_s)


def run(choice, *packets):
    taken = [one for each in packets for one in choice.put([each])]
    return [(one.ssrc, round(one.arrival_s, 2)) for one in taken + choice.flush()]


def times(begin, end):
    return [begin + number * 0.02 for number in range(round((end - begin) * 50))]


def test_of_sources_that_take_turns_the_first_is_kept_whole():
    choice = SourceChoice()
    taken = run(choice, *[packet(ssrc, at_s) for at_s in times(0, 3) for ssrc in (1, 2, 3)])
    assert taken == [(1, round(at_s, 2)) for at_s in times(0, 3)]
    assert choice.refused_packets == 2 * len(times(0, 3))


def test_a_source_that_follows_another_loses_nothing_and_one_that_returns_neither():
    choice = SourceChoice()
    sent = [(1, at_s) for at_s in times(0, 1)] + [(2, at_s) for at_s in times(1, 2)]
    sent += [(1, at_s) for at_s in times(2, 3)]
    taken = run(choice, *[packet(*one) for one in sent])
    assert taken == [(ssrc, round(at_s, 2)) for ssrc, at_s in sent]
    assert choice.refused_packets == 0


def test_stragglers_of_the_one_before_are_left_out():
    choice = SourceChoice()
    sent = [(1, 0.0), (2, 0.02), (1, 0.03), (2, 0.04), *[(2, at_s) for at_s in times(0.06, 0.4)]]
    taken = run(choice, *[packet(*one) for one in sent])
    assert [one for one in taken if one[0] == 1] == [(1, 0.0)]
    assert len(taken) == len(sent) - 1
    assert choice.refused_packets == 1


def test_a_refused_source_takes_over_when_the_one_that_was_kept_is_gone():
    choice = SourceChoice()
    for at_s in times(0, 1):
        for ssrc in (1, 2):
            choice.put([packet(ssrc, at_s)])
    taken = run(choice, *[packet(2, at_s) for at_s in times(1, 3)])
    assert taken[0] == (2, 1.98)
    assert len(taken) == len(times(1, 3)) - 49


def test_it_is_decided_by_the_clock_when_nothing_more_comes():
    choice = SourceChoice()
    assert choice.put([packet(1, 0.0)])
    assert choice.put([packet(2, 0.1)]) == []
    assert choice.poll(0.1 + DECISION_S - 0.01) == []
    assert [one.ssrc for one in choice.poll(0.11 + DECISION_S)] == [2]


def test_what_is_held_has_a_bound():
    choice = SourceChoice()
    choice.put([packet(1, 0.0)])
    for _ in range(10_000):
        choice.put([packet(2, 0.01)])
        assert len(choice._held) < 4096
    for ssrc in range(3, 1000):
        choice.put([packet(ssrc, 0.02)])
    assert len(choice._refused) <= 64
