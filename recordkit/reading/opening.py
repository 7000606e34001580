"""``rk.open``: which way a file is read, by what it is."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError
from ..names import is_partial, suffix_of
from ..telemetry.table import read_rows, table_path
from .cache import Cached, Found
from .container import ContainerTrack
from .fragments import FragmentTrack
from .index import Growing
from .located import located
from .remote import remote
from .store import FileStore
from .track import Track
from .transport import TransportTrack
from .transport_units import is_transport_stream
from .video import Video


def open(source: Any) -> Video:  # noqa: A001, ANN401 - recordkit.open is its name; whatever has a path
    """The frames of ``source``: a path, a Recording, a Session, or a URL.

    A URL that fsspec knows (s3, gs, http; the extra ``remote``) is read by ranges, with the frame table that lies
    beside it; any other is left to libavformat.

    A recording that is being written is read while it grows: its partial and its tail, without a lock.

    Raises SourceError if it cannot be opened or holds no video.
    """
    path, tail = located(source)
    if not path.is_file():
        text = os.fspath(getattr(source, "path", source))
        return Video(path, _elsewhere(text), None, open)
    try:
        store = FileStore(path, tail)
    except SourceError:
        # It was committed in this moment.
        path, tail = located(source)
        store = FileStore(path, tail)
    with ExitStack() as left:
        left.callback(store.close)
        track = _own(path, store)
        if track is not None:
            left.pop_all()
            return Video(path, track, store, open)
        return Video(path, _container(path, store), None, open)


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


def _own(path: Path, store: FileStore) -> Track | None:
    """The video as recordkit itself reads it; None if that is left to libavformat."""
    if is_partial(path.name) or is_transport_stream(store):
        track = _transport(path, store)
        if track.is_readable:
            return track
    if is_partial(path.name) and suffix_of(path.name) == ".mp4":
        fragments = FragmentTrack(store)
        if fragments.has_video:
            return fragments
    return None


def _transport(path: Path, store: FileStore) -> TransportTrack:
    """A transport stream by its frame table, by what an earlier scan of it found, or by a new one."""
    growing, rows = store.is_growing, read_rows(table_path(path))
    if growing or rows is not None:
        return TransportTrack(store, is_growing=growing, rows=rows)
    cached = Cached(path)
    found = cached.read()
    track = TransportTrack(store, is_growing=False, rows=None if found is None else found.units)
    index = track.index
    # Of a clock that begins anew the head does not tell the first time of all.
    if track.is_readable and not track.is_from_table and not (np.diff(index.dts) < 0).any():
        cached.write(Found(index.time_base, index.units, None))
    return track


def _container(path: Path, store: FileStore) -> ContainerTrack:
    """Any other file by its own tables, by what an earlier scan of it found, or by a new one."""
    cached = Cached(path)
    track = ContainerTrack(str(path), store, read_rows(table_path(path)), cached.read())
    if not track.is_from_table:
        found = track.found
        again = Growing(found.time_base, found.units.copy())
        if np.array_equal(again.index.order, track.index.order):
            cached.write(found)
    return track
