"""The kernel's side of the panel's question whether anybody is there."""

from recordkit.panel.camera import Camera
from recordkit.panel.presence import Presence, page_side


def test_each_question_is_answered_and_nothing_else():
    presence, said = Presence(), []
    presence.send = said.append
    for message in ({"ask": 1}, {"something": "else"}, {"ask": 2}):
        presence._asked(presence, message, [])
    presence.close()
    assert said == [{"answer": 1}, {"answer": 2}]


def test_what_the_page_sides_share_stands_in_front_of_each():
    shared = page_side("presence.js").partition("export default")[0]
    assert shared.count("function whenKernelGoes(") == 1
    assert str(Camera._esm).count("function whenKernelGoes(") == 1
