"""Boxes of ISO/IEC 14496-12: one table says what stands in each, and both makes and parses it.

A box is a size, four letters and a payload; a full box begins its payload with a version and flags.
Most are fixed fields, some have rows behind them, and in the boxes of fragments a flag says
whether a field is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from struct import Struct

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 8
LONG_HEADER_BYTES = 16
_LETTERS = frozenset(range(0x20, 0x7F)) | {0xA9}
_LARGEST_ROWS_BYTES = 1 << 30


class BoxError(ValueError):
    """A box that says something impossible, or ends before its fields do. Stays within this package."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a box: ``code`` is struct's, ``value`` what is written where nobody says anything.

    With ``flag``, the field is there only when the box has that flag.
    """

    name: str
    code: str
    value: int = 0
    flag: int = 0


@dataclass(frozen=True)
class Form:
    """What stands in one version of a full box: its fields, then ``count`` rows of ``row``."""

    fields: tuple[Field, ...]
    row: tuple[Field, ...] = ()

    @cached_property
    def _layouts(self) -> dict[int, tuple[Struct, tuple[str, ...]]]:
        return {}

    def layout(self, flags: int) -> tuple[Struct, tuple[str, ...]]:
        """How the fields are packed with these flags, and their names."""
        made = self._layouts.get(flags)
        if made is None:
            there = [field for field in self.fields if not field.flag or field.flag & flags]
            packing = Struct(">" + "".join(field.code for field in there))
            made = self._layouts[flags] = packing, tuple(field.name for field in there)
        return made

    def row_type(self, flags: int = 0) -> np.dtype[np.void]:
        """The rows' type, as numpy has it."""
        there = [field for field in self.row if not field.flag or field.flag & flags]
        return np.dtype([(field.name, _NUMPY[field.code]) for field in there])


_NUMPY = {"B": "u1", "h": ">i2", "H": ">u2", "i": ">i4", "I": ">u4", "q": ">i8", "Q": ">u8"}


def _fields(text: str) -> tuple[Field, ...]:
    """Fields as ``name:code=value?flag``, parted by blanks."""
    made = []
    for word in text.split():
        word, _, flag = word.partition("?")
        word, _, value = word.partition("=")
        name, _, code = word.partition(":")
        made.append(Field(name, code, int(value or "0", 0), int(flag or "0", 0)))
    return tuple(made)


