"""What counts as a disagreement, and what a word about it excuses."""

from dataclasses import replace

import pytest

from .comparing import Row, expected, pairs, recording_disagreements, verify_disagreements
from .probing import Probe, Stream
from .trying import Try

VIDEO = Stream(0, "video", "h264", packets=40, frames=40, width=160, height=120, begin_s=0.0, end_s=1.56)
WOVEN = replace(VIDEO, field_order="tt")
AUDIO = Stream(1, "audio", "aac", packets=76, frames=76, channels=2, begin_s=0.0, end_s=1.6)
REASON = Try(told=["stream 0: 5 packets could not be decoded"])


def seen(*streams: Stream) -> Probe:
    return Probe("mpegts", streams, (), ())


def disagreements(before: list[Stream], after: list[Stream], made: Try | None = None) -> dict[str, str]:
    made = made or Try()
    source = seen(*before)
    return recording_disagreements(source, expected(source, made), made, seen(*after))


def test_the_same_is_no_disagreement():
    assert disagreements([VIDEO, AUDIO], [VIDEO, AUDIO]) == {}
    assert pairs([VIDEO], seen(VIDEO)) == ["h264 40p 40f 1.56s -> h264 40p 40f 1.56s"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"frames": 35, "packets": 35}, "record: video frames"),
        ({"frames": 45}, "record: video shown"),
        ({"end_s": 1.4}, "record: video duration"),
        ({"width": 320}, "record: video shape"),
        ({"unordered": 1}, "record: video order"),
        ({"packets": 0}, "record: video missing"),
    ],
)
def test_each_difference_is_named(change, kind):
    assert set(disagreements([VIDEO, AUDIO], [replace(VIDEO, **change), AUDIO])) == {kind}


def test_a_reason_excuses_what_is_less_but_not_what_is_wrong():
    fewer = replace(VIDEO, packets=35, frames=35)
    assert disagreements([VIDEO], [fewer], REASON) == {}
    assert set(disagreements([VIDEO], [replace(fewer, unordered=2)], REASON)) == {"record: video order"}


def test_what_is_deinterlaced_by_its_own_word_may_be_progressive():
    told = Try(told=["its frames are interlaced: they are deinterlaced"])
    assert disagreements([WOVEN], [VIDEO], told) == {}
    assert set(disagreements([WOVEN], [VIDEO], REASON)) == {"record: video shape"}
    assert disagreements([VIDEO], [WOVEN]) == {}  # the container did not say


def test_packets_that_an_edit_list_hides_may_be_left_out():
    assert disagreements([replace(AUDIO, packets=90, hidden=14)], [AUDIO]) == {}
    assert set(disagreements([replace(AUDIO, packets=90)], [AUDIO])) == {"record: audio frames"}


def test_a_stream_that_the_log_leaves_out_is_not_expected():
    second = replace(AUDIO, index=2)
    told = Try(told=["clip.ts: stream 2 (aac) is not recorded: it belongs to another program"])
    assert disagreements([VIDEO, AUDIO, second], [VIDEO, AUDIO], told) == {}
    assert set(disagreements([VIDEO, AUDIO, second], [VIDEO, AUDIO])) == {"record: audio missing"}
    assert set(disagreements([VIDEO], [VIDEO, AUDIO])) == {"record: streams"}
    none = Try(told=["clip.ts: stream 0 (h264) is left out: its coding is not known"])
    assert set(disagreements([VIDEO, AUDIO], [AUDIO], none)) == {"record: no video"}


def test_streams_keep_their_distance():
    later = replace(AUDIO, begin_s=0.3, end_s=1.9)
    assert set(disagreements([VIDEO, AUDIO], [VIDEO, later])) == {"record: sync"}


def test_verify_counts_as_ffprobe_does():
    def one(codec: str, units: int, pictures: int, duration_s: float) -> dict[str, object]:
        rate = pictures / duration_s if pictures else None
        return {
            "codec": codec,
            "access_units": units,
            "frames": pictures,
            "duration_s": duration_s,
            "frame_rate": rate,
        }

    right = [one("h264", 40, 40, 1.6), one("aac", 76, 0, 1.6)]
    assert verify_disagreements(seen(VIDEO, AUDIO), {"ok": True, "streams": right}) == {}
    fewer = [one("h264", 35, 35, 1.6), one("aac", 76, 0, 1.2)]
    found = verify_disagreements(seen(VIDEO, AUDIO), {"ok": True, "streams": fewer})
    assert set(found) == {"verify: count", "verify: duration"}
    assert set(verify_disagreements(seen(VIDEO, AUDIO), {"ok": True, "streams": right[:1]})) == {"verify: streams"}
    assert verify_disagreements(seen(VIDEO, AUDIO), {"ok": False, "streams": fewer}) == {}


def test_a_row_has_a_state():
    assert Row("clip.ts").to_dict()["state"] == "agrees"
    assert Row("clip.ts", told=["cut off"]).state == "told"
    assert Row("clip.ts", told=["cut off"], disagreements={"look": "dark"}).state == "disagrees"
