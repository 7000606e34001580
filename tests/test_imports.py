"""The rooms of the package: who may import whom, and what stays out of where."""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import recordkit

PACKAGE = Path(recordkit.__file__).parent

FLOORS: list[set[str]] = [
    # the ground: what may be shown, errors, the clock and what the system gives
    {"printable"},
    {"errors", "onlooker", "remedies", "system", "ticks", "version"},
    {"demuxed"},
    # frozen values, how arguments are read, what bounds a queue, other people's containers
    {"model", "values", "budget", "demux", "names", "threads"},
    {"container", "intake", "programs", "signatures", "bitstream", "telemetry", "waiting"},
    # formats without I/O, what a caller may choose, figures to pictures
    {"mpegts", "mp4", "sound", "settings", "plots"},
    {"containers"},
    # bytes to disk, media to access units
    {"writer", "encode", "verification"},
    {"recovery", "sources", "reading", "keeping"},
    {"recorder", "playback"},
    # recordings in processes of their own, and from publishers
    {"background"},
    {"endpoint"},
    # many files
    {"fleet"},
    # faces
    {"panel", "cli"},
]
"""From the ground up. A module or package imports from lower rows only, never from its own row;
within one package folder modules import each other freely, as long as they do so in no circle."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

FORBIDDEN = {"asyncio", "av", "io", "logging", "mmap", "os", "pathlib", "socket", "subprocess", "threading", "time"}
WITHOUT_IO = ("mpegts", "mp4", "sound", "bitstream")

HEAVY = ("aiohttp", "aiortc", "av", "ipywidgets", "matplotlib", "numpy", "pandas")


def module_name(path: Path) -> tuple[str, ...]:
    """The parts of a module's name below recordkit; none for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def resolved(target: tuple[str, ...], names: list[str]) -> Iterator[tuple[str, ...]]:
    """What ``from target import names`` loads: submodules where such are, else the module itself."""
    for name in names:
        yield (*target, name) if (*target, name) in MODULES else target


def imports(name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The modules of recordkit that a module imports anywhere, in functions and for typing as well."""
    package = name if MODULES[name].name == "__init__.py" else name[:-1]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                if first == PACKAGE.name:
                    yield tuple(rest)
        elif isinstance(node, ast.ImportFrom):
            stated = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                target = package[: len(package) - node.level + 1] + stated
            elif stated[:1] == (PACKAGE.name,):
                target = stated[1:]
            else:
                continue
            yield from resolved(target, [alias.name for alias in node.names])


def outside_imports(name: tuple[str, ...]) -> Iterator[str]:
    """The other packages that a module imports, by their first name."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


# The package itself is a table of lazy names: it stands above all, and all have it loaded.
INNER = [name for name in MODULES if name]


@pytest.mark.parametrize("name", INNER, ids=".".join)
def test_imports_run_downwards_only(name):
    room = name[0]
    assert room in FLOOR_OF, f"{room} has no floor: give it one in FLOORS"
    for target in imports(name):
        if target and target[0] != room:
            assert target[0] in FLOOR_OF, f"{target[0]} has no floor: give it one in FLOORS"
            assert FLOOR_OF[target[0]] < FLOOR_OF[room], f"{'.'.join(name)} may not import {'.'.join(target)}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: {target for target in imports(name) if target and target != name} for name in INNER}
    assert len(list(TopologicalSorter(graph).static_order())) == len(INNER)


def test_each_room_stands_on_one_floor():
    assert len(FLOOR_OF) == sum(map(len, FLOORS))


@pytest.mark.parametrize("name", [name for name in INNER if name[0] in WITHOUT_IO], ids=".".join)
def test_formats_do_no_io(name):
    assert not FORBIDDEN & set(outside_imports(name))
    calls = [node.func for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)]
    assert not any(isinstance(call, ast.Name) and call.id in ("open", "print", "input") for call in calls)


def test_importing_recordkit_is_light():
    code = "import json, sys, recordkit; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert not set(HEAVY) & set(json.loads(done.stdout))


def test_a_worker_loads_the_container_and_the_source_that_it_is_given_alone():
    code = "import json, sys, recordkit.background.worker; print(json.dumps([name for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    unwanted = ("recordkit.mp4", "recordkit.sound", "recordkit.sources.connection", "asyncio", "pandas")
    assert not [name for name in json.loads(done.stdout) if name.startswith(unwanted)]


def test_the_command_line_loads_recovery_only_for_the_commands_that_recover():
    code = "import json, sys, recordkit.cli; print(json.dumps([name for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert not [name for name in json.loads(done.stdout) if name.startswith("recordkit.recovery")]


@pytest.mark.parametrize("name", recordkit.__all__)
def test_each_public_name_is_there(name):
    found = getattr(recordkit, name)
    assert getattr(importlib.import_module(found.__module__), name) is found
    assert name in dir(recordkit)


def test_no_name_is_public_twice_and_no_other_is_found():
    assert len(set(recordkit.__all__)) == len(recordkit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'mux'"):
        _ = recordkit.mux


def test_type_checkers_find_the_same_names_in_the_same_places():
    """The table of names is what the program goes by; checkers and editors go by the imports beside it."""
    (imports,) = (node for node in TREES[()].body if isinstance(node, ast.If))
    found = {f".{node.module}": [alias.name for alias in node.names] for node in imports.body}
    assert found == {module: names.split() for module, names in recordkit._NAMES.items()}
    assert all(alias.asname == alias.name for node in imports.body for alias in node.names)


TESTS = Path(__file__).parent


def made(tree: ast.AST) -> Iterator[str]:
    """The names that a module makes itself, as against those that it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_tests_take_a_name_from_where_it_is_made():
    """A helper that moves is otherwise found where another module imports it, and is not the same any more."""
    trees = {path.with_suffix(""): ast.parse(path.read_text("utf-8")) for path in TESTS.rglob("*.py")}
    own = {module: set(made(tree)) for module, tree in trees.items()}
    borrowed = []
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tests")):
                above = path.parents[node.level - 1] if node.level else TESTS.parent
                module = above.joinpath(*(node.module or "").split("."))
                names = [alias.name for alias in node.names]
                borrowed += [(path, name) for name in names if name not in own.get(module, set(names))]
    assert borrowed == []


def muxing_calls(tree: ast.AST) -> Iterator[int]:
    """Lines that would have libavformat write a file."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("mux", "mux_one", "add_mux_stream"):
            yield node.lineno
        is_av = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "av"
        if called == "open" and is_av:
            modes = node.args[1:2] + [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
            if not all(isinstance(mode, ast.Constant) and mode.value == "r" for mode in modes):
                yield node.lineno


@pytest.mark.parametrize("name", MODULES, ids=lambda name: ".".join(name) or "recordkit")
def test_nothing_is_muxed_by_libavformat(name):
    assert list(muxing_calls(TREES[name])) == []


@pytest.mark.parametrize("name", [one for one in MODULES if one != ("demux",)], ids=lambda name: ".".join(name))
def test_one_module_opens_containers(name):
    calls = [ast.unparse(node.func) for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)]
    assert "av.open" not in calls


@pytest.mark.parametrize(
    "line", ["out.mux(packet)", "out.mux_one(p)", "av.open(path, 'w')", "av.open(path, mode='w')", "av.open(a, m)"]
)
def test_muxing_would_be_found(line):
    assert list(muxing_calls(ast.parse(line))) == [1]
    assert list(muxing_calls(ast.parse("av.open(path); av.open(path, 'r'); open(path, 'w')"))) == []
