"""What mp4box.js, which shares no code with ours or FFmpeg's, finds in our files: every sample of every case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recordkit.model import Codec

from ..judges import run
from .cases import CASES
from .laying import Laid, lay
from .test_packager import as_sample

pytestmark = pytest.mark.judge
LIBRARY = Path(__file__).parents[2] / ".judges/node_modules/mp4box/dist/mp4box.all.mjs"
"""Where ``npm install --prefix .judges mp4box`` puts it."""
NAMES = {
    Codec.H264: "avc1.",
    Codec.H265: "hvc1.",
    Codec.VP9: "vp09.",
    Codec.AV1: "av01.",
    Codec.AAC: "mp4a.40",
    Codec.MP3: "mp4a.6b",
    Codec.OPUS: "Opus",
    Codec.FLAC: "fLaC",
}
STATES = ("partial", "whole", "fragmented")
ROWS = [
    (case, state)
    for case in CASES
    for state in STATES
    # It heeds the first movie alone, and falls over a track that begins later.
    if state == "whole" or case.name != "video_first_audio_early"
]
Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[Laid, Found]]:
    """Each case in each state: what was laid, and what one run of the reader finds."""
    if not LIBRARY.exists():
        pytest.skip("mp4box.js is not installed: npm install --prefix .judges mp4box")
    folder = tmp_path_factory.mktemp("boxes")
    laid, paths = [], []
    for case, state in ROWS:
        one = lay(case.steps, fragmented=state == "fragmented")
        path = folder / f"{case.name}.{state}.mp4"
        path.write_bytes(one.partial if state == "partial" else one.whole)
        laid.append(((case.name, state), one))
        paths.append(path)
    done = run("node", str(Path(__file__).with_name("boxes.mjs")), str(LIBRARY), *paths)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {key: (one, line) for (key, one), line in zip(laid, lines, strict=True)}


@pytest.mark.parametrize(("name", "state"), [(case.name, state) for case, state in ROWS])
def test_each_sample_is_found(name: str, state: str, found: dict[tuple[str, str], tuple[Laid, Found]]) -> None:
    laid, read = found[name, state]
    assert not read["faults"]
    assert read["fragmented"] is (state != "whole")
    if state == "whole":
        assert read["boxes"] == ["ftyp", "mdat", "moov"]
        assert read["duration_s"] > 1.9
    formats = laid.packager.streams
    assert len(read["tracks"]) == len(formats)
    for track, (index, stream_format) in zip(read["tracks"], sorted(formats.items()), strict=True):
        sent = [unit for unit in laid.units if unit.stream == index]
        rate = track["rate"]
        assert track["codec"].lower().startswith(NAMES[stream_format.codec].lower())
        assert len(track["samples"]) == len(sent)
        begin = track["samples"][0][1]
        for (size, dts, shown, is_sync), unit in zip(track["samples"], sent, strict=True):
            assert size == len(as_sample(unit, stream_format))
            assert is_sync == unit.random_access
            if name == "gap" and state != "whole":
                continue  # it heeds the time of the first fragment alone (tfdt), and counts from there
            assert dts - begin == pytest.approx((unit.dts - sent[0].dts) * rate / 90_000, abs=2)
            assert shown - dts == pytest.approx((unit.pts - unit.dts) * rate / 90_000, abs=2)
