"""HDR metadata: what stands beside decoded frames stands beside the encoded ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from recordkit.encode.mastering import is_hdr, mastering_of
from recordkit.encode.orientation import orientation_of
from recordkit.recorder.record import record
from recordkit.sources.media_file import MediaFile
from tests.media import make_clip

KINDS = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
PQ = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
GRADED = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


def hdr(path: Path, parameters: str) -> Path:
    options = {"x265-params": f"log-level=none:{parameters}"}
    return make_clip(path, video="libx265", audio=[], seconds=0.3, pixel_format="yuv420p10le", options=options)


def beside(path: Path) -> list[bytes | None]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        found = [frame.side_data.get(kind) for kind in KINDS]
    return [None if one is None else bytes(one) for one in found]


@pytest.mark.parametrize("parameters", [f"{PQ}:{GRADED}", PQ, f"{PQ}:max-cll=600,0"])
def test_a_recording_that_is_encoded_anew_says_what_the_film_says(parameters: str, tmp_path: Path) -> None:
    film = hdr(tmp_path / "film.mp4", parameters)
    record(MediaFile(url=str(film), transcode=True), tmp_path / "out.ts")
    assert beside(tmp_path / "out.ts") == beside(film)
    assert (beside(film)[0] is not None) == ("master-display" in parameters)


class Frame:
    """A frame of which one can say what stands beside it."""

    rotation = -90
    color_trc = 16

    def __init__(self, beside: dict[str, Any] | None) -> None:
        self._beside = beside

    @property
    def side_data(self) -> dict[str, Any]:
        if self._beside is None:
            raise ValueError("31 is not a valid Type")
        return self._beside


def test_what_changes_from_frame_to_frame_is_told_to_be_left_out() -> None:
    frame: Any = Frame({"DYNAMIC_HDR_PLUS": SimpleNamespace(), "DOVI_METADATA": SimpleNamespace()})
    assert mastering_of(frame).lost == ("Dolby Vision", "HDR10+")
    assert is_hdr(frame)
    frame.color_trc = 1
    assert not is_hdr(frame), "and so nothing is looked for when it is encoded"


def test_kinds_that_this_pyav_does_not_know_are_no_fault() -> None:
    frame: Any = Frame(None)
    assert mastering_of(frame).lost
    found = orientation_of(frame)
    assert found is not None
    assert (found.rotation, found.is_flipped) == (3 * 65_536 // 4, False)
    frame.rotation = 0
    assert orientation_of(frame) is None


def test_an_image_with_exif_is_recorded(tmp_path: Path) -> None:
    image = make_clip(tmp_path / "image.tiff", video="tiff", audio=[], seconds=0.04, fps=25, pixel_format="rgb24")
    assert record(MediaFile(url=str(image)), tmp_path / "out.ts").path is not None
