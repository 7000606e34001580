"""Names of streams and files: what is let through, and that nothing leaves the folder or repeats."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordkit.endpoint.names import check_template, is_stream_name, paths
from recordkit.errors import SettingsError

TIME_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize("name", ["talk", "a", "A.b-c_9", "_x", "9", "a" * 64, "a..b", "con.ts"])
def test_good_stream_names(name: str) -> None:
    assert is_stream_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "a/b", "../a", "a\\b", "a\0", "a\n", "a b", "ä", "a" * 65, "{stream}", "a%2f"],
)
def test_bad_stream_names(name: str) -> None:
    assert not is_stream_name(name)


@given(st.text(max_size=80))
def test_no_accepted_name_leaves_the_folder(name: str) -> None:
    if is_stream_name(name):
        (path,) = islice(paths(Path("/folder"), "{stream}-{counter}.ts", name, TIME_NS), 1)
        assert path.parent == Path("/folder")
        assert path.resolve().parent == Path("/folder").resolve()


@pytest.mark.parametrize(
    "template",
    [
        "{stream}-{time}.ts",
        "{counter}.mkv",
        "{counter}.recording.mp4",
        "{counter}",
        "../{counter}.ts",
        "a/{counter}.ts",
        ".{counter}.ts",
        "{counter}.recording.ts",
        "{counter}{0}.ts",
        "{}{counter}.ts",
        "{stream.__class__}{counter}.ts",
        "{counter!r}.ts",
        "{counter:/>9}.ts",
        "{counter",
        "{counter:q}.ts",
        "{counter}\0.ts",
        "{counter}" + "x" * 200 + ".ts",
    ],
)
def test_templates_that_cannot_be_used(template: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_template(template)
    assert caught.value.name == "name_template"


def test_names_carry_stream_time_and_counter_and_pass_over_what_is_there(tmp_path: Path) -> None:
    template = "{stream}_{time}_{counter:03}.ts"
    check_template(template)
    (tmp_path / "talk_20231114T221320Z_001.ts").touch()
    (tmp_path / "talk_20231114T221320Z_002.recording.ts").touch()
    found = [path.name for path in islice(paths(tmp_path, template, "talk", TIME_NS), 2)]
    assert found == ["talk_20231114T221320Z_003.ts", "talk_20231114T221320Z_004.ts"]


@pytest.mark.parametrize("stream", ["recording", "talk.recording"])
def test_a_stream_whose_name_would_make_that_of_an_unfinished_recording_is_recorded_all_the_same(
    stream: str, tmp_path: Path
) -> None:
    template = "{counter}.{stream}.ts"
    check_template(template)
    first = next(paths(tmp_path, template, stream, 0))
    assert first.name == f"1{'.talk' if '.' in stream else ''}-recording.ts"
    first.touch()
    assert next(paths(tmp_path, template, stream, 0)).name.startswith("2")
