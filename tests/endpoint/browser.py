"""Headless Chromium with its fake camera and microphone, and ``recordkit serve`` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.chromium import FLAGS
from tests.judges import judge
from tests.steering import GUARD_S

GUARD_MS = 1000 * GUARD_S


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of this machine with a profile of its own."""
    path = judge("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Served:
    """A running ``recordkit serve``."""

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def committed(self) -> list[Path]:
        """The finished recordings."""
        return sorted(path for path in self.folder.glob("*.ts") if not path.name.endswith(".recording.ts"))


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """``recordkit serve`` with these options on a free port; it is ended as by Ctrl-C."""
    command = [sys.executable, "-c", "from recordkit.cli import main; main()", "--verbose", "serve", str(folder)]
    with (
        (folder / "serve.log").open("w") as log,
        subprocess.Popen(
            [*command, "--port", "0", *options], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "/whip/" in line, (folder / "serve.log").read_text()
            yield Served(line.split()[-1].removesuffix("/whip/NAME"), folder, process)
            process.terminate()
            assert process.wait(GUARD_S) == 0
        finally:
            process.kill()


@contextmanager
def publishing(browser: Browser, served: Served, query: str, script: str | None = None) -> Iterator[Page]:
    """The endpoint's own page, publishing; ``query`` fills in its form, ``script`` runs in it before all else."""
    page = browser.new_page()
    if script is not None:
        page.add_init_script(script)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(f"{served.url}/publish?{query}")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording.", exact=True).wait_for(timeout=GUARD_MS)
    yield page
    assert faults == []
    page.close()
