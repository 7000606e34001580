"""The short versions: a few trials of each kind of attack, with seeds that never change."""

import json
from pathlib import Path

import pytest

import recordkit as rk

from ..documents import marks
from .__main__ import COMMAND, main
from .judging import row_faults
from .kinds import KINDS
from .outcome import Outcome, row

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = marks(COMMAND)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.short], ids=lambda kind: kind.name)
def test_what_is_promised_holds(tmp_path, kind):
    reason = kind.impossible()
    if reason:
        pytest.skip(reason)
    own = tmp_path / "own"
    own.mkdir()
    with kind.begin(own) as trial:
        for seed in kind.short:
            place = tmp_path / f"trial{seed}"
            place.mkdir()
            outcome = trial(seed, place)
            assert not outcome.faults, f"seed {seed}"


def test_figures_are_put_into_a_document(tmp_path):
    outcomes = [Outcome(0), Outcome(1, ("lost",), 188, 40.0, {"lost_packetised_ms": 40.0}), Outcome(2)]
    for number in (0, 1):
        (tmp_path / f"{number}.json").write_text(json.dumps([row(KINDS[number], outcomes)]))
    document = tmp_path / "document.md"
    stays, old = f"| {KINDS[2].name} | 7 | 7 | nothing |", f"| {KINDS[0].name} | 1 | 1 | nothing |"
    document.write_text(f"before\n{BEGIN}\n| attack | trials |\n{stays}\n{old}\n| gone | 1 |\n{END}\nafter\n")
    runs = [str(tmp_path / f"{number}.json") for number in (1, 0, 0)]
    assert main(["--markdown", str(document), "--json", *runs]) == 0
    lines = document.read_text().splitlines()
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("before", BEGIN, END, "after")
    assert lines[4] == f"| {KINDS[0].name} | 6 | 4 | 188 bytes, 40 ms |"
    assert lines[5].startswith(f"| {KINDS[1].name} ")
    assert lines[6:-2] == [stays]


def test_the_readme_has_a_place_for_them():
    text = README.read_text()
    assert text.index(BEGIN) < text.index(END)


def test_rows_that_are_not_the_frames_are_found(tmp_path):
    path = tmp_path / "talk.ts"
    rk.record(rk.Synthetic(160, 90, audio=False, seconds=2, realtime=False), path)
    assert row_faults(path) == []
    table = tmp_path / "talk.frames"
    whole = table.read_bytes()
    table.write_bytes(whole[:640] + whole[680:])
    assert row_faults(path)
