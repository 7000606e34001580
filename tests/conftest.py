"""What all tests share."""

import gc
import os
import signal
import sys
import threading

import pytest
from hypothesis import settings

from tests.steering import GUARD_S

# The same inputs in each run; `make fuzz` looks for new ones.
settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")


def pytest_configure() -> None:
    # Run in the background, or under nohup, these are ignored, and the children of the tests would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_runtest_teardown() -> None:
    # An AV1 encoder makes root's process real-time: busy children of a later test would stop all beside it.
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest comes first, so that the other workers do not wait for its end."""
    items.sort(key=lambda item: item.path.name != "test_lab.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def refresh_golden(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--refresh-golden")


@pytest.fixture
def none_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives no further thread."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.fixture
def no_frame_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a busy machine lets nothing come of a sender in this process, its last frame is not repeated."""
    from recordkit.sources.webrtc import stream

    for name in ("STANDS_S", "_STOOD_S"):
        monkeypatch.setattr(stream, name, GUARD_S)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a failure, wait for no recording that a test left running: the test may have made its disk hang.

    A program waits at its end until what it records is committed.
    """
    running = sys.modules.get("recordkit.recorder.running")
    if session.testsfailed and running is not None:
        for one in gc.get_objects():
            if type(one) is running.RunningRecording:
                one.abandon()
