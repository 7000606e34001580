"""Boxes: what is made is parsed again, whatever stands in it; what is cut or absurd is an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordkit.mp4.boxes import (
    FORMS,
    Box,
    BoxError,
    box,
    boxes,
    child,
    code,
    full_box,
    parse,
    parse_header,
    top_level,
)

LIMITS = {"B": (0, 255), "h": (-(1 << 15), (1 << 15) - 1), "H": (0, 0xFFFF), "i": (-(1 << 31), (1 << 31) - 1)}
LIMITS |= {"I": (0, 0xFFFFFFFF), "q": (-(1 << 63), (1 << 63) - 1), "Q": (0, (1 << 64) - 1)}
EVERY = [(kind, version) for kind, versions in FORMS.items() for version in versions]


def values(fields, flags):
    there = [one for one in fields if not one.flag or one.flag & flags]
    return {one.name: st.integers(*LIMITS[one.code]) for one in there}


@pytest.mark.parametrize(("kind", "version"), EVERY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_made_is_parsed_again(kind, version, data):
    form = FORMS[kind][version]
    every = [one.flag for one in (*form.fields, *form.row) if one.flag]
    flags = sum(data.draw(st.sets(st.sampled_from(every)))) if every else 0
    fields = data.draw(st.fixed_dictionaries(values(form.fields, flags)))
    rows = []
    if form.row and kind not in ("stsd", "dref"):
        rows = data.draw(st.lists(st.tuples(*values(form.row, flags).values()), max_size=4))
        fields["count"] = len(rows)
        fields |= {"each": 0} if kind == "stsz" else {}
        fields |= {"lengths": 0} if kind == "tfra" else {}
    made = full_box(kind, b"rest", version=version, flags=flags, rows=rows, **fields)
    (found,) = boxes(made)
    assert (found.kind, found.end) == (kind, len(made))
    read = parse(kind, made, found.start, found.end)
    assert (read.version, read.flags, read.fields) == (version, flags, fields)
    if form.row_type(flags).itemsize:
        assert [tuple(map(int, row)) for row in read.rows] == rows
        assert made[read.rest : found.end] == b"rest"


@pytest.mark.parametrize(("kind", "version"), EVERY)
def test_each_cut_of_a_box_is_an_error_or_less(kind, version):
    made = full_box(kind, version=version)
    for end in range(8, len(made)):
        with pytest.raises(BoxError):
            parse(kind, made, 8, end)


def test_rows_beyond_the_end_are_an_error():
    made = full_box("stts", count=1 << 30)
    with pytest.raises(BoxError, match="no room"):
        parse("stts", made, 8, len(made))


def test_an_unknown_version_is_an_error():
    made = bytearray(full_box("mvhd"))
    made[8] = 9
    with pytest.raises(BoxError, match="version 9"):
        parse("mvhd", bytes(made), 8, len(made))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\0\0\0\x10free", ("free", 8, 16)),
        (b"\0\0\0\0mdat", ("mdat", 8, 0)),
        (b"\0\0\0\1mdat\0\0\0\1\0\0\0\0", ("mdat", 16, 1 << 32)),
        (b"\0\0\0\x08\xa9nam", ("©nam", 8, 8)),
        (b"\0\0\0\x10fre", None),
        (b"\0\0\0\1mdat\0\0\0\1\0\0\0", None),
    ],
)
def test_headers(data, found):
    assert parse_header(data) == found


@pytest.mark.parametrize(
    "data", [b"\0\0\0\x07free", b"\0\0\0\x10fr\0e", b"\0\0\0\1mdat\0\0\0\0\0\0\0\x0f", b"\xff" * 8]
)
def test_headers_that_are_none(data):
    with pytest.raises(BoxError):
        parse_header(data)


def test_a_box_beyond_its_parent_is_an_error():
    with pytest.raises(BoxError, match="beyond"):
        list(boxes(b"\0\0\0\x11free" + bytes(8)))


def test_children_are_found_by_their_path():
    data = box("moov", box("free"), box("trak", box("mdia", b"here")))
    (movie,) = boxes(data)
    found = child(data, movie, "trak", "mdia")
    assert found is not None
    assert data[found.start : found.end] == b"here"
    assert child(data, movie, "trak", "edts") is None
    assert child(data, Box("moov", movie.end, movie.end), "trak") is None


def test_letters_as_a_number():
    assert code("vide").to_bytes(4) == b"vide"
    assert np.dtype(FORMS["co64"][0].row_type()).itemsize == 8


def test_boxes_of_a_file_are_found_by_their_headers_alone():
    long = (1).to_bytes(4) + b"mdat" + (16 + 900).to_bytes(8)
    data = (12).to_bytes(4) + b"free" + bytes(4) + long + bytes(900) + bytes(4) + b"moov" + bytes(90)
    asked = []

    def read(begin, end):
        asked.append(end - begin)
        return data[begin:end]

    assert list(top_level(read, len(data))) == [("free", 0, 12), ("mdat", 12, 916), ("moov", 928, 98)]
    assert asked == [16, 16, 16]
    assert list(top_level(lambda begin, end: b"", 100)) == []
    with pytest.raises(BoxError):
        list(top_level(lambda begin, end: bytes(16), 100))
