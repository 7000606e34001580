"""Which memory is put into large pages: the process's own that is full, once, up to a bound."""

import mmap

import pytest

from recordkit.recorder.large_pages import LargePages
from recordkit.recorder.recorder import Recorder
from recordkit.recorder.shared import Shared

from ..steering import alone

LARGE = 2 << 20
MANY = LARGE // mmap.PAGESIZE
HERE, ALONE = 1 << 63, 1 << 56
MIB = 1 << 20


class Machine:
    """A process; ``filled`` has by its address what is told of the first small pages in a large one."""

    def __init__(self, root, maps, filled=None, enabled="always [madvise] never", size=f"{LARGE}\n"):
        self.root = root
        self.collapsed = []
        settings = root / "sys/kernel/mm/transparent_hugepage"
        settings.mkdir(parents=True)
        (settings / "enabled").write_text(enabled)
        (settings / "hpage_pmd_size").write_text(size)
        process = root / "proc/self"
        process.mkdir(parents=True)
        (process / "maps").write_text("".join(f"{begin:08x}-{end:08x} {rest}\n" for begin, end, rest in maps))
        (process / "pagemap").write_bytes(bytes(max(end for _, end, _ in maps) // mmap.PAGESIZE * 8))
        self.fill(filled or {})

    def fill(self, filled):
        with (self.root / "proc/self/pagemap").open("r+b") as entries:
            for begin, (entry, count) in filled.items():
                entries.seek(begin // mmap.PAGESIZE * 8)
                entries.write(entry.to_bytes(8, "little") * count)

    def pages(self):
        pages = LargePages(self.root, lambda begin, size: self.collapsed.append((begin, size)))
        pages.is_wanted = True
        return pages

    def looked(self, *resident):
        pages = self.pages()
        for one in resident or (100 * MIB, 100 * MIB):
            pages.look(one)
        return [begin // LARGE for begin, _ in self.collapsed]


OWN = "rw-p 00000000 00:00 0"
FULL = (HERE | ALONE, MANY)


def full(*numbers):
    return {number * LARGE: FULL for number in numbers}


def test_what_is_full_is_put_into_large_pages(tmp_path):
    machine = Machine(
        tmp_path,
        [(8 * LARGE + 4096, 13 * LARGE - 4096, OWN)],
        full(8, 9, 10, 12) | {11 * LARGE: (HERE | ALONE, MANY // 2)},
    )
    assert machine.looked() == [9, 10]
    assert {size for _, size in machine.collapsed} == {LARGE}


def test_nothing_happens_until_coded_media_come_live(tmp_path):
    machine = Machine(tmp_path, [(8 * LARGE, 9 * LARGE, OWN)], full(8))
    pages = machine.pages()
    pages.is_wanted = False
    for _ in range(3):
        pages.look(100 * MIB)
    assert machine.collapsed == []


def test_who_feeds_a_recorder_from_a_network_wants_them(tmp_path):
    shared = Shared()
    recorder = Recorder(tmp_path / "a.ts", shared=shared)
    assert not shared.pages.is_wanted
    recorder.gather()
    assert shared.pages.is_wanted


def test_a_few_pages_may_be_missing(tmp_path):
    machine = Machine(
        tmp_path,
        [(8 * LARGE, 10 * LARGE, OWN)],
        {8 * LARGE: (HERE | ALONE, MANY * 15 // 16), 9 * LARGE: (HERE | ALONE, MANY * 15 // 16 - 1)},
    )
    assert machine.looked() == [8]


@pytest.mark.parametrize("entry", [HERE, ALONE, 1 << 62 | ALONE], ids=["shared", "not in memory", "swapped out"])
def test_what_is_elsewhere_or_of_others_too_stays(tmp_path, entry):
    assert Machine(tmp_path, [(8 * LARGE, 9 * LARGE, OWN)], {8 * LARGE: (entry, MANY)}).looked() == []


@pytest.mark.parametrize(
    ("rest", "are_taken"),
    [
        (OWN, True),
        (f"{OWN}                          [heap]", True),
        (f"{OWN}                          [stack]", False),
        ("r--p 00000000 00:00 0", False),
        ("rw-s 00000000 00:01 7                          /dev/shm/other", False),
        ("rw-p 00000000 fe:00 42                         /usr/lib/libc.so", False),
    ],
)
def test_only_memory_without_a_file_is_looked_at(tmp_path, rest, are_taken):
    assert Machine(tmp_path, [(8 * LARGE, 9 * LARGE, rest)], full(8)).looked() == [8] * are_taken


def test_data_of_the_program_is_left_alone(tmp_path):
    large, small = (8 * LARGE, 73 * LARGE, OWN), (80 * LARGE, 81 * LARGE, OWN)
    assert Machine(tmp_path, [large, small], full(8, 80)).looked() == [80]


def test_it_is_done_with_so_much_memory(tmp_path):
    areas = [(number * LARGE, (number + 40) * LARGE, OWN) for number in (40, 80)]
    machine = Machine(tmp_path, areas, full(*range(40, 120)))
    assert machine.looked(*[100 * MIB] * 2, *[200 * MIB] * 2) == list(range(40, 104))


def test_each_is_taken_once_and_looked_for_when_there_is_more_memory(tmp_path):
    machine = Machine(tmp_path, [(8 * LARGE, 9 * LARGE, OWN), (9 * LARGE, 10 * LARGE, OWN)], full(8))
    pages = machine.pages()

    def look(*resident):
        for one in resident:
            pages.look(one)
        return [begin // LARGE for begin, _ in machine.collapsed]

    assert look(None, 50 * MIB, 60 * MIB) == []  # it grew, or nobody knows
    assert look(60 * MIB) == [8]
    machine.fill(full(8, 9))
    assert look(60 * MIB, 67 * MIB, 67 * MIB, 90 * MIB) == [8]
    assert look(90 * MIB) == [8, 9]


def test_a_system_without_them(tmp_path):
    areas, filled = [(8 * LARGE, 9 * LARGE, OWN)], full(8)
    assert Machine(tmp_path / "never", areas, filled, enabled="always madvise [never]").looked() == []
    assert Machine(tmp_path / "odd", areas, filled, size="").looked() == []
    pages = LargePages(tmp_path / "nowhere")
    pages.is_wanted = True
    pages.look(100 * MIB)


def test_of_this_process():
    alone(take)


def take():
    block = mmap.mmap(-1, 8 * LARGE)
    block.write(b"\1" * (8 * LARGE))
    pages = LargePages()
    pages.is_wanted = True
    pages.look(100 * MIB)
    pages.look(100 * MIB)
    assert block[:] == b"\1" * (8 * LARGE)
    block.close()
