"""Errors as JSON and back: the same type with the same words and fields on the other side."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..errors import RecordkitError, SettingsError
from .description import describe, restore


def describe_error(error: RecordkitError) -> dict[str, Any]:
    """The error's type, words and fields."""
    return {
        "name": type(error).__name__,
        "words": str(error),
        "fields": {name: _described(name, value) for name, value in vars(error).items()},
    }


def _described(name: str, value: object) -> object:
    try:
        return describe(name, value)
    except SettingsError:  # the very value that a SettingsError complains about, perhaps
        return repr(value)


def restore_error(document: Any) -> RecordkitError:  # noqa: ANN401 - whatever came
    """The error that was described; a RecordkitError where this recordkit does not know its type."""
    if not isinstance(document, dict):
        return RecordkitError(f"the worker told of an error that cannot be read: {document!r}")
    kind = getattr(errors, str(document.get("name")), None)
    if not (isinstance(kind, type) and issubclass(kind, RecordkitError)):
        kind = RecordkitError
    words = str(document.get("words"))
    # Past its own __init__, which makes the words from the fields: they have been made already.
    error: RecordkitError = kind.__new__(kind, words)
    Exception.__init__(error, words)
    for name, value in dict(document.get("fields") or {}).items():
        setattr(error, str(name), restore(str(name), value))
    return error
