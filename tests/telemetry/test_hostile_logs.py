"""Logs that somebody made up: damaged lines are counted, and whatever is made of the rest stands."""

import itertools
import json
import os
import time

import numpy as np
import pytest

import recordkit as rk
from recordkit.errors import LogError
from recordkit.model import EventKind
from recordkit.system import System
from recordkit.telemetry.logfile import SUFFIX, LogFile, read_log, record_line
from recordkit.telemetry.watch import WatchState, scan
from recordkit.telemetry.words import json_text

from .records import BEGUN_NS, event, flush, sample

HEADER = {"recording": "talk.ts", "path": "talk.ts", "pid": 1, "started_ns": BEGUN_NS}
BAD = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e308",
    "-1e308",
    "1e999",
    "1" + "0" * 400,
    "[" * 100_000,
    '{"a":' * 2000,
    "true",
]


NAMES = ["started_ns", "flush_threshold", "alert_thresholds", "recording", "path"]


def lay(folder, lines, header=None):
    path = folder / f"talk{SUFFIX}"
    head = b'{"type":"header","schema_version":1,' + (header or json.dumps(HEADER)[1:].encode()) + b"\n"
    path.write_bytes(head + b"".join(lines))
    return path


def stands(path, *, plots=True):
    """All that is made of a log can be made."""
    log = rk.read_flush_log(path)
    row = log.summary().iloc[0]
    rk.plain(log.events).to_json(orient="records", date_format="iso")
    json.dumps(log.attrs, allow_nan=False)
    if plots:
        rk.plot_overview(path)[0].figure.savefig(os.devnull, format="png", dpi=20)
    state = WatchState()
    for _ in range(2):
        found = scan(path.parent, BEGUN_NS + 10**10, System(), state)
        json.loads(json_text([str(one) for one in found]))
    return row


def test_a_number_that_is_none_makes_its_line_a_damaged_one(tmp_path, caplog):
    lines, damaged = [], 0
    for record in (flush(0), sample(1.0), event(EventKind.COMMIT, 3.0, bytes=188_000, duration_s=2.0)):
        line = record_line(record).decode()
        lines.append(line.encode())
        for name, value in json.loads(line).items():
            for bad in BAD if isinstance(value, int | float) else ():
                lines.append(line.replace(f'"{name}":{json.dumps(value)}', f'"{name}":{bad}').encode())
                damaged += 1
    path = lay(tmp_path, lines)
    row = stands(path)
    assert (row["flush_count"], row["state"], row["bytes"]) == (1, "committed", 188_000)
    assert len(read_log(path)[1]) == 3
    assert damaged > 250
    assert f"damaged lines were left out: {damaged}" in caplog.text


def test_a_header_that_says_nonsense_harms_nothing(tmp_path):
    bad = ["1e308", "1" + "0" * 400, '{"a":' * 9 + "1" + "}" * 9, "[[]]", '"x"', "true", "null"]
    for number, (name, value) in enumerate(itertools.product(NAMES, bad)):
        header = json.dumps({key: value for key, value in HEADER.items() if key != name})[1:-1]
        lines = [record_line(flush(number)) for number in range(3)]
        path = lay(tmp_path, lines, f'{header},"{name}":{value}}}'.encode())
        assert stands(path, plots=number == 1)["flush_count"] == 3
    lay(tmp_path, [], b'"started_ns":NaN}')  # which is no JSON at all
    with pytest.raises(LogError, match="no header"):
        read_log(path)


def test_the_largest_numbers_there_may_be(tmp_path):
    records = [
        flush(number, video_units=2**60, audio_units=2**60, time_ns=2**62 * (number % 2)) for number in range(40)
    ]
    records += [sample(4e9 * (number % 2), rss_bytes=2**60, cpu_share=1e15) for number in range(40)]
    stands(lay(tmp_path, [record_line(one) for one in records]))


def test_what_is_written_is_real_json(tmp_path):
    path = tmp_path / f"talk{SUFFIX}"
    file = LogFile(path, HEADER)
    file.add(event(EventKind.MARK, 1.0, value=float("nan"), other=np.inf, name="a"))
    file.close()
    for line in path.read_bytes().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))
    assert read_log(path)[1][0].fields == {"value": None, "other": None, "name": "a"}
    assert json_text({"a": [1.5, float("inf"), {"b": float("nan")}]}) == '{"a": [1.5, null, {"b": null}]}'


def test_a_hole_of_a_terabyte_takes_no_time(tmp_path):
    path = lay(tmp_path, [record_line(flush(0))])
    with path.open("r+b") as file:
        file.seek(1 << 40)
        file.write(b"\n" + record_line(flush(1)) + record_line(flush(2)))
    begun = time.process_time()
    assert [one.index for one in read_log(path)[1]] == [0, 1, 2]
    found = scan(tmp_path, BEGUN_NS, System(), WatchState())
    assert time.process_time() - begun < 20, "it was read through"
    assert found == []


@pytest.mark.parametrize("kind", ["/dev/zero", "fifo", "folder"])
def test_what_is_no_file_is_not_read(tmp_path, kind):
    path = tmp_path / f"talk{SUFFIX}"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    with pytest.raises(LogError):
        read_log(path)
