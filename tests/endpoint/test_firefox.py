"""Firefox publishes from the endpoint's own page."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from recordkit.verification.verify import verify
from tests.judges import assert_decodes_in_silence
from tests.steering import GUARD_S

from .browser import serving
from .firefox import Firefox, firefox
from .lossy import Lossy, accounted, assert_accounted, frames_sent
from .test_serve import serving as served_here

pytestmark = pytest.mark.judge

KEEP_SENDER = """
const add = window.RTCPeerConnection.prototype.addTransceiver;
window.RTCPeerConnection.prototype.addTransceiver = function (track, options) {
    const made = add.call(this, track, options);
    if (track.kind === "video") window.sender = made.sender;
    return made;
};
"""
SENT = """
const reports = [...(await window.sender.getStats()).values()];
// There is no report before the first packet.
return reports.find((one) => one.type === "outbound-rtp")?.framesSent ?? 0;
"""
QUIET_S = 1.5
# Without a track it would go on with a black frame a second, and the last one be sent behind the last look.
STOP_SENDING = """
const parameters = window.sender.getParameters();
for (const encoding of parameters.encodings) encoding.active = false;
await window.sender.setParameters(parameters);
"""


def published(page: Firefox, url: str, frames: int) -> int:
    """Publish so many frames or a few more; returns how many were sent."""
    # Firefox brings VP8; its H.264 is a download.
    page.go(f"{url}/publish?stream=fox&size=360&codec=video/vp8")
    page.run(KEEP_SENDER)
    page.run("document.getElementById('go').click();")
    page.until("document.getElementById('words').textContent === 'Recording.'")
    deadline = time.monotonic() + GUARD_S
    while page.run(SENT) < frames:
        assert time.monotonic() < deadline
    page.run(STOP_SENDING)
    # A frame that is being coded on a busy machine counts as sent a while later.
    sent, quiet_s = -1, 0.0
    while quiet_s < QUIET_S:
        before, sent = sent, page.run(f"await new Promise((done) => setTimeout(done, 300)); {SENT}")
        quiet_s = quiet_s + 0.3 if sent == before else 0.0
    page.run("document.getElementById('go').click();")
    page.until("document.getElementById('words').textContent.startsWith('Stopped')")
    return int(sent)


def test_each_frame_that_firefox_sends_is_in_the_file(tmp_path: Path) -> None:
    profile, folder = tmp_path / "profile", tmp_path / "out"
    profile.mkdir()
    folder.mkdir()
    with serving(folder, "--publish-page", "--name", "{stream}-{counter}.ts") as served, firefox(profile) as page:
        sent = published(page, served.url, 45)
    (recorded,) = served.committed()
    found = verify(recorded, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(recorded)
    assert len(frames_sent(recorded)) == accounted(recorded)["received_units"] == sent
    assert sorted(stream.codec for stream in found.streams) == ["aac", "h264"]


@pytest.mark.parametrize("network", [Lossy(0.05), Lossy(late_by=60)], ids=["5 % lost", "the first ones lost"])
def test_what_a_bad_network_takes_from_firefox_is_told_and_the_rest_is_in_the_file(
    network: Lossy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.attach(monkeypatch)
    profile, folder = tmp_path / "profile", tmp_path / "out"
    profile.mkdir()
    with served_here(folder, publish_page=True) as url, firefox(profile) as page:
        sent = published(page, url, 75)
    recorded = folder / "fox-1.ts"
    found = verify(recorded, decode=True)
    assert found.decoded
    assert_decodes_in_silence(recorded)
    kept = len(frames_sent(recorded))
    assert kept > 0
    assert_accounted(recorded, sent, kept, network.unseen)