_MATRIX = " ".join(
    f"matrix{at}:I={value}" for at, value in enumerate((1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
)


def _dated(before: str, after: str) -> dict[int, Form]:
    """The two versions of a box with dates and a duration: 32 bits and 64 bits of each."""
    return {
        version: Form(_fields(f"created:{code} modified:{code} {before} duration:{code} {after}"))
        for version, code in ((0, "I"), (1, "Q"))
    }


def _rows(*columns: str, fields: str = "count:I") -> dict[int, Form]:
    """A table, by version."""
    return {version: Form(_fields(fields), _fields(row)) for version, row in enumerate(columns)}


FORMS: dict[str, dict[int, Form]] = {
    "mvhd": _dated(
        "timescale:I=90000",
        f"rate:I=0x10000 volume:H=0x100 r0:H r1:Q {_MATRIX} p0:Q p1:Q p2:Q next_track_id:I=0xFFFFFFFF",
    ),
    "tkhd": _dated(
        "track_id:I r0:I", f"r1:Q layer:H alternate_group:H volume:H r2:H {_MATRIX} width:I height:I"
    ),
    "mdhd": _dated("timescale:I", "language:H p0:H"),
    "hdlr": {0: Form(_fields("p0:I handler:I r0:Q r1:I"))},
    "vmhd": {0: Form(_fields("mode:H red:H green:H blue:H"))},
    "smhd": {0: Form(_fields("balance:h r0:H"))},
    "dref": _rows("", fields="count:I"),
    "stsd": _rows("", fields="count:I"),
    "url ": {0: Form(())},
    "elst": _rows("duration:I media_time:i rate:I=0x10000", "duration:Q media_time:q rate:I=0x10000"),
    "stts": _rows("count:I delta:I"),
    # Version 0 has no sign (ISO/IEC 14496-12, 8.6.1.3), but QuickTime's has.
    "ctts": _rows("count:I offset:i", "count:I offset:i"),
    "stss": _rows("number:I"),
    "stsz": _rows("size:I", fields="each:I count:I"),
    "stsc": _rows("first_chunk:I samples:I description:I"),
    "stco": _rows("offset:I"),
    "co64": _rows("offset:Q"),
    "sgpd": {1: Form(_fields("grouping:I length:I=4 count:I"), _fields("value:I"))},
    "sbgp": _rows("samples:I group:I", fields="grouping:I count:I"),
    "mehd": {0: Form(_fields("duration:I")), 1: Form(_fields("duration:Q"))},
    "trex": {0: Form(_fields("track_id:I description:I=1 duration:I size:I sample_flags:I"))},
    "mfhd": {0: Form(_fields("number:I"))},
    "tfhd": {
        0: Form(
            _fields(
                "track_id:I base_offset:Q?0x1 description:I?0x2 duration:I?0x8 size:I?0x10 sample_flags:I?0x20"
            )
        )
    },
    "tfdt": {0: Form(_fields("time:I")), 1: Form(_fields("time:Q"))},
    "trun": _rows(
        *(f"duration:I?0x100 size:I?0x200 sample_flags:I?0x400 offset:{code}?0x800" for code in "Ii"),
        fields="count:I data_offset:i?0x1 first_flags:I?0x4",
    ),
    "tfra": _rows(
        "time:I moof_offset:I traf:B trun:B sample:B",
        "time:Q moof_offset:Q traf:B trun:B sample:B",
        fields="track_id:I lengths:I count:I",
    ),
    "mfro": {0: Form(_fields("parent_bytes:I"))},
}  # fmt: skip
"""The full boxes by name and version (clause 8). A field called r is reserved, one called p predefined."""


def code(kind: str) -> int:
    """Four letters as the number that stands in a box."""
    return int.from_bytes(kind.encode("latin-1"))


def box(kind: str, *payload: bytes) -> bytes:
    """A box around ``payload`` (4.2)."""
    size = HEADER_BYTES + sum(map(len, payload))
    return b"".join((size.to_bytes(4), kind.encode("latin-1"), *payload))


def full_head(kind: str, total: int, /, version: int = 0, flags: int = 0, **values: int) -> bytes:
    """The beginning of a full box of ``total`` bytes: header, version, flags and fields."""
    form = FORMS[kind][version]
    packing, names = form.layout(flags)
    defaults = {field.name: field.value for field in form.fields}
    head = Struct(">I4sI").pack(total, kind.encode("latin-1"), version << 24 | flags)
    return head + packing.pack(*(values.get(name, defaults[name]) for name in names))


def head_bytes(kind: str, version: int = 0, flags: int = 0) -> int:
    """How long ``full_head`` is."""
    return HEADER_BYTES + 4 + FORMS[kind][version].layout(flags)[0].size


def full_box(
    kind: str,
    /,
    *payload: bytes,
    version: int = 0,
    flags: int = 0,
    rows: Sequence[Sequence[int]] = (),
    **values: int,
) -> bytes:
    """A full box (4.2) of the fields named, then ``rows``, then ``payload``."""
    table = b""
    if rows:
        row_type = FORMS[kind][version].row_type(flags)
        table = np.array([tuple(row) for row in rows], row_type).tobytes()
        values.setdefault("count", len(rows))
    total = head_bytes(kind, version, flags) + len(table) + sum(map(len, payload))
    return b"".join((full_head(kind, total, version, flags, **values), table, *payload))


@dataclass(frozen=True, slots=True)
class Box:
    """A box that was found: where its payload begins and where it ends, in the data that was looked at."""

    kind: str
    start: int
    end: int


def parse_header(data: bytes | memoryview, at: int = 0) -> tuple[str, int, int] | None:
    """A box's kind, header bytes and size (0: to the end of the file); None while there is too little.

    Raises BoxError when the size is smaller than the header, or the kind is no four letters.
    """
    if at + HEADER_BYTES > len(data):
        return None
    size, letters = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + HEADER_BYTES])
    if not _LETTERS.issuperset(letters):
        raise BoxError(f"no box has the kind {letters!r}")
    header = HEADER_BYTES
    if size == 1:
        if at + LONG_HEADER_BYTES > len(data):
            return None
        header, size = LONG_HEADER_BYTES, int.from_bytes(data[at + HEADER_BYTES : at + LONG_HEADER_BYTES])
        if size < header:
            raise BoxError(f"a box of {size} bytes")
    elif 0 < size < header:
        raise BoxError(f"a box of {size} bytes")
    return letters.decode("latin-1"), header, size


