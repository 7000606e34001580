"""NAL units behind start codes and behind lengths."""

from hypothesis import given
from hypothesis import strategies as st

from recordkit.model import Codec
from recordkit.mp4.nal import annexb, cuts, lay_cuts, length_of, parameter_sets

NAL = st.binary(max_size=20).map(lambda tail: b"\x65" + tail.replace(b"\0", b"\1") + b"\x80")


@given(st.lists(st.tuples(st.sampled_from([b"\0\0\1", b"\0\0\0\1", b"\0\0\0\0\1"]), NAL), max_size=6))
def test_lengths_replace_start_codes_of_any_form(parts):
    found = cuts(b"".join(start + nal for start, nal in parts), Codec.H264)
    memory = memoryview(bytearray(length_of(found)))
    assert lay_cuts(found, memory, 0) == len(memory)
    assert bytes(memory) == b"".join(len(nal).to_bytes(4) + nal for _, nal in parts)
    assert annexb(bytes(memory)) == b"".join(b"\0\0\0\1" + nal for _, nal in parts)


def test_delimiters_are_left_out():
    assert [a[s:e] for a, s, e in cuts(b"\0\0\0\1\x09\xf0\0\0\1\x65a", Codec.H264)] == [b"\x65a"]
    assert [a[s:e] for a, s, e in cuts(b"\0\0\0\1\x46\1\x50\0\0\1\x26\1a", Codec.H265)] == [b"\x26\1a"]


def test_parameter_sets_are_those_before_the_first_slice():
    data = b"\0\0\1\x67a\0\0\1\x68b\0\0\1\x06s\0\0\1\x65c\0\0\1\x68d"
    assert parameter_sets(cuts(data, Codec.H264), Codec.H264) == b"\0\0\0\1\x67a\0\0\0\1\x68b"
    data = b"\0\0\1\x40\1v\0\0\1\x42\1s\0\0\1\x44\1p\0\0\1\x26\1i"
    assert parameter_sets(cuts(data, Codec.H265), Codec.H265) == b"\0\0\0\1\x40\1v\0\0\0\1\x42\1s\0\0\0\1\x44\1p"


def test_a_sample_that_its_lengths_do_not_fill_has_no_nal_units():
    assert annexb(b"\0\0\0\2ab\0") is None
    assert annexb(b"\0\0\0\3ab") is None
    assert annexb(b"\0\2ab\0\1c", 2) == b"\0\0\0\1ab\0\0\0\1c"


def test_who_knows_where_nal_units_begin_spares_the_search():
    data = b"\0\0\0\1\x67a\0\0\1\x68b\0\0\0\0\1\x65c\0"
    assert cuts(data, Codec.H264, (4, 9, 16)) == cuts(data, Codec.H264)
    assert [one[s:e] for one, s, e in cuts(data, Codec.H264, (4, 9, 16))] == [b"\x67a", b"\x68b", b"\x65c"]
