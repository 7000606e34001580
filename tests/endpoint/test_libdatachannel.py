"""libdatachannel, by which OBS Studio publishes, sends as that does: each frame of it is in the file."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from recordkit.recorder.record import record
from recordkit.settings import AudioSettings
from recordkit.sources.readback import read_back
from recordkit.sources.synthetic import Synthetic
from recordkit.verification.verify import verify
from tests.judges import assert_decodes_in_silence, run
from tests.media import coded_packets

from .lossy import Lossy, assert_accounted
from .test_serve import ROOT, TOKEN, serving

pytestmark = [pytest.mark.judge, pytest.mark.usefixtures("no_frame_stands")]

LIBRARY = ROOT / ".judges/node_modules/node-datachannel"
"""Where ``npm install --prefix .judges node-datachannel`` puts it."""
FRAMES = 60


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of numbered frames and of a tone, coded."""
    folder = tmp_path_factory.mktemp("media")
    source = Synthetic(width=320, height=192, fps=30, seconds=FRAMES / 30, realtime=False)
    record(source, folder / "film.ts", audio=AudioSettings(codec="opus"))
    packets = {kind: coded_packets(folder / "film.ts", kind) for kind in ("video", "audio")}
    path = folder / "media.json"
    coded = {kind: [b64encode(one).decode() for one in ones] for kind, ones in packets.items()}
    path.write_text(json.dumps(coded), "utf-8")
    return path


def published(media: Path, folder: Path, audios: int) -> Path:
    """Publish all of it; returns the recording."""
    if not LIBRARY.exists():
        pytest.skip("node-datachannel is not installed: npm install --prefix .judges node-datachannel")
    client = ROOT / "tests" / "endpoint" / "libdatachannel_client.cjs"
    with serving(folder, token=TOKEN) as url:
        done = run("node", client, LIBRARY, f"{url}/whip/obs", TOKEN, media, str(audios))
        assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.ts")
    return path


def test_each_frame_and_each_audio_track_is_in_the_file(media: Path, tmp_path: Path) -> None:
    recorded = published(media, tmp_path / "out", audios=2)
    found = verify(recorded, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(recorded)
    assert [stream.codec for stream in found.streams] == ["h264", "aac", "aac"]
    back = read_back(recorded)
    assert (back.numbers_ok, back.lost, back.repeated, back.out_of_order, back.unreadable) == (FRAMES, 0, 0, 0, 0)


def test_what_a_bad_network_takes_is_sent_again(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Lossy(0.05)
    network.attach(monkeypatch)
    recorded = published(media, tmp_path / "out", audios=1)
    assert_decodes_in_silence(recorded)
    back = read_back(recorded)
    assert (back.repeated, back.out_of_order, back.unreadable) == (0, 0, 0)
    received = assert_accounted(recorded, FRAMES, back.numbers_ok, network.unseen)
    assert received["recovered_packets"] > 0
