"""A real browser publishes its camera and microphone to ``recordkit serve`` from the endpoint's own page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from recordkit.reading.opening import open as open_video
from recordkit.sources.marks import Box, layout, read_frame_number
from recordkit.telemetry.frames import read_flush_log
from recordkit.verification.verify import Verification, verify
from tests.judges import (
    assert_decodes_in_silence,
    assert_times_never_jump,
    assert_tstools_are_content,
    frame_counts,
)
from tests.lab.looking import amiss
from tests.steering import GUARD_S

from .browser import GUARD_MS, Served, chromium, publishing, serving
from .lossy import frames_sent

pytestmark = pytest.mark.judge

# The page's own connection; its sender of pictures is kept, for it has no track once these have stopped.
FIND_SENDER = "() => { window.sender = peer.getSenders().find((one) => one.track.kind === 'video'); }"
SCALE = """async (scale) => {
    const parameters = sender.getParameters();
    parameters.encodings[0].scaleResolutionDownBy = scale;
    await sender.setParameters(parameters);
}"""
REFUSE = """() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
}"""
# Instead of a camera: a canvas, whose frames carry numbers as those of the synthetic source do (``encode_number``).
CLOCKED = """(() => {
    window.drawn = [];
    navigator.mediaDevices.getUserMedia = async () => {
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [640, 360];
        document.body.append(canvas);
        const context = canvas.getContext('2d');
        const stream = canvas.captureStream(0);
        const draw = () => {
            const number = drawn.length;
            let crc = 0xFFFF;
            for (let bit = 31; bit >= 0; bit -= 1) {
                const carry = (crc >>> 15 ^ number >>> bit) & 1;
                crc = (crc << 1 ^ carry * 0x1021) & 0xFFFF;
            }
            CELLS.forEach(([left, top, width, height], place) => {
                const bit = place < 32 ? number >>> 31 - place & 1 : crc >>> 47 - place & 1;
                context.fillStyle = bit ? '#fff' : '#000';
                context.fillRect(left, top, width, height);
            });
            drawn.push(Date.now());
            stream.getVideoTracks()[0].requestFrame();
        };
        setInterval(() => requestAnimationFrame(draw), 40);
        return stream;
    };
})()"""
COUNT = """async () => {
    const reports = [...(await sender.getStats()).values()];
    return reports.find((one) => one.type === 'outbound-rtp').framesSent;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served"), "--publish-page", "--name", "{stream}-{counter}.ts") as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def pixels(cell: Box) -> list[int]:
    rows, columns = cell.pixels()
    return [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]


def until_sent(page: Page, count: int) -> None:
    until(lambda: page.evaluate(COUNT) >= count)


def all_sent(page: Page) -> int:
    """Let the page send no more pictures; gives how many there were, once none is on its way."""
    page.evaluate("() => sender.replaceTrack(null)")
    count, quiet = -1, 0
    while quiet < 5:  # a busy machine sends the last ones late
        page.wait_for_timeout(300)
        before, count = count, page.evaluate(COUNT)
        quiet = quiet + 1 if count == before else 0
    return count


def assert_sound(path: Path) -> Verification:
    found = verify(path, decode=True)
    assert found.ok, found.problems
    assert_decodes_in_silence(path)
    assert_times_never_jump(path)
    assert_tstools_are_content(path)
    return found


def assert_nothing_was_lost(path: Path) -> None:
    told = [fields for fields in read_flush_log(path).events["fields"] if "lost_packets" in fields]
    assert len(told) == 2
    for fields in told:
        assert fields["lost_packets"] == fields["dropped_units"] == fields["refused_units"] == 0


def assert_dated_by_the_sender(path: Path) -> None:
    frames = frames_sent(path)
    assert set(frames["captured_by"]) == {"abs-capture-time"}
    # By its clock the frames are as far apart as they are shown, in the mean.
    span_s = (frames["captured"].iloc[-1] - frames["captured"].iloc[0]).total_seconds()
    assert abs(span_s - (frames["media_s"].iloc[-1] - frames["media_s"].iloc[0])) < 0.1


def test_h264_is_kept_as_it_comes_with_its_size_changes(browser: Browser, served: Served) -> None:
    with publishing(browser, served, "stream=h264&size=360") as page:
        page.evaluate(FIND_SENDER)
        for scale, count in ((1, 30), (2, 60), (1.5, 90)):
            page.evaluate(SCALE, scale)
            until_sent(page, count)
        sent = all_sent(page)
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("The recording is saved").wait_for(timeout=GUARD_MS)
        # The endpoint answers when the file is committed.
        assert served.folder / "h264-1.ts" in served.committed()
    found = assert_sound(served.folder / "h264-1.ts")
    video, sound = sorted(found.streams, key=lambda one: one.codec != "h264")
    assert video.codec == "h264"
    assert len(frames_sent(found.path)) == sent
    assert {640, 320} <= {size.width for size in video.sizes}
    assert sound.codec == "aac"
    assert ("h264", video.frames) in frame_counts(found.path)
    assert_nothing_was_lost(found.path)
    assert_dated_by_the_sender(found.path)


def test_each_frame_was_taken_when_the_page_drew_it_within_the_error_that_is_stated(
    browser: Browser, served: Served
) -> None:
    """The page draws numbered frames, and notes the time of each by the clock of this machine."""
    script = CLOCKED.replace("CELLS", json.dumps([pixels(cell) for cell in layout(640, 360)[0]]))
    with publishing(browser, served, "stream=clocked&size=360", script) as page:
        page.evaluate(FIND_SENDER)
        until_sent(page, 150)
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("The recording is saved").wait_for(timeout=GUARD_MS)
        drawn_ms = page.evaluate("() => drawn")
    count = 0
    with open_video(served.folder / "clocked-1.ts") as video:
        assert set(video.frames["captured_by"]) == {"abs-capture-time"}
        for frame, row in zip(video, video.frames.itertuples(), strict=True):
            number = read_frame_number(frame.frame)
            assert number is not None
            count += number + 1 < len(drawn_ms)
            # The browser takes what was drawn when it puts the page together, before the next one is.
            drawn_s, over_s = (time_ms / 1e3 for time_ms in [*drawn_ms, inf][number : number + 2])
            taken_s, stated_s = row.captured.value / 1e9, row.captured_error_s
            assert drawn_s - stated_s <= taken_s <= over_s + stated_s, (number, drawn_s, taken_s, over_s, stated_s)
    assert count > 100


def test_vp8_is_encoded_anew(browser: Browser, served: Served) -> None:
    with publishing(browser, served, "stream=vp8&size=360&codec=video/vp8") as page:
        page.evaluate(FIND_SENDER)
        until_sent(page, 45)
        sent = all_sent(page)
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("The recording is saved").wait_for(timeout=GUARD_MS)
    found = assert_sound(served.folder / "vp8-1.ts")
    # Sound may be there first: pictures have to be decoded before they are encoded.
    assert len(frames_sent(found.path)) == sent
    assert_nothing_was_lost(found.path)
    assert_dated_by_the_sender(found.path)


# What the player of a row or card shows: the frame's number and width, and what it says.
SHOWN = """(key) => {
    const view = document.querySelector(`[data-key="${key}"] .recordkit-player`)?.recordkitView;
    const said = view && view.first.words.textContent + view.notice.textContent;
    return view && [view.first.number, view.first.video.videoWidth, view.isFollowing, view.isPlaying, said];
}"""


def test_closing_the_page_commits_and_the_list_tells(browser: Browser, served: Served) -> None:
    watching = browser.new_page()
    faults: list[str] = []
    watching.on("pageerror", lambda error: faults.append(str(error)))
    watching.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    watching.goto(served.url)
    watching.get_by_text("Nothing is being recorded.").wait_for(timeout=GUARD_MS)
    with publishing(browser, served, "stream=closed&size=360") as page:
        watching.get_by_text("closed-1.ts").wait_for(timeout=GUARD_MS)
        # Sound is on disk; to close the page before that would be to record nothing.
        until(lambda: watching.get_by_text(" kB").count() > 0)
        # Its video is shown while it is recorded, by a player that stays as the figures beside it change.
        until(lambda: (watching.evaluate(SHOWN, "closed-1.ts") or [0])[0] > 20)
        _, width, follows, plays, said = watching.evaluate(SHOWN, "closed-1.ts")
        assert (width > 0, follows, plays, said) == (True, True, True, "")
        page.close()
    until(lambda: served.folder / "closed-1.ts" in served.committed())
    watching.get_by_text("committed").first.wait_for(timeout=GUARD_MS)
    watching.get_by_role("button", name="Play closed-1.ts").press("Enter")
    until(lambda: (watching.evaluate(SHOWN, "closed-1.ts") or [0])[0] > 5)
    for width in (1900, 900, 400):
        watching.set_viewport_size({"width": width, "height": 1000})
        assert watching.evaluate("() => document.documentElement.scrollWidth") <= width
        assert amiss(watching) == []
    with watching.expect_download() as download:
        watching.get_by_role("link", name="Download closed-1.ts").click()
    assert download.value.suggested_filename == "closed-1.ts"
    assert Path(download.value.path()).read_bytes() == (served.folder / "closed-1.ts").read_bytes()
    watching.get_by_role("button", name="Close closed-1.ts").click()
    until(lambda: watching.evaluate(SHOWN, "closed-1.ts") is None)
    watching.close()
    assert faults == []
    assert_sound(served.folder / "closed-1.ts")


def test_refusals_and_an_end_by_the_endpoint_are_put_in_words(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, "--publish-page", "--token", "needed") as served:
        # The page itself asks for the token as a password.
        page = browser.new_page(http_credentials={"username": "anybody", "password": "needed"})
        page.goto(f"{served.url}/publish?size=360")
        for token, words in (("wrong", "The token is missing or wrong."), ("needed", "Recording.")):
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Record").click()
            page.get_by_text(words, exact=True).wait_for(timeout=GUARD_MS)
        until(lambda: any(path.stat().st_size for path in tmp_path.glob("*.recording.ts")))
        served.process.terminate()
        page.get_by_text("The endpoint ended the recording.").wait_for(timeout=GUARD_MS)
        page.evaluate(REFUSE)
        page.get_by_role("button", name="Record").click()
        page.get_by_text("Allow it beside the address").wait_for(timeout=GUARD_MS)
        page.close()
        assert served.process.wait(GUARD_S) == 0  # a second signal would leave the recording as it is
    (recording,) = served.committed()
    assert verify(recording, decode=True).ok
