"""One recording as a player needs it: opened as soon as there is something, and read for each page that looks."""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import MediaError, RecordkitError, SourceError
from ..reading.chunks import ChunkReader, Piece
from ..reading.located import named
from ..reading.marking import Mark, MarksRead, mark_of
from ..reading.opening import open as open_video
from ..reading.video import Video
from .fate import Fate
from .titles import name_of_several, name_of_url

if TYPE_CHECKING:
    import pandas as pd

    from ..reading.frame import Frame
    from ..telemetry.schema import Record

log = logging.getLogger("recordkit")

MOST_READERS = 8
"""Pages and views beside each other; the one that has not asked for longest begins anew when it asks again."""
_LEAST_CHUNK, _MOST_CHUNK = 64 << 10, 1 << 20
_JPEG_QUALITY = 82
WAITING = "Nothing can be shown yet: the first frame has not come."


class Running(Protocol):
    """What a film needs of a Session."""

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end."""
        ...

    def mark(self, name: str) -> None:
        """Note this place."""
        ...

    def follow(self, follower: Callable[[Record], None]) -> Callable[[], None]:
        """Call ``follower`` with each record; what takes it off."""
        ...


class Film:
    """A recording to look at: ``source`` is what ``recordkit.open`` takes. One thread at a time.

    Up to ``most_readers`` views are read for beside each other.

    Raises SourceError if there is nothing, and nobody is recording it either.
    """

    def __init__(
        self,
        source: Any,  # noqa: ANN401 - as recordkit.open
        session: Running | None = None,
        *,
        most_readers: int = MOST_READERS,
    ) -> None:
        self._source = source
        self._most_readers = most_readers
        self.session = session
        given = named(source)
        self._joined = name_of_several(source)
        self._elsewhere = name_of_url(given)
        self._video: Video | None = None
        self._readers: OrderedDict[str, ChunkReader] = OrderedDict()
        self._refusal = ""
        self.marks: list[Mark] = []
        self._is_complete = False
        self.was_growing = False
        try:
            self._open()
        except SourceError:
            if session is None or session.has_ended:
                raise
        self.path = self._video.path if self._video is not None else Path(given)
        self._fate = Fate(self.path)
        # Those of several files are told by the session, or have all been made.
        self._log = MarksRead(self.path) if self._joined is None else None
        self.read_marks()

    @property
    def title(self) -> str:
        """The recording's name, as it is or will be."""
        return self._joined or self._elsewhere or self._fate.final.name

    @property
    def video(self) -> Video:
        """The frames. Raises SourceError as long as there are none."""
        if self._video is None:
            self._open()
        if self._video is None:
            raise SourceError(str(self.path), WAITING)
        return self._video

    @property
    def is_growing(self) -> bool:
        """Whether more may come."""
        if self._video is None:
            return self.session is not None and not self.session.has_ended
        return self._video.is_growing

    def _open(self) -> None:
        self._video = open_video(self._source)

    def refresh(self) -> int:
        """Look for what was written meanwhile, the last of it once that has ended; how many frames there are."""
        video = self.video
        if not self._is_complete:
            self._is_complete = not video.is_growing
            video.refresh()
        return len(video)

    def status(self) -> dict[str, Any]:
        """What a page is told: how much there is, what it is coded in, and what is amiss."""
        try:
            video = self.video
            count = self.refresh()
        except SourceError as error:
            if self.is_growing:
                return {"growing": True, "count": 0, "duration": 0.0, "words": WAITING}
            return {"growing": False, "count": 0, "duration": 0.0, "fault": str(error)}
        reader: ChunkReader | None = None
        try:
            reader = ChunkReader(video)
        except MediaError as error:
            self._refusal = str(error)
        width, height = self.size
        return {
            "growing": video.is_growing,
            "count": count,
            "duration": video.duration_s,
            "fps": video.fps,
            "width": width,
            "height": height,
            "video": "" if reader is None else reader.video_codec,
            "audio": "" if reader is None else reader.audio_codec,
            "audio_name": "" if reader is None else reader.audio_name,
            "refusal": "" if reader is not None else self._refusal,
            "words": self.amiss(),
        }

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame that can be decoded."""
        try:
            return self.video.size
        except RecordkitError:
            return 16, 9

    def amiss(self) -> str:
        """What a page is to say of the file, in words; mostly nothing."""
        if self._joined is not None:
            return ""  # the older ones of several may well be deleted
        return self._fate.words(is_growing=self._video is not None and self._video.is_growing)

    @property
    def is_one_file(self) -> bool:
        """Whether it is one file here, of which clips can be made."""
        return self._joined is None and self._elsewhere is None

    @property
    def file(self) -> Path:
        """Its file as it is called now: a recording that has ended has another name than while it was opened."""
        return self.path if self.path.exists() else self._fate.final

    @property
    def size_bytes(self) -> int:
        """How large its file is, of several what was recorded; 0 if it is gone."""
        if self._joined is not None:
            return int(getattr(self._source, "bytes", 0)) or int(self.video.coded_bytes)
        try:
            return self.file.stat().st_size
        except OSError:
            return 0

    def keyframe(self, number: int) -> int:
        """The keyframe that frame ``number`` needs, which is found without decoding others."""
        return self.video.keyframe_of(number)

    def piece(self, view: str, asked: Mapping[str, Any]) -> Piece:
        """Chunks for a page: from the frame ``number`` on, or from ``unit``. Raises RecordkitError."""
        self.refresh()
        reader = self._reader(view)
        limit = min(max(int(asked.get("bytes", 0)), _LEAST_CHUNK), _MOST_CHUNK)
        number = self.asked_for(asked)
        if number is not None:
            reader.begin(number, audio=bool(asked.get("audio", True)), after=bool(asked.get("after")))
            return reader.more(limit)
        return reader.more(limit, int(asked.get("unit", 0)))

    def asked_for(self, asked: Mapping[str, Any]) -> int | None:
        """The frame that a question names, by its number (-1: the newest) or its time; None if it names none."""
        video = self.video
        if "media_s" in asked:
            return video.showing(float(asked["media_s"]))
        if "number" not in asked:
            return None
        number = int(asked["number"])
        return max(len(video) + number if number < 0 else min(number, len(video) - 1), 0)

    def end_of(self, media_s: float) -> float | None:
        """When the frame that is showing at ``media_s`` gives way to the next one; None for the last."""
        video = self.video
        following = video.showing(media_s) + 1
        return video.time_of(following) if following < len(video) else None

    def _reader(self, view: str) -> ChunkReader:
        reader = self._readers.get(view)
        if reader is None:
            reader = self._readers[view] = ChunkReader(self.video)
            while len(self._readers) > self._most_readers:
                self._readers.popitem(last=False)
        self._readers.move_to_end(view)
        return reader

    def let_go(self, view: str) -> None:
        """A view was closed."""
        self._readers.pop(view, None)

    def image(self, number: int, width: int | None = None, *, kind: str = "jpeg") -> bytes:
        """Frame ``number`` as an image, at most ``width`` pixels wide. Raises RecordkitError."""
        from PIL import Image

        frame = self.frame(number)
        made = Image.fromarray(frame.image)
        if width is not None and width < made.width:
            made = made.resize((width, max(round(made.height * width / made.width), 1)))
        data = io.BytesIO()
        made.save(data, kind, quality=_JPEG_QUALITY)
        return data.getvalue()

    def frame(self, number: int) -> Frame:
        """Frame ``number``, the nearest one there is. Raises MediaError without any."""
        video = self.video
        if not len(video):
            raise MediaError("there is no frame yet")
        return video[min(max(number, 0), len(video) - 1)]

    def captured(self, number: int) -> pd.Timestamp | None:
        """When frame ``number`` was taken (UTC); None if nothing says so."""
        import pandas as pd

        if self._video is None or not 0 <= number < len(self._video):
            return None
        taken = self._video.taken(number)
        return None if taken is None else pd.Timestamp(taken.time_ns, unit="ns", tz="UTC")

    def read_marks(self) -> bool:
        """Look for marks that have come to the log; whether there are any."""
        if self._log is not None:
            found = self._log.more()
        else:
            found = [] if self.session is not None or self._video is None else self._video.marks_made()
        added = [self.add_mark(one) for one in found]
        return any(added)

    def take_record(self, record: object) -> bool:
        """A record as the recording's process tells it; whether it is a mark that was not known."""
        found = mark_of(record)
        return found is not None and self.add_mark(found)

    def add_mark(self, mark: Mark) -> bool:
        """Keep a mark in the order of time, once."""
        if mark in self.marks:
            return False
        self.marks = sorted([*self.marks, mark], key=lambda one: one.media_s)
        return True

    def close(self) -> None:
        """Close the file."""
        self._readers.clear()
        if self._video is not None:
            self._video.close()