def top_level(read: Callable[[int, int], bytes], size: int) -> Iterator[tuple[str, int, int]]:
    """Kind, begin and bytes of each box of a file of ``size`` bytes that stands in no other one.

    ``read`` returns the bytes between two places; only the headers are asked for. The last box may reach beyond
    the end. Raises BoxError for what is none.
    """
    at = 0
    while at < size:
        head = parse_header(read(at, at + LONG_HEADER_BYTES))
        if head is None:
            return
        kind, _, count = head
        count = count or size - at
        yield kind, at, count
        at += count


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie side by side between ``start`` and ``end``.

    Raises BoxError for one that reaches beyond the end. Fewer than eight bytes behind the last are left out.
    """
    end = len(data) if end is None else end
    while start + HEADER_BYTES <= end:
        head = parse_header(data, start)
        if head is None:
            raise BoxError("a box is cut")
        kind, header, size = head
        size = size or end - start
        if start + size > end:
            raise BoxError(f"{kind} of {size} bytes reaches beyond what it lies in")
        yield Box(kind, start + header, start + size)
        start += size


@dataclass(frozen=True, slots=True)
class Parsed:
    """A full box as it was read: its fields by name, its rows, and where what follows them begins."""

    version: int
    flags: int
    fields: dict[str, int]
    rows: NDArray[np.void]
    rest: int

    def __getitem__(self, name: str) -> int:
        return self.fields[name]


_NO_ROWS: NDArray[np.void] = np.zeros(0, np.dtype([("none", "u1")]))


def parse(kind: str, data: bytes, start: int, end: int) -> Parsed:
    """Reads the full box whose payload lies between ``start`` and ``end``.

    Raises BoxError when it is too short for what it says, or of a version that is not known.
    """
    if start + 4 > end:
        raise BoxError(f"{kind} is too short")
    version, flags = data[start], int.from_bytes(data[start + 1 : start + 4])
    form = FORMS[kind].get(version)
    if form is None:
        raise BoxError(f"{kind} has version {version}, which is not known")
    packing, names = form.layout(flags)
    at = start + 4
    if at + packing.size > end:
        raise BoxError(f"{kind} is too short")
    fields = dict(zip(names, packing.unpack_from(data, at), strict=True))
    at += packing.size
    rows = _NO_ROWS
    # stsz of equal samples has no rows; the rows of a tfra may have columns of other widths, and are then left out.
    if form.row and not (fields.get("each") or fields.get("lengths")):
        row_type = form.row_type(flags)
        count = fields["count"]
        if row_type.itemsize:
            if at + count * row_type.itemsize > end:
                raise BoxError(f"{kind} has no room for its {count} rows")
            rows = np.frombuffer(data, row_type, count, at)
            at += count * row_type.itemsize
    return Parsed(version, flags, fields, rows, at)


def child(data: bytes, parent: Box, *path: str) -> Box | None:
    """The first box of that path below ``parent``, or None."""
    for kind in path:
        found = next((one for one in boxes(data, parent.start, parent.end) if one.kind == kind), None)
        if found is None:
            return None
        parent = found
    return parent
