"""Packets behind the last that came, as the counts of sender reports tell of them."""

from __future__ import annotations

import pytest

from recordkit.sources.webrtc.sent import SETTLED_S, SentPackets

LONG_S = 100.0


def told(reports: list[tuple[int, int, int]]) -> SentPackets:
    """Reports a second apart: packets sent, the highest number that came, packets sent besides."""
    sent = SentPackets()
    for at, report in enumerate(reports):
        sent.report(report[0], report[1], report[2], float(at))
    return sent


@pytest.mark.parametrize("before", [0, 40, 4_000_000_000])
def test_what_was_sent_before_anybody_listened_is_not_missing(before: int) -> None:
    reports = [(before + count & 0xFFFFFFFF, 1000 + count, 0) for count in range(30, 300_000_000, 50_000_000)]
    sent = told(reports)
    assert sent.missing(reports[-1][1], LONG_S) == 0
    last = reports[-1]
    sent.report(last[0] + 3, last[1], 0, 10.0)
    assert sent.missing(last[1], LONG_S) == 3


def test_a_first_report_says_nothing_and_neither_does_one_behind_which_nothing_came() -> None:
    assert told([]).missing(10, LONG_S) == 0
    assert told([(100, 10, 0)]).missing(10, LONG_S) == 0
    assert told([(100, 10, 0), (110, 10, 0)]).missing(10, LONG_S) == 0


def test_packets_that_the_report_overtook_have_time_to_come() -> None:
    sent = told([(100, 10, 0), (200, 110, 0), (300, 205, 0)])
    assert sent.missing(205, 2.0 + SETTLED_S / 2) == 0
    assert sent.missing(205, 2.0 + SETTLED_S / 2, is_over=True) == 5
    assert sent.missing(208, 2.0 + SETTLED_S) == 2
    assert sent.missing(230, LONG_S) == 0


def test_reports_of_a_source_that_sends_nothing_say_the_same_for_ever() -> None:
    reports = [(100, 10, 0), (200, 110, 0), (300, 205, 0)]
    sent = told(reports + [reports[-1]] * 50)
    assert sent.missing(205, 2.0 + SETTLED_S) == 5


@pytest.mark.parametrize("counts_besides", [False, True])
def test_retransmission_and_padding_are_not_missing_media(counts_besides: bool) -> None:
    """Browsers count what they send on their source for retransmission (RFC 4588), others do not."""
    reports = []
    for number in range(1, 20):
        besides = 7 + number * 3
        reports.append((50 + number * 100 + besides * counts_besides, number * 100, besides))
    assert told(reports).missing(1900, LONG_S) == 0
    # Probes go on while nothing moves.
    sent, _, besides = reports[-1]
    still = [(sent + more * counts_besides, 1900, besides + more) for more in range(30)]
    assert told(reports + still).missing(1900, LONG_S) == 0
    lost = [(sent + 4, 1900, besides)] * 2
    assert told(reports + lost).missing(1900, LONG_S) == 4


def test_packets_that_were_lost_before_others_came_are_not_counted_again() -> None:
    # The first report came when 20 packets were lost right before it.
    sent = told([(100, 80, 0), (200, 200, 0), (300, 300, 0), (303, 300, 0)])
    assert sent.missing(300, LONG_S) == 3


def test_a_report_that_packets_sent_behind_it_have_overtaken_says_nothing_of_those_that_came_before() -> None:
    # The third was held back while two more packets came; all have come in the end.
    reports = [(100, 100, False), (200, 200, False), (300, 302, True), (400, 400, False), (402, 402, False)]
    sent = SentPackets()
    for at, (count, reached, was_overtaken) in enumerate(reports):
        sent.report(count, reached, 0, float(at), was_overtaken=was_overtaken)
    assert sent.missing(402, LONG_S, is_over=True) == 0
    sent.report(405, 402, 0, 9.0)
    assert sent.missing(402, LONG_S) == 3
    # Where times run ahead of what is sent all of them seem to be.
    sent = SentPackets()
    for at, (count, reached, _) in enumerate(reports):
        sent.report(count, reached, 0, float(at), was_overtaken=True)
    assert sent.missing(402, LONG_S) == 0


def test_who_sends_again_on_the_source_itself_and_counts_it_has_lost_no_more_than_what_is_missing() -> None:
    sent = SentPackets()
    for number in range(1, 7):
        sent.report(number * 105, number * 100, 0, float(number), again=number * 5)
    assert sent.missing(600, LONG_S) == 0
    sent.report(6 * 105 + 3, 600, 0, 8.0, again=30)
    assert sent.missing(600, LONG_S) == 3


def test_of_who_counts_what_nobody_sees_nothing_is_told() -> None:
    """Each packet is sent twice: its copy is thrown away before it is decrypted."""
    assert told([(number * 200, number * 100, 0) for number in range(1, 7)]).missing(600, LONG_S) == 0


def test_a_source_that_counts_anew_is_learned_anew() -> None:
    sent = told([(1000, 10, 0), (1100, 110, 0), (1200, 210, 0), (5, 215, 0)])
    assert sent.missing(215, LONG_S) == 0
    sent.report(105, 315, 0, 10.0)
    sent.report(207, 415, 0, 11.0)
    assert sent.missing(415, LONG_S) == 2


def test_a_step_back_between_two_reports_is_not_missing() -> None:
    """A server goes on with a source that was started again: its numbers begin elsewhere."""
    sent = told([(100, 5_010, 0), (200, 5_110, 0), (300, 5_210, 0)])
    assert sent.missing(2_935, LONG_S) == 0
    sent.report(400, 3_035, 0, 3.0)
    sent.report(500, 3_135, 0, 4.0)
    sent.report(605, 3_235, 0, 5.0)
    assert sent.missing(3_235, LONG_S) == 5
