"""Firefox publishes from the endpoint's own page."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from recordkit.verification.verify import verify
from tests.judges import assert_decodes_in_silence

from .browser import serving
from .firefox import GUARD_S, firefox

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


def test_each_frame_that_firefox_sends_is_in_the_file(tmp_path: Path) -> None:
    profile, folder = tmp_path / "profile", tmp_path / "out"
    profile.mkdir()
    folder.mkdir()
    # Firefox brings VP8; its H.264 is a download.
    with serving(folder, "--publish-page", "--name", "{stream}-{counter}.ts") as served, firefox(profile) as page:
        page.go(f"{served.url}/publish?stream=fox&size=360&codec=video/vp8")
        page.run(KEEP_SENDER)
        page.run("document.getElementById('go').click();")
        page.until("document.getElementById('words').textContent === 'Recording.'")
        deadline = time.monotonic() + GUARD_S
        while page.run(SENT) < 45:
            assert time.monotonic() < deadline
        page.run("await window.sender.replaceTrack(null);")
        sent = -1
        while sent != (sent := page.run(f"await new Promise((done) => setTimeout(done, 300)); {SENT}")):
            pass
        page.run("document.getElementById('go').click();")
        page.until("document.getElementById('words').textContent.startsWith('Stopped')")
    (recorded,) = served.committed()
    found = verify(recorded, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(recorded)
    assert [stream.pictures for stream in found.streams if stream.codec == "h264"] == [sent]
    assert [stream.codec for stream in found.streams if stream.codec != "h264"] == ["aac"]
