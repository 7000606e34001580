"""The schema of the records: one entry for each type, its fields read from the dataclass itself.

JSON lines (``logfile``), packed memory (``journal``) and DataFrame columns (``frames``) all follow
from it. A new type of record is one more entry in ``RECORDS``; a new type of field one in ``_KINDS``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from ..model import Event, EventKind, Field, FlushReason, FlushRecord, Sample

_LARGEST_INT = 2**60
_LATEST_NS = 2**62
_LARGEST_REAL = 1e15
_LONGEST_S = 4e9
"""So that a time in nanoseconds, less this, still is one."""
_DEEPEST = 6
_ABSENT = -(2**63)
"""What no number that is read can be: it stands for None in packed records."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of one type are read, kept and shown.

    ``read`` takes a value from JSON, or raises ValueError or OverflowError. ``dtype`` is the type of the
    DataFrame's column, ``nullable_dtype`` that of one which also holds None. ``code`` is the format in
    ``struct``, None if values of this type are not packed; ``absent`` is what stands for None there.
    """

    read: Callable[[Any], Any]
    dtype: str
    nullable_dtype: str
    code: str | None = None
    absent: int | None = None


def _whole(value: object) -> int:
    if type(value) is not int or not -_LARGEST_INT <= value <= _LARGEST_INT:
        raise ValueError(value)
    return value


def _time_ns(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LATEST_NS:
        raise ValueError(value)
    return value


def _real(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST_REAL:  # type: ignore[arg-type]
        raise ValueError(value)
    return float(value)  # type: ignore[arg-type]


def _elapsed_s(value: object) -> float:
    if abs(seconds := _real(value)) > _LONGEST_S:
        raise ValueError(value)
    return seconds


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _plain(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or any(isinstance(item, dict | list) for item in value.values()):
        raise ValueError(value)
    if any(isinstance(item, int | float) and not is_sane(item) for item in value.values()):
        raise ValueError(value)
    return value


def is_sane(number: float) -> bool:
    """Whether a number of a log can be counted with."""
    largest = _LATEST_NS if isinstance(number, int) else _LARGEST_REAL
    return abs(number) <= largest


def sane(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What JSON says, without numbers that nothing can count with, and no deeper than anybody writes it."""
    if isinstance(value, int | float):
        return value if is_sane(value) else None
    if isinstance(value, dict | list) and depth == _DEEPEST:
        return None
    if isinstance(value, dict):
        return {key: sane(item, depth + 1) for key, item in value.items()}
    return [sane(item, depth + 1) for item in value] if isinstance(value, list) else value


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_KINDS: dict[Any, Kind] = {
    int: Kind(_whole, "int64", "Int64", "q"),
    float: Kind(_real, "float64", "Float64", "d"),
    str: Kind(_text, "str", "str"),
    FlushReason: Kind(FlushReason, "str", "str", "B"),
    EventKind: Kind(EventKind, "str", "str", "B"),
    Mapping[str, Field]: Kind(_plain, "object", "object"),
}


_BY_NAME = {
    "time_ns": Kind(_time_ns, "int64", "Int64", "q"),
    "elapsed_s": Kind(_elapsed_s, "float64", "Float64", "d"),
}
"""Of the fields that have bounds of their own."""


def _kind(type_: Any) -> Kind:  # noqa: ANN401 - a type or a union of types
    """The kind of a field's type; of ``X | None`` as well."""
    if type_ in _KINDS:
        return _KINDS[type_]
    (inner,) = (part for part in get_args(type_) if part is not type(None))
    kind = _KINDS[inner]
    whole = inner is int
    return Kind(
        _optional(kind.read),
        kind.nullable_dtype,
        kind.nullable_dtype,
        kind.code if whole else None,
        _ABSENT if whole else None,
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record: its name, its type as annotated, and how it is read, kept and shown."""

    name: str
    type: Any
    kind: Kind


class Schema(Generic[T]):
    """The fields of one frozen dataclass, in its order."""

    def __init__(self, type_: type[T]) -> None:
        hints = get_type_hints(type_)
        self.type = type_
        self.columns = tuple(
            Column(field.name, hints[field.name], _BY_NAME.get(field.name) or _kind(hints[field.name]))
            for field in fields(type_)  # type: ignore[arg-type]
        )

    def document(self, record: T) -> dict[str, Any]:
        """The record as a dict."""
        return {column.name: getattr(record, column.name) for column in self.columns}

    def record(self, document: Mapping[str, Any]) -> T:
        """The record that ``document`` holds; names unknown here are passed over.

        Raises ValueError, OverflowError or KeyError if a field is wrong or missing.
        """
        return self.type(**{column.name: column.kind.read(document[column.name]) for column in self.columns})


class Packing(Generic[T]):
    """Packs records of one schema into bytes, which take a quarter of an object's memory.

    Raises ValueError if the schema has a field that cannot be packed (text, or an optional one but for ints).
    """

    def __init__(self, schema: Schema[T]) -> None:
        codes = [column.kind.code for column in schema.columns]
        if None in codes:
            raise ValueError(f"{schema.type.__name__} has fields that cannot be packed")
        self._schema = schema
        self._struct = struct.Struct("=" + "".join(code for code in codes if code is not None))
        self._members = {
            index: tuple(column.type)
            for index, column in enumerate(schema.columns)
            if isinstance(column.type, type) and issubclass(column.type, StrEnum)
        }
        self._optional = {
            index: column.kind.absent
            for index, column in enumerate(schema.columns)
            if column.kind.absent is not None
        }

    def pack(self, record: T) -> bytes:
        """The record as bytes."""
        values = [getattr(record, column.name) for column in self._schema.columns]
        for index, members in self._members.items():
            values[index] = members.index(values[index])
        for index, absent in self._optional.items():
            values[index] = absent if values[index] is None else values[index]
        return self._struct.pack(*values)

    def unpack(self, packed: bytes) -> T:
        """The record that ``pack`` was given."""
        values = list(self._struct.unpack(packed))
        for index, members in self._members.items():
            values[index] = members[values[index]]
        for index, absent in self._optional.items():
            values[index] = None if values[index] == absent else values[index]
        return self._schema.type(*values)


Record = FlushRecord | Sample | Event
RECORDS: dict[str, Schema[Any]] = {
    "flush": Schema(FlushRecord),
    "sample": Schema(Sample),
    "event": Schema(Event),
}
"""The schema of each type of record by its ``"type"`` in a log."""
TYPE_NAMES: dict[type[Any], str] = {schema.type: name for name, schema in RECORDS.items()}
"""The ``"type"`` in a log of each type of record."""
