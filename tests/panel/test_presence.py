"""The kernel's side of the panel's question whether anybody is there."""

from recordkit.panel.presence import Presence


def test_each_question_is_answered_and_nothing_else():
    presence, said = Presence(), []
    presence.send = said.append
    for message in ({"ask": 1}, {"something": "else"}, {"ask": 2}):
        presence._asked(presence, message, [])
    presence.close()
    assert said == [{"answer": 1}, {"answer": 2}]
