"""Signs of life: what is an outage, and what only stands still."""

from __future__ import annotations

import pytest

from recordkit.sources.webrtc.signs import LIFELESS_S, OUTAGE_S, Signs


def test_an_outage_is_told_once_when_it_begins_and_again_for_the_next():
    told = []
    signs = Signs(lambda: told.append(1))
    signs.poll(5.0)
    assert told == [], "before anything came nothing can stop"
    signs.heard(10.0)
    for now_s in (10.5, 11.0, 12.0, 20.0):
        signs.poll(now_s)
    assert told == [1]
    signs.lives(20.0)
    signs.poll(20.9)
    assert told == [1]
    signs.poll(20.0 + OUTAGE_S)
    assert told == [1, 1]


@pytest.mark.parametrize(("signs_every_s", "was_lifeless"), [(None, True), (LIFELESS_S - 1, False)])
def test_a_pause_is_told_with_the_packet_that_ends_it_and_whether_anything_lived(signs_every_s, was_lifeless):
    signs = Signs()
    assert signs.heard(100.0) == 0.0
    now_s = 100.0
    while signs_every_s is not None and (now_s := now_s + signs_every_s) < 130.0:
        signs.lives(now_s)
    assert signs.heard(130.0) == 30.0
    assert signs.was_lifeless(100.0) == was_lifeless
    assert not signs.was_lifeless(131.0)
    assert signs.heard_s == 130.0
    assert signs.heard(130.0 + OUTAGE_S / 2) == 0.0


def test_a_sender_is_lifeless_until_its_first_sign_and_when_there_has_been_none_for_long():
    signs = Signs()
    assert signs.is_lifeless(0.0)
    signs.lives(1.0)
    assert not signs.is_lifeless(1.0 + LIFELESS_S - 0.1)
    assert signs.is_lifeless(1.0 + LIFELESS_S)
