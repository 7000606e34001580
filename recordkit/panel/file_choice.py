"""A file, a URL or a device as the source of a panel: what may be typed in, and by whom."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path

import ipywidgets as widgets

from ..errors import SettingsError
from ..names import SUFFIXES, is_partial
from ..sources.media_file import MediaFile
from ..sources.protocols import protocol_of
from ..values import named_values
from .parts import LABELLED, row, small, wide

FOLLOWED = ("rtsp", "http", "https", "hls", "udp", "srt")
"""The protocols of URLs that may be typed into a panel: it may be shown to strangers (Voila)."""
_FOR_STRANGERS = (
    "rtsp_transport", "timeout", "user_agent", "referer", "headers", "passphrase", "latency", "max_delay",
    "reorder_queue_size",
)  # fmt: skip
"""Options that open neither a file nor a port, and take no memory."""
_CAMERA = "/dev/video"
_MOST_OFFERED = 200


class FileChoice:
    """A file below ``folder`` or a URL, by ``protocols``; where those are None, anything, a device as well."""

    label = "File or URL"
    returns = True

    def __init__(self, folder: Path = Path(), protocols: tuple[str, ...] | None = FOLLOWED) -> None:
        self._folder = folder
        self._protocols = protocols
        cameras = "/dev/video0, " if protocols is None else ""
        self.url = widgets.Combobox(
            placeholder=f"clip.mp4, {cameras}https://…, rtsp://…", options=self._offered(), description="Address",
            style=LABELLED, layout=wide(),
        )  # fmt: skip
        self.transcode = widgets.Checkbox(
            description="Re-encode", indent=False, layout=widgets.Layout(width="130px")
        )
        self.format = widgets.Text(
            placeholder="by itself", description="Input format", style=LABELLED, layout=small()
        )
        self.options = widgets.Text(
            placeholder="rtsp_transport=tcp timeout=5000000", description="Options", style=LABELLED, layout=wide()
        )
        self.box = widgets.VBox([row(self.url, self.transcode), row(self.format, self.options)])

    def source(self) -> MediaFile:
        """The source, as the form stands. Raises SettingsError."""
        url = self.url.value.strip()
        if not url:
            raise SettingsError("address", "", "give the path or URL of what is to be recorded")
        allowed = self._protocols
        if allowed is not None and protocol_of(url) == "file" and "file" not in allowed:
            url, allowed = self._below_folder(url), ("file",)
        return MediaFile(
            url=url,
            format=self.format.value.strip() or ("v4l2" if url.startswith(_CAMERA) else None),
            options=self._options(),
            transcode=self.transcode.value,
            transcode_audio=self.transcode.value,
            protocols=allowed,
        )

    def _options(self) -> dict[str, str]:
        try:
            options = named_values("options", shlex.split(self.options.value))
        except ValueError as error:  # a quotation without its end
            if isinstance(error, SettingsError):
                raise
            raise SettingsError("options", self.options.value, str(error)) from error
        refused = [] if self._protocols is None else [one for one in options if one not in _FOR_STRANGERS]
        if refused:
            may = ", ".join(_FOR_STRANGERS)
            raise SettingsError("options", refused[0], f"here only {may}; RecordingPanel(protocols=None) takes all")
        return options

    def _below_folder(self, url: str) -> str:
        """The path, from here or from the panel's folder, whose files alone may be chosen from."""
        folder = self._folder.resolve()
        given = Path(url.removeprefix("file:"))
        with suppress(OSError, ValueError):  # a name that no file can have
            for path in (given.resolve(), (folder / given).resolve()):
                if path.is_relative_to(folder) and path.exists():
                    return str(path)
        raise SettingsError(
            "address",
            url,
            f"there is no such file below {self._folder}, and this panel opens no other files and no devices; "
            "RecordingPanel(protocols=None) does",
        )

    def _offered(self) -> list[str]:
        """What can be chosen: this machine's cameras, if they may be opened, and the files of the folder."""
        found = sorted(str(one) for one in Path("/dev").glob("video*")) if self._protocols is None else []
        with suppress(OSError):  # it is not there yet
            names = os.listdir(self._folder)  # noqa: PTH208 - which makes no Path of each
            found += sorted(one for one in names if one.endswith(SUFFIXES) and not is_partial(one))
        return found[:_MOST_OFFERED]
