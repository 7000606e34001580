"""Any file, URL or device that PyAV can open."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass

from ..bitstream.language import three_letters
from ..encode.vui import pixel_aspect
from ..model import Codec
from ..mpegts.tables import CARRIED as IN_TRANSPORT_STREAM
from ..system import Clock
from .media_settings import MediaFileSettings
from .source import OpenSource, Source

_MAY_END = {"http", "https", "pipe", "file"}
"""Here a producer that has done its work looks the same as one that died."""


class MediaFile(MediaFileSettings):
    """Records ``url``: a path, a URL, or a device together with its ``format`` (``"v4l2"``, ``"lavfi"``).

    Streams in H.264, H.265, AAC, MP3, MP2, AC-3, E-AC-3, DTS or Opus are passed through, into an MP4 those in VP9,
    AV1 and FLAC as well; all others are decoded.
    ``transcode`` decodes the video too where it need not be (``transcode_audio`` the audio), ``fps`` gives
    frames at that rate and so decodes them. ``options`` go to libavformat as they are. ``protocols`` ("https",
    "hls", "file"; None: all) are those that may be followed, by redirects and playlists, too: for strangers' URLs.

    Of several programmes one is taken: ``program`` (from 1, as they stand), or that of the largest video. Of
    that, its largest video stream and all audio streams are, or those that ``audio`` names by languages and
    stream numbers ("deu,3"). The log names all that is left out. A packet that cannot be decoded is left out
    and counted in the log; a live source silent for 30 s ends with SourceError.

    The video of an RTSP camera that sends reports (RFC 3550, 6.4.1) has the camera's own time in ``captured`` from
    its first report on; libavformat hands it on as side data.

    With ``reconnect=rk.Reconnect()`` a live source that goes away is asked for again, and goes on in the same
    recording: the gap has its true length and is an event, parameters may have changed, and the state is
    ``degraded`` meanwhile. It must be there at the start. Live is what has no end of its own: RTSP, RTMP, SRT, UDP,
    TCP, HTTP without a length, HLS, and devices. Files, pipes, HTTP with a length, RTSP with a duration and an HLS
    playlist that is finished (EXT-X-ENDLIST) end where they end.
    """

    def into(self, carried: Collection[Codec], clock: Clock, stop: threading.Event) -> Source:
        """The same for a recording that has a place for ``carried``, goes by ``clock`` and ends by ``stop``."""
        return _Into(self, carried, clock, stop)

    @contextmanager
    def open(
        self,
        carried: Collection[Codec] = IN_TRANSPORT_STREAM,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[OpenSource]:
        """Open it; raises SourceError where that fails, or nothing in it can be recorded.

        ``carried`` are the codings that the recording has a place for. One that comes back is waited for by
        ``clock`` until ``stop`` is set.
        """
        from .returning import Returning  # a worker that records something else needs none of it

        with closing(Returning(self, carried, clock or Clock(), stop or threading.Event())) as returning:
            first = returning.connection
            video, audio = first.choice.video, first.choice.audio
            yield OpenSource(
                items=returning.items(),
                has_video=video is not None,
                has_audio=bool(audio),
                frame_rate=first.frame_rate,
                pixel_aspect=None if video is None else pixel_aspect(video),
                languages=tuple(three_letters(stream.language) for stream in audio),
                troubles=first.choice.troubles,
                is_live=first.is_live,
                may_end=self.url.split(":", 1)[0] in _MAY_END or "://" not in self.url,
            )


@dataclass(frozen=True)
class _Into:
    """A media file as one kind of recording takes it."""

    file: MediaFile
    carried: Collection[Codec]
    clock: Clock
    stop: threading.Event

    @property
    def name(self) -> str:
        return self.file.name

    def open(self) -> AbstractContextManager[OpenSource]:
        return self.file.open(self.carried, self.clock, self.stop)
