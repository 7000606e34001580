"""What players of others show of our files: Chromium's video element and MediaSource, GStreamer, decoded frames."""

import base64
import re
from io import BytesIO

import av
import pytest

from recordkit.model import Codec

from ..endpoint.browser import chromium
from ..judges import run
from . import real
from .cases import CASES
from .laying import lay

pytestmark = pytest.mark.judge
BY_NAME = {case.name: case for case in CASES}
AAC, H264, OPUS, VP9, AV1 = "mp4a.40.2", "avc1.64000d", "opus", "vp09.00.11.08", "av01.0.00M.08"
FED = {
    "h264_aac": f"{H264},{AAC}",
    "h264_opus": f"{H264},{OPUS}",
    "h264": H264,
    "vp9_opus": f"{VP9},{OPUS}",
    "vp9_flac": f"{VP9},flac",
    "av1_opus": f"{AV1},{OPUS}",
    "av1_flac": f"{AV1},flac",
    "aac": AAC,
    "aac_44100": f"{H264},{AAC}",
    "audio_first": f"{H264},{AAC}",
    "new_size": H264,
    "gap": f"{H264},{AAC}",
}
H264_PARSER = "h264parse ! video/x-h264,alignment=au"
SHOW = """async ([data, mime, times]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const video = document.createElement("video");
  video.muted = true;
  const until = (name, of = video) => new Promise((done, fail) => {
    of.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => fail(new Error(video.error.message)), { once: true });
  });
  if (mime) {
    const media = new MediaSource();
    video.src = URL.createObjectURL(media);
    await until("sourceopen", media);
    const buffer = media.addSourceBuffer(mime);
    for (let at = 0; at < bytes.length; at += 997) {
      buffer.appendBuffer(bytes.slice(at, at + 997));
      await until("updateend", buffer);
    }
  } else {
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  }
  if (video.readyState < 2) await until("loadeddata");
  const sizes = [];
  for (const time of times) {
    video.currentTime = time;
    await until("seeked");
    sizes.push([video.videoWidth, video.videoHeight]);
  }
  const ranges = [];
  const known = video.buffered;
  for (let at = 0; at < known.length; at++) ranges.push([known.start(at), known.end(at)]);
  return { duration: video.duration, sizes, ranges };
}"""


@pytest.fixture(scope="module")
def page():
    with chromium() as browser:
        yield browser.new_page()


def shown(page, data: bytes, times, mime: str = ""):
    kind = f'video/mp4; codecs="{mime}"' if mime else ""
    return page.evaluate(SHOW, [base64.b64encode(data).decode(), kind, times])


@pytest.mark.parametrize("name", FED)
def test_chromium_feeds_on_the_partial_chunk_by_chunk(page, name):
    made = shown(page, lay(BY_NAME[name].steps).partial, [0.2, 1.2], FED[name])
    assert made["ranges"][0][0] == pytest.approx(0, abs=0.11)
    assert made["ranges"][0][1] > 1.9


@pytest.mark.parametrize("name", FED)
@pytest.mark.parametrize("state", ["partial", "whole"])
def test_chromium_plays_and_seeks(page, name, state):
    laid = lay(BY_NAME[name].steps)
    made = shown(page, laid.partial if state == "partial" else laid.whole, [0.2, 1.2, 1.7])
    if state == "whole":
        last = max(unit.pts + unit.duration for unit in laid.units) - real.START
        assert made["duration"] == pytest.approx(last / 90_000, abs=0.65)


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("state", ["partial", "whole"])
def test_chromium_follows_a_change_of_size(page, state, fed):
    if fed and state == "whole":
        return  # MediaSource takes fragments alone
    laid = lay(BY_NAME["new_size"].steps)
    made = shown(page, laid.partial if state == "partial" else laid.whole, [0.5, 1.5, 2.5], H264 if fed else "")
    assert made["sizes"] == [[320, 180], [240, 240], [320, 180]]


@pytest.mark.parametrize("state", ["partial", "whole"])
def test_frames_after_a_change_are_decoded_as_they_are_alone(state):
    laid = lay(BY_NAME["new_size"].steps)
    alone = []
    for width, height in ((320, 180), (240, 240), (320, 180)):
        context = av.CodecContext.create("h264", "r")
        for unit in real.video(Codec.H264, width, height, 25).units:
            alone += context.decode(av.Packet(unit.data))
        alone += context.decode(None)
    with av.open(BytesIO(laid.partial if state == "partial" else laid.whole)) as container:
        found = list(container.decode(video=0))
    assert [(one.width, one.height) for one in found] == [(one.width, one.height) for one in alone]
    assert [bytes(one.planes[0]) for one in found] == [bytes(one.planes[0]) for one in alone]


PARSERS = {
    "h264_aac": H264_PARSER,
    "new_size": H264_PARSER,
    "audio_first": H264_PARSER,
    "gap": H264_PARSER,
    "vp9_opus": "vp9parse ! video/x-vp9,alignment=super-frame",
    "av1_flac": "av1parse ! video/x-av1,alignment=tu",
}


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("state", ["partial", "whole"])
def test_gstreamer_finds_each_access_unit(name, state, tmp_path):
    path = tmp_path / "made.mp4"
    laid = lay(BY_NAME[name].steps)
    path.write_bytes(laid.partial if state == "partial" else laid.whole)
    parsed = f"! qtdemux name=d d.video_0 ! queue ! {PARSERS[name]}"
    counted = "! identity silent=false ! fakesink"
    done = run("gst-launch-1.0", "-v", "filesrc", f"location={path}", *parsed.split(), *counted.split())
    assert done.returncode == 0, done.stderr
    assert not re.search("WARNING|ERROR", done.stdout + done.stderr)
    count = len(re.findall(r"identity0: last-message = chain", done.stdout))
    assert count == sum(unit.stream == 0 for unit in laid.units)
