"""What the machine has left: its own figures, and the control groups and limits around a process."""

import os
import resource
from types import SimpleNamespace

import psutil
import pytest

from recordkit.recorder.capacity import Capacity

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch):
    """A machine with 16 GiB, half of it to be had."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB, total=16 * GIB))


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Capacity(root)


def figures(capacity):
    return capacity.memory_bytes(), capacity.total_memory_bytes()


def test_the_real_machine():
    capacity = Capacity()
    available, total = figures(capacity)
    assert 0 < available <= total <= psutil.virtual_memory().total
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Between two readings: what earlier tests have left may end at this moment.
    left = [limit - len(os.listdir("/proc/self/fd"))]  # noqa: PTH208
    told = capacity.descriptors()
    left.append(limit - len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    assert min(left) <= told <= max(left)


def test_a_machine_without_control_groups(machine, tmp_path):
    assert figures(Capacity(tmp_path)) == (8 * GIB, 16 * GIB)
    assert Capacity(tmp_path).descriptors() is None


def test_a_group_of_version_2_counts_without_the_pages_that_can_be_freed(machine, tmp_path):
    capacity = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/one\n",
            "sys/fs/cgroup/user/one/memory.max": f"{2 * GIB}\n",
            "sys/fs/cgroup/user/one/memory.current": f"{3 * GIB // 2}\n",
            "sys/fs/cgroup/user/one/memory.stat": f"anon {GIB // 2}\nactive_file 7\ninactive_file {GIB}\n",
            "sys/fs/cgroup/user/memory.max": "max\n",
            "sys/fs/cgroup/user/memory.current": f"{9 * GIB}\n",
        },
    )
    assert figures(capacity) == (3 * GIB // 2, 2 * GIB)


def test_the_tightest_group_above_counts(machine, tmp_path):
    capacity = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/one\n",
            "sys/fs/cgroup/user/one/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/user/one/memory.current": f"{GIB}\n",
            "sys/fs/cgroup/user/memory.max": f"{5 * GIB}\n",
            "sys/fs/cgroup/user/memory.current": f"{5 * GIB - 1000}\n",
        },
    )
    assert figures(capacity) == (1000, 4 * GIB)


def test_a_container_sees_its_own_group_at_the_root(machine, tmp_path):
    capacity = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../../docker/abc\n",
            "sys/fs/cgroup/memory.max": f"{GIB}\n",
            "sys/fs/cgroup/memory.current": f"{2 * GIB}\n",
        },
    )
    assert figures(capacity) == (0, GIB)


def test_a_group_of_version_1(machine, tmp_path):
    capacity = write(
        tmp_path,
        {
            "proc/self/cgroup": "8:pids:/\n4:cpu,memory:/box\n1:name=systemd:/\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/box/memory.stat": f"cache 5\ntotal_inactive_file {GIB // 4}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        },
    )
    assert figures(capacity) == (GIB // 4, GIB)


def test_descriptors_that_are_open_count(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 4096))
    capacity = write(tmp_path, {f"proc/self/fd/{number}": "" for number in range(30)})
    assert capacity.descriptors() == 70
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20, 4096))
    assert capacity.descriptors() == 0
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert capacity.descriptors() is None
