"""The kernel's side of the panel's questions: whether anybody is there, and for pieces of files."""

import pytest

from recordkit.panel import presence as module
from recordkit.panel.presence import Presence


def test_each_question_is_answered_and_nothing_else():
    presence, said = Presence(), []
    presence.send = said.append
    for message in ({"ask": 1}, {"something": "else"}, {"ask": 2}):
        presence._asked(presence, message, [])
    presence.close()
    assert said == [{"answer": 1}, {"answer": 2}]


@pytest.fixture
def piece(tmp_path, monkeypatch):
    """Asks a presence that offers one file of five bytes for a piece of it; gives what is told, and the bytes."""
    monkeypatch.setattr(module, "_PIECE_BYTES", 2)
    (tmp_path / "talk.ts").write_bytes(b"12345")
    presence, said = Presence(), []
    presence.offered = [tmp_path / "talk.ts"]
    presence.send = lambda told, payload: said.append((told, payload))

    def ask(**asked):
        presence._asked(presence, {"ask": "piece", "id": 7, "view": "v", **asked}, [])
        return said.pop()

    yield ask
    presence.close()


def test_a_file_goes_to_the_page_in_pieces(piece):
    told = {"answer": 7, "view": "v", "size": 5}
    assert [piece(file=0, at=at) for at in (0, 2, 4, 5)] == [(told, [part]) for part in (b"12", b"34", b"5", b"")]


@pytest.mark.parametrize(
    "asked", [{}, {"file": 1, "at": 0}, {"file": -1, "at": 0}, {"file": 0, "at": -1}, {"file": "../x", "at": 0}]
)
def test_what_is_not_offered_is_not_given(asked, piece):
    told, payload = piece(**asked)
    assert (told["fault"], payload) == ("there is no such file", [])


def test_a_file_that_is_gone_is_told(piece, tmp_path):
    (tmp_path / "talk.ts").unlink()
    assert piece(file=0, at=0)[0]["fault"] == "No such file or directory"
