"""What is said to help where a URL cannot be opened."""

from __future__ import annotations

import av
import pytest

from recordkit.demux import open_media
from recordkit.errors import SourceError
from recordkit.printable import discreet
from recordkit.remedies import remedy

REFUSED = av.error.HTTPUnauthorizedError(401, "Unauthorized")
WRONG = av.error.ArgumentError(22, "Invalid argument")
UNREAD = av.InvalidDataError(1, "Invalid data found when processing input")
BROKEN = av.error.PatchWelcomeError(1, "Not yet implemented in FFmpeg, patches welcome")


@pytest.mark.parametrize(
    ("url", "error", "helps"),
    [
        ("rtsp://cam/1", REFUSED, "%40 for @"),
        ("rtsp://bob:p@ss:w/rd?#%@cam:554/1", WRONG, "%40 for @"),
        ("rtsp://bob:pa/ss@cam/1", WRONG, "%40 for @"),
        ("rtsp://bob:p%40ss@cam:554/1", WRONG, ""),
        ("rtsp://cam:554/a@b", WRONG, ""),
        ("rtsp://bob@cam:554/1", WRONG, ""),
        ("rtsp://[::1]:554/a@b", WRONG, ""),
        ("http://radio/ogg", BROKEN, "--reconnect"),
        ("http://radio/ogg", WRONG, ""),
        ("https://cam/1", WRONG, "ca_file"),
        ("http://cam/live.mpd?x=1", UNREAD, ".m3u8"),
        ("http://cam/live.mpd", WRONG, ""),
        ("http://cam/live.ts", UNREAD, ""),
    ],
)
def test_a_message_ends_with_what_helps(url: str, error: Exception, helps: str) -> None:
    said = remedy(url, error, options={"tls_verify": "1"})
    assert helps in said
    assert discreet(said) == said, "it is shown as it is"
    assert bool(said) is bool(helps)
    assert "ss" not in said.replace("password", "").replace("PASSWORD", "")


def test_a_protocol_that_there_is_not_is_named_with_the_way_round() -> None:
    with pytest.raises(SourceError, match="srt-live-transmit") as raised:
        open_media("srt://127.0.0.1:9?passphrase=hunter2hunter2")
    assert "hunter" not in str(raised.value)
    with pytest.raises(SourceError, match="comes without rist"):
        open_media("rist://127.0.0.1:9")
