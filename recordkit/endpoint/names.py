"""Names of streams, and of the files that are made of them: nothing in them can leave the folder."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..errors import SettingsError
from ..names import SUFFIXES, is_partial, partial_of, stem_of, suffix_of

STREAM_RULE = "1 to 64 letters, digits, dots, hyphens and underscores, not beginning with a dot or a hyphen"
_STREAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_FIELDS = {"stream", "time", "counter"}
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_LONGEST_STREAM = "s" * 64
_LONGEST_NAME_BYTES = 200
"""Of the 255 that file systems have: the partial, the tail and the log need endings of their own."""


def is_stream_name(text: str) -> bool:
    """Whether ``text`` may be a stream's name, see STREAM_RULE."""
    return _STREAM.fullmatch(text) is not None


def check_template(template: str) -> None:
    """Refuse a template that could give a name outside the folder, or the same name twice.

    Raises SettingsError.
    """
    try:
        parts = list(string.Formatter().parse(template))
        fields = {field for _, field, _, _ in parts if field is not None}
        if not fields <= _FIELDS or any(conversion for _, _, _, conversion in parts):
            raise SettingsError("name_template", template, "only {stream}, {time} and {counter} can stand in it")
        # Padding shows with a short number, the length with a long one.
        names = [_fill(template, _LONGEST_STREAM, datetime(2000, 1, 1, tzinfo=UTC), count) for count in (1, 10**9)]
    except (ValueError, KeyError, IndexError) as error:
        raise SettingsError("name_template", template, f"is no template: {error}") from error
    if "counter" not in fields:
        raise SettingsError("name_template", template, "needs {counter}, which tells two recordings apart")
    if any(Path(name).name != name or name.startswith(".") or "\0" in name for name in names):
        raise SettingsError("name_template", template, "must give a plain file name, without folders")
    if not suffix_of(template) or is_partial(template):
        raise SettingsError("name_template", template, f"must end in {' or '.join(SUFFIXES)}")
    if max(len(name.encode()) for name in names) > _LONGEST_NAME_BYTES:
        raise SettingsError("name_template", template, f"gives names of over {_LONGEST_NAME_BYTES} bytes")


def paths(folder: Path, template: str, stream: str, time_ns: int, first: int = 1, step: int = 1) -> Iterator[Path]:
    """Paths for a recording of ``stream`` that are free as far as one can see, counted from ``first`` on.

    ``step`` is what is counted by, ``time_ns`` the wall clock's; it stands in names as UTC.
    """
    moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
    counter = first
    while True:
        path = folder / _fill(template, stream, moment, counter)
        if not path.exists() and not path.with_name(partial_of(path.name)).exists():
            yield path
        counter += step


def _fill(template: str, stream: str, moment: datetime, counter: int) -> str:
    name = template.format(stream=stream, time=moment.strftime(_TIME_FORMAT), counter=counter)
    # A stream may be called "recording": the ending of unfinished recordings is kept for those.
    return f"{stem_of(name)}-recording{suffix_of(name)}" if is_partial(name) else name
