"""Values as JSON and back: settings, sources and results travel between processes as descriptions.

What JSON has itself stays as it is; all else is an object that names its type. Nothing is pickled: a
description can only become one of the types in the table, and each is validated when it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import SettingsError

_ADVICE = (
    "cannot be sent to the process that records: use Recorder or MediaRecorder, which record in this process, "
    "or rk.record()"
)
# Where each type lives, loaded when it is needed; dataclasses and enumerations alone.
_HOMES = {
    "Synthetic": "sources.synthetic",
    "MediaFile": "sources.media_file",
    "Reconnect": "sources.reconnect",
    "Whip": "endpoint.whip",
    "WhipSettings": "endpoint.settings",
    "Whep": "endpoint.whep",
    "Loopback": "sources.webrtc.loopback",
    "CameraFeed": "endpoint.camera",
    "VideoSettings": "settings.media",
    "AudioSettings": "settings.media",
    "Keep": "settings.filing",
    "Ring": "settings.filing",
    "Segments": "settings.filing",
    "AlertSettings": "telemetry.alerts",
    "Limit": "telemetry.alerts",
    "StreamFormat": "model",
    "Codec": "model",
    "Received": "model",
    "Counters": "recorder.result",
    "Recording": "recorder.result",
    "SegmentFile": "recorder.result",
}
_LEFT_OUT = {"flush_log"}
"""Fields that are too large for a line, and are there on the other side anyway."""
_ROOT = __package__.rpartition(".")[0]


def describe(name: str, value: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """``value`` in what JSON has. Raises SettingsError, with ``name``, where it has no description."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    kind = type(value).__name__
    if isinstance(value, Fraction):
        return {"type": "Fraction", "value": str(value)}
    if isinstance(value, Path):
        return {"type": "Path", "value": str(value)}
    if isinstance(value, bytes):
        return {"type": "bytes", "value": value.hex()}
    if isinstance(value, list | tuple):
        items = [describe(name, one) for one in value]
        return items if isinstance(value, list) else {"type": "tuple", "value": items}
    if isinstance(value, Mapping):
        pairs = [[describe(name, key), describe(name, one)] for key, one in value.items()]
        return {"type": "dict", "value": pairs}
    if type(value).__module__ != f"{_ROOT}.{_HOMES.get(kind)}":
        raise SettingsError(name, value, _ADVICE)
    if isinstance(value, Enum):
        return {"type": kind, "value": value.value}
    if not is_dataclass(value) or isinstance(value, type):
        raise SettingsError(name, value, _ADVICE)
    given = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in _LEFT_OUT}
    return {"type": kind, "fields": {key: describe(key, one) for key, one in given.items()}}


def restore(name: str, document: Any, **left_out: object) -> Any:  # noqa: ANN401 - whatever was described
    """The value that ``document`` describes; ``left_out`` are its fields that did not travel.

    Raises SettingsError, with ``name``, where it describes nothing, and what the value's own
    validation raises.
    """
    if isinstance(document, list):
        return [restore(name, one) for one in document]
    if not isinstance(document, dict):
        return document
    kind, value = document.get("type"), document.get("value")
    try:
        if kind == "Fraction":
            return Fraction(str(value))
        if kind == "Path":
            return Path(str(value))
        if kind == "bytes":
            return bytes.fromhex(str(value))
        if kind == "tuple":
            return tuple(restore(name, one) for one in value or ())
        if kind == "dict":
            return {restore(name, key): restore(name, one) for key, one in value or ()}
        made = getattr(import_module(f"{_ROOT}.{_HOMES[str(kind)]}"), str(kind))
        if "fields" not in document:
            return made(value)
        return made(**{key: restore(key, one) for key, one in document["fields"].items()}, **left_out)
    except SettingsError:
        raise
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
        raise SettingsError(name, document, f"describes nothing that this recordkit knows ({error!r})") from error
