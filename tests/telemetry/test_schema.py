"""The schema of the records: every form follows from the fields of the dataclass."""

import dataclasses

import pytest

from recordkit.model import EventKind, FlushReason
from recordkit.telemetry.alerts import Alert
from recordkit.telemetry.schema import RECORDS, TYPE_NAMES, Packing, Schema

from .records import event, flush, sample

SAMPLES = {
    "flush": flush(3),
    "sample": sample(uss_bytes=None, full_in_s=None),
    "event": event(EventKind.MARK, text="here"),
}


@dataclasses.dataclass(frozen=True)
class Made:
    """A type of record that only this test has."""

    index: int
    share: float
    reason: FlushReason
    size_bytes: int | None


@dataclasses.dataclass(frozen=True)
class Doubtful:
    """One whose share nobody may know."""

    share: float | None


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_survives_its_document(name):
    record = SAMPLES[name]
    assert TYPE_NAMES[type(record)] == name
    assert RECORDS[name].record(RECORDS[name].document(record)) == record


def test_columns_follow_the_fields():
    columns = {column.name: column.kind for column in Schema(Made).columns}
    assert {name: kind.dtype for name, kind in columns.items()} == {
        "index": "int64",
        "share": "float64",
        "reason": "str",
        "size_bytes": "Int64",
    }
    assert columns["size_bytes"].read(None) is None
    with pytest.raises(ValueError, match="None"):
        columns["index"].read(None)


def test_what_a_later_version_adds_is_passed_over_and_what_is_missing_is_not():
    document = RECORDS["flush"].document(flush())
    assert RECORDS["flush"].record(document | {"new": 1}) == flush()
    del document["sync_s"]
    with pytest.raises(KeyError):
        RECORDS["flush"].record(document)


def test_a_flush_is_packed_into_bytes_and_back():
    packing = Packing(RECORDS["flush"])
    for reason in FlushReason:
        record = flush(7, reason=reason, file_bytes=2**62 + 1)
        packed = packing.pack(record)
        assert isinstance(packed, bytes)
        assert packing.unpack(packed) == record


@pytest.mark.parametrize("size_bytes", [None, 0, 5, 2**63 - 1, -(2**63) + 1])
def test_a_whole_number_that_may_be_missing_is_packed_too(size_bytes):
    # The resident memory of a flush: where the system does not tell it there is none.
    packing = Packing(Schema(Made))
    record = Made(1, 0.5, FlushReason.STOP, size_bytes)
    assert packing.unpack(packing.pack(record)) == record


@pytest.mark.parametrize("type_", [Doubtful, Alert])
def test_other_optional_fields_and_text_are_not_packed(type_):
    with pytest.raises(ValueError, match=f"{type_.__name__} has fields that cannot be packed"):
        Packing(Schema(type_))
