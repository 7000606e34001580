"""Which files are meant: by path, pattern or folder, found one after the other and never all listed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import SettingsError, SourceError
from ..names import TAIL_SUFFIX, is_partial, stem_of
from .suffixes import EXPORTING, MEDIA

_MAGIC = re.compile(r"[*?[]")
_ANY_DEPTH = "**"
_ADVICE = "give a path, a folder, a pattern such as 'archive/**/*.ts', or a list of them"
_REPAIRING = ".repairing"


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its ``path``, and ``below``, the part of it below the folder or pattern that was asked for.

    ``problem`` says why a folder cannot be listed, whose path it is then.
    """

    path: str
    below: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a folder is meant: files with one of ``suffixes`` that are no partials.

    With ``unfinished`` the final names of what was left unfinished; nothing below the folder ``apart``.
    """

    suffixes: tuple[str, ...] = MEDIA
    unfinished: bool = False
    apart: str | None = None


def is_pattern(text: str) -> bool:
    """Whether ``text`` is a pattern, and no file has it for its name."""
    return bool(_MAGIC.search(text)) and not os.path.lexists(text)


def given(name: str, what: Any) -> list[str]:  # noqa: ANN401 - whatever a caller gives
    """What was asked for, as text: a path, a pattern, a folder, or several of them. Raises SettingsError."""
    several = [what] if isinstance(what, str | os.PathLike) else what
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise SettingsError(name, what, _ADVICE)
    texts = []
    for one in several:
        one = getattr(one, "path", one)
        if not isinstance(one, str | os.PathLike) or isinstance(one, bytes) or "\0" in os.fspath(one):
            raise SettingsError(name, one, _ADVICE)
        text = os.fspath(one)
        texts.append(text if "://" in text else os.path.expanduser(text))  # noqa: PTH111 - '//' of a pattern stays
    return texts


def find(what: Collection[str], wanted: Wanted) -> Iterator[Found]:
    """The files of ``what``, each when it is found. Of folders all below them, links to folders left out.

    Files and folders whose names begin with a dot are left out unless they are named.
    """
    for text in what:
        if "://" in text:
            yield from _elsewhere(text, wanted)
        elif is_pattern(text):
            start, parts = _split(text)
            yield from _matching(start or os.curdir, start, parts, wanted)
        elif os.path.isdir(text):  # noqa: PTH112 - text is kept as it was given
            yield from _below(text, text, wanted)
        else:
            yield Found(text, os.path.basename(text))  # noqa: PTH119


def _elsewhere(url: str, wanted: Wanted) -> Iterator[Found]:
    """The files of a URL, which is one, a folder or a pattern, as fsspec lists it."""
    from ..reading.remote import asked

    try:
        files, path = asked(url, lambda: import_module("fsspec").core.url_to_fs(url))
        is_many = bool(_MAGIC.search(path))
        if not is_many and not asked(url, lambda: files.isdir(path)):
            yield Found(url, path.rsplit("/", 1)[-1])
            return
        top = _split(path)[0] if is_many else path
        listed = iter([asked(url, lambda: files.glob(path))]) if is_many else _walked(files, path)
        while (names := asked(url, lambda: next(listed, None))) is not None:
            for one in names:
                name = one.rsplit("/", 1)[-1]
                if name.lower().endswith(wanted.suffixes) and not name.startswith(".") and not is_partial(name):
                    yield Found(files.unstrip_protocol(one), one.removeprefix(top).lstrip("/"))
    except SourceError as error:
        yield Found(url, url, str(error).removeprefix(f"{url}: "))


def _walked(files: Any, path: str) -> Iterator[list[str]]:  # noqa: ANN401 - a file system of fsspec
    """The files below ``path``, folder by folder."""
    for folder, _, names in files.walk(path, on_error="raise"):
        yield [f"{folder.rstrip('/')}/{name}" for name in sorted(names)]


def _split(pattern: str) -> tuple[str, list[str]]:
    """The folder before the first part of ``pattern`` that is one, and the parts from there on."""
    parts = pattern.split("/")
    first = next(number for number, part in enumerate(parts) if _MAGIC.search(part))
    start = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else "")
    return start, [part for part in parts[first:] if part]


def _listed(folder: str, top: str) -> Iterator[os.DirEntry[str] | Found]:
    """The entries of ``folder``, in the order in which the system has them; why they cannot be had."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        yield Found(folder, _inside(folder, top), f"cannot be listed: {error.strerror}")


def _inside(path: str, top: str) -> str:
    """``path``, which was found in ``top``, as it is below it. What relpath says, at a fraction of its cost."""
    return path.removeprefix(f"{(top or os.curdir).rstrip('/')}/").lstrip("/")


def _below(folder: str, top: str, wanted: Wanted) -> Iterator[Found]:
    folders: list[str] = []
    seen: set[str] = set()
    for entry in _listed(folder, top):
        if isinstance(entry, Found):
            yield entry
        elif entry.name.startswith("."):
            continue
        elif _is_folder(entry):
            folders.append(entry.path)
        elif wanted.unfinished:
            if not is_partial(entry.name) and not entry.name.endswith(TAIL_SUFFIX):
                continue
            from ..recovery.names import final_name

            final = str(final_name(Path(entry.path)))
            if final not in seen:
                seen.add(final)
                yield Found(final, _inside(final, top))
        elif _is_meant(entry, wanted):
            yield Found(entry.path, _inside(entry.path, top))
    for one in sorted(folders):
        if wanted.apart is None or os.path.realpath(one) != wanted.apart:
            yield from _below(one, top, wanted)


def _matching(folder: str, top: str, parts: list[str], wanted: Wanted, *, deep: bool = False) -> Iterator[Found]:
    """What lies in ``folder`` and matches ``parts``, of which ``**`` is any depth: ``deep`` after one.

    A pattern without a suffix means what is meant of a folder, and one that matches a folder all of that.
    """
    if not parts or parts == [_ANY_DEPTH]:
        yield from _below(folder, top, wanted)
        return
    first, rest = parts[0], parts[1:]
    if first == _ANY_DEPTH:
        yield from _matching(folder, top, rest, wanted, deep=True)
        rest = parts
    fits = re.compile(translate("*" if first == _ANY_DEPTH else first)).match
    folders: list[str] = []
    for entry in _listed(folder, top):
        if isinstance(entry, Found):
            if first != _ANY_DEPTH:  # else it was told already
                yield entry
        elif (entry.name.startswith(".") and not first.startswith(".")) or not fits(entry.name):
            continue
        elif _is_folder(entry):
            folders.append(entry.path)
        elif not rest and (_is_meant(entry, wanted) if "." not in first else _is_file(entry)):
            path = entry.path if top else os.path.normpath(entry.path)
            yield Found(path, _inside(path, top))
    for one in sorted(folders):
        if wanted.apart is not None and os.path.realpath(one) == wanted.apart:
            continue
        if rest:
            yield from _matching(one, top, rest, wanted, deep=deep or first == _ANY_DEPTH)
        elif not deep:
            yield from _below(one, top, wanted)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_temporary(name: str) -> bool:
    return name.endswith(EXPORTING) or stem_of(name).endswith(_REPAIRING)


def _is_meant(entry: os.DirEntry[str], wanted: Wanted) -> bool:
    name = entry.name.lower()
    if not name.endswith(wanted.suffixes) or is_partial(name):
        return False
    return _is_file(entry)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        # A link may lead to a folder; a file that has vanished is told by its row.
        return not entry.is_dir() and not _is_temporary(entry.name)
    except OSError:
        return True
