"""``rk.open``: which way a file is read, by what it is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError
from ..names import is_partial, suffix_of
from ..telemetry.table import read_rows, table_path
from .cache import CONTAINER, Cached, Found
from .container import ContainerTrack
from .fragments import FragmentTrack
from .growing import Growing
from .joined import JoinedTrack
from .located import located, named
from .places import Further, segments_of, several
from .remote import remote
from .store import FileStore
from .track import Track
from .transport import TransportTrack
from .transport_units import is_transport_stream
from .video import Video


def open(source: Any) -> Video:  # noqa: A001, ANN401 - recordkit.open is its name; whatever has a path
    """The frames of ``source``: a path, a Recording, a Session, a Video, or a URL.

    A recording in several files (``Segments``) is opened as one: by its Recording, its folder, the pattern of its
    names, or a list of paths.

    A URL that fsspec knows (s3, gs, http; the extra ``remote``) is read by ranges, with the frame table that lies
    beside it; any other is left to libavformat.

    A recording that is being written is read while it grows: its partial and its tail, without a lock.

    Raises SourceError if it cannot be opened or holds no video.
    """
    paths = segments_of(source)
    if paths is not None:
        return _joined(source, paths)
    text = named(source)
    if isinstance(text, str) and "://" in text:
        return Video(Path(text), _elsewhere(text), None, open, url=text)
    path, tail = located(source)
    if not path.is_file():
        return Video(path, _elsewhere(str(path)), None, open)
    try:
        store = FileStore(path, tail)
    except SourceError:
        # It was committed in this moment.
        path, tail = located(source)
        store = FileStore(path, tail)
    with ExitStack() as left:
        left.callback(store.close)
        cached = Cached(path, store)
        found = None if store.is_growing else cached.read()
        track = _own(path, store, cached, found)
        if track is not None:
            left.pop_all()
            return Video(path, track, store, open)
        return Video(path, _container(path, store, cached, found), None, open)


def _joined(source: Any, paths: list[Path]) -> Video:  # noqa: ANN401 - see open
    with ExitStack() as left:
        parts = [left.enter_context(open(path)) for path in paths]
        if not parts:
            raise SourceError(repr(source), "names no file")
        pattern = several(source)
        further = None if pattern is None else Further(pattern)
        path = parts[0].path.parent if len(parts) > 1 or further is not None else parts[0].path
        track = JoinedTrack(str(path), parts, open, further)
        left.pop_all()
        return Video(path, track, track, open, marks=track.marks)


def _elsewhere(url: str) -> Track:
    """What is no file here: read by ranges if it can be, else by libavformat, which says so if there is none."""
    store = remote(url)
    if store is None:
        return ContainerTrack(url)
    if is_transport_stream(store):
        track = TransportTrack(store, is_growing=False, rows=store.rows())
        if track.is_readable:
            return track
    return ContainerTrack(url, store, store.rows(), reads=store)


def _own(path: Path, store: FileStore, cached: Cached, found: Found | None) -> Track | None:
    """The video as recordkit itself reads it; None if that is left to libavformat."""
    partial = suffix_of(path.name) if is_partial(path.name) else ""
    if partial == ".mp4":
        fragments = FragmentTrack(store, table_path(path))
        if fragments.has_video:
            return fragments
    if found is not None and found.reader == CONTAINER:
        return None
    if partial == ".ts" or is_transport_stream(store):
        track = _transport(path, store, cached, found)
        if track.is_readable:
            return track
        if store.is_growing and track.has_no_frame_yet:
            # A moment later libavformat would see its beginning, and take it for all there is.
            raise SourceError(str(path), "holds no video that can be decoded yet")
    return None


def _transport(path: Path, store: FileStore, cached: Cached, found: Found | None) -> TransportTrack:
    """A transport stream by its frame table, by what an earlier scan of it found, or by a new one."""
    growing, rows = store.is_growing, read_rows(table_path(path))
    if growing or rows is not None:
        return TransportTrack(store, is_growing=growing, rows=rows)
    if found is None:
        track = TransportTrack(store, is_growing=False)
    else:
        track = TransportTrack(store, is_growing=False, found=found)
    if track.is_readable and not track.is_from_table:
        cached.write(track.found)
    return track


def _container(path: Path, store: FileStore, cached: Cached, found: Found | None) -> ContainerTrack:
    """Any other file by its own tables, by what an earlier scan of it found, or by a new one."""
    if found is not None and found.reader != CONTAINER:
        found = None
    track = ContainerTrack(str(path), store, read_rows(table_path(path)), found)
    if not track.is_from_table and (track.found.keys is None or _is_told_by_times(track)):
        cached.write(track.found)
    return track


def _is_told_by_times(track: ContainerTrack) -> bool:
    """Whether the order that was learnt by decoding is that of the times: the units alone are kept."""
    found = track.found
    again = Growing(found.time_base, found.units.copy())
    return np.array_equal(again.index.order, track.index.order)
