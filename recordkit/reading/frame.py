"""One frame of a video: as an image, as a file, with its times."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ..errors import MediaError, OutputAccessError, SettingsError
from ..model import Captured

if TYPE_CHECKING:
    import pandas as pd
    from av.video.frame import VideoFrame

log = logging.getLogger("recordkit")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video.

    ``number`` counts from 0 as a player shows them, ``media_s`` is when it is shown, in seconds from the first
    time of any of the file's streams. ``frame`` is PyAV's, ``is_damaged`` says that bytes of it, or of
    one that it may refer to, are missing.
    """

    number: int
    media_s: float
    keyframe: bool
    is_damaged: bool
    frame: VideoFrame = field(repr=False)
    taken: Captured | None = field(default=None, repr=False)

    @property
    def captured(self) -> pd.Timestamp | None:
        """When it was taken (UTC); None if nothing says so. ``taken`` has who says so, and how sure that is."""
        import pandas as pd

        return None if self.taken is None else pd.Timestamp(self.taken.time_ns, unit="ns", tz="UTC")

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """(height, width, 3), RGB, turned as the file says that it is to be shown."""
        return self._turned(self.frame.to_ndarray(format="rgb24"))

    def scaled(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        """The image scaled to ``width`` and ``height`` pixels as it is shown, each pixel the mean of its area."""
        sides = (height, width) if self._turns % 2 else (width, height)
        frame = self.frame.reformat(*sides, format="rgb24", interpolation="AREA")
        return self._turned(frame.to_ndarray())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of ``image``."""
        width, height = self.frame.width, self.frame.height
        return (height, width) if self._turns % 2 else (width, height)

    @property
    def _turns(self) -> int:
        return round(self.frame.rotation / 90) % 4

    def _turned(self, image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        turns = self._turns
        return cast("npt.NDArray[np.uint8]", np.ascontiguousarray(np.rot90(image, turns)) if turns else image)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The image, so that ``numpy.stack`` takes frames."""
        return self.image.astype(dtype or np.uint8, copy=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as an image; the suffix says which kind (".png", ".jpg", ".webp", ".tiff").

        Raises SettingsError for a suffix that is none of an image, OutputAccessError if it cannot be written.
        """
        from PIL import Image

        try:
            Image.fromarray(self.image).save(path)
        except ValueError as error:
            raise SettingsError("path", os.fspath(path), "end it in .png, .jpg, .webp or .tiff") from error
        except OSError as error:
            raise OutputAccessError(Path(path), f"cannot be written: {error.strerror or error}") from error

    def _repr_jpeg_(self) -> bytes:
        """What a notebook shows."""
        from PIL import Image

        data = io.BytesIO()
        Image.fromarray(self.image).save(data, "jpeg", quality=85)
        return data.getvalue()


def passing_over(name: str, numbers: Iterable[int], frame: Callable[[int], Frame]) -> Iterator[Frame]:
    """Those frames of ``name`` that can be decoded; the log says which is the first that cannot, and how many."""
    left_out = 0
    try:
        for number in numbers:
            try:
                found = frame(number)
            except MediaError as error:
                if not left_out:
                    log.warning("%s: it is left out", error)
                left_out += 1
                continue
            yield found
    finally:
        if left_out > 1:
            log.warning("%s: %d frames cannot be decoded, and are left out", name, left_out)
