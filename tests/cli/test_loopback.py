"""``recordkit record --source loopback``, as it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from recordkit.cli import USAGE
from recordkit.cli.loopback import LoopbackOptions
from recordkit.sources.readback import read_back
from recordkit.sources.webrtc.loopback import Loopback
from tests.cli.driving import call

RECORD = ["record", "--source", "loopback", "--size", "320x180"]


def test_what_one_peer_sends_the_other_records(tmp_path: Path) -> None:
    out = tmp_path / "talk.ts"
    code, shown, errors = call(
        *RECORD, "--seconds", 1.0, "--loss", 0.02, "--jitter", 0.01, "--size-at", "0.5:160x90", out
    )
    assert (code, errors) == (0, "")
    assert str(out) in shown.replace("\n", "")
    back = read_back(out)
    assert back.sizes == ((320, 180), (160, 90))
    assert back.unreadable == 0


def test_every_option_reaches_the_source() -> None:
    options = LoopbackOptions(
        codec="vp8",
        loss=0.01,
        duplication=0.02,
        reordering=0.03,
        delay_s=0.04,
        jitter_s=0.05,
        audio_delay_s=0.06,
        outage=["1:2", "5.5:0.5"],
        size_at=["3:640x360"],
        seed=7,
    )
    assert options.source((320, 180), None, 9.0, 1_000_000, video=True, audio=False) == Loopback(
        width=320,
        height=180,
        codec="vp8",
        audio=False,
        bit_rate=1_000_000,
        loss=0.01,
        duplication=0.02,
        reordering=0.03,
        delay_s=0.04,
        jitter_s=0.05,
        audio_delay_s=0.06,
        outages=((1.0, 2.0), (5.5, 0.5)),
        sizes=((3.0, 640, 360),),
        seconds=9.0,
        seed=7,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--loss", "2"], "share of the packets"),
        (["--codec", "av1"], "'h264' or 'vp8'"),
        (["--outage", "5"], "START:SECONDS"),
        (["--outage", "5:x"], "START:SECONDS"),
        (["--size-at", "5:big"], "START:WxH"),
        (["--size-at", "640x360"], "START:WxH"),
        (["--jitter", "-1"], "seconds from 0"),
        (["input.mp4"], "give OUTPUT"),
    ],
)
def test_bad_values_are_told_and_make_no_file(arguments: list[str], words: str, tmp_path: Path) -> None:
    out = tmp_path / "talk.ts"
    code, _, errors = call(*RECORD, "--seconds", 1, *arguments, out)
    assert code == USAGE
    assert words in errors
    assert not out.exists()
