"""Errors travel with their type, words and fields."""

import errno
import json
from pathlib import Path

import pytest

from recordkit import errors
from recordkit.background.faults import describe_error, restore_error

TALK = Path("/there/talk.ts")
CASES = [
    errors.SettingsError("crf", 99, "give less"),
    errors.SettingsError("on_flush", print, "no functions"),
    errors.StateError("new", "recording", "start it"),
    errors.OutputExistsError(TALK, "exists already"),
    errors.PartialExistsError(TALK, TALK.with_suffix(".recording.ts")),
    errors.DiskSpaceError(TALK, 10, 5),
    errors.WriteError(TALK, 1880, OSError(errno.ENOSPC, "No space left on device"), "writing"),
    errors.WorkerError(TALK, "the worker was killed", signal=9),
    errors.SourceError("clip.mp4", "cannot be opened"),
    errors.MediaError("no such thing", 3),
]


@pytest.mark.parametrize("error", CASES, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_the_other_side(error):
    again = restore_error(json.loads(json.dumps(describe_error(error))))
    assert type(again) is type(error)
    assert str(again) == str(error)
    fields = vars(error) | ({"value": repr(print)} if vars(error).get("value") is print else {})
    assert vars(again) == fields


@pytest.mark.parametrize("document", [None, {}, {"name": "Path"}, {"name": "KeyError", "fields": {}}])
def test_an_unknown_error_is_one_all_the_same(document):
    assert type(restore_error(document)) is errors.RecordkitError
