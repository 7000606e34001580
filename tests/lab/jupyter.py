"""A real JupyterLab and a real Chromium that drives it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, sync_playwright

from ..chromium import FLAGS
from ..judges import judge
from ..steering import GUARD_S

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PANEL = "import recordkit as rk\npanel = rk.RecordingPanel({sources!r}, {folder!r})\npanel"


@dataclass
class Lab:
    """A running JupyterLab: its address, and the folder that it shows."""

    url: str
    folder: Path


@contextmanager
def running_lab(folder: Path, home: Path) -> Iterator[Lab]:
    """JupyterLab on ``folder``, its settings and runtime files in ``home``."""
    notices = home / "settings" / "@jupyterlab" / "apputils-extension"
    notices.mkdir(parents=True, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (notices / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": str(ROOT),
    }
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",
        "ServerApp.open_browser": "False",
        "ServerApp.root_dir": str(folder),
        "IdentityProvider.token": "",
        "ServerApp.password": "",
        "LabApp.expose_app_in_browser": "True",
        "JupyterNotebookApp.expose_app_in_browser": "True",
        "LabApp.news_url": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "FileContentsManager.delete_to_trash": "False",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    if os.geteuid() == 0:
        command.append("--allow-root")
    with (home / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home)
    try:
        yield Lab(_url(home / "runtime", server, home / "lab.log"), folder)
    finally:
        server.terminate()
        server.wait(GUARD_S)


def _url(runtime: Path, server: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + GUARD_S
    file = runtime / f"jpserver-{server.pid}.json"
    while time.monotonic() < end and server.poll() is None:
        if file.exists() and file.stat().st_size:
            return str(json.loads(file.read_text())["url"])
        time.sleep(0.05)
    raise AssertionError("JupyterLab did not start:\n" + log.read_text()[-3000:])


@contextmanager
def running_browser(profile: Path, *, width: int = 1280, height: int = 1000) -> Iterator[BrowserContext]:
    """Headless Chromium with a fake camera and microphone."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=judge("chromium"),
            args=list(FLAGS),
            viewport={"width": width, "height": height},
        )
        try:
            yield context
        finally:
            context.close()


class Notebook:
    """One notebook open in a page: one of its own, by ``face``, or ``page``, where JupyterLab is loaded already."""

    def __init__(
        self, context: BrowserContext, lab: Lab, name: str, page: Page | None = None, face: str = "lab/tree"
    ) -> None:
        self.page: Page = page or context.new_page()
        self.page.set_default_timeout(1000 * GUARD_S)
        self.faults: list[str] = []
        self.page.on("pageerror", self._fault)
        if page is None:
            self.page.goto(f"{lab.url}{face}/{name}?reset", wait_until="domcontentloaded")
        else:
            script = "path => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => null)"
            self.page.evaluate(script, name)
        self.page.wait_for_function(
            "path => window.jupyterapp?.shell.currentWidget?.context?.path === path", arg=name
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.idle()

    def _fault(self, error: object) -> None:
        self.faults.append(str(error))

    def command(self, name: str) -> None:
        """A command of JupyterLab's."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    def run_all(self, timeout_s: float = GUARD_S) -> None:
        """Run all cells, and wait for the end."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.idle(timeout_s)

    def idle(self, timeout_s: float = GUARD_S) -> None:
        """Wait for the kernel to be idle."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=timeout_s * 1000,
        )

    def restart(self) -> None:
        """Restart the kernel, as its menu does once one has confirmed."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        self.idle()

    def close(self) -> None:
        """Shut the kernel down and take the notebook off the page, without being asked whether to save it.

        A dialog that still stands is answered: no other notebook could be opened behind it.
        """
        script = """async () => {
            const widget = window.jupyterapp.shell.currentWidget;
            await widget?.sessionContext?.shutdown();
            widget?.dispose();
            document.querySelectorAll(".jp-Dialog .jp-mod-accept").forEach((button) => button.click());
        }"""
        self.page.evaluate(script)
        self.page.remove_listener("pageerror", self._fault)

    def kernel_pid(self) -> int:
        """The kernel's process."""
        return int(self.ask("import os; print(os.getpid())"))

    def ask(self, code: str) -> str:
        """What ``code`` prints in the kernel, without a cell."""
        script = """async ([code]) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({ code, store_history: false });
            let text = "";
            future.onIOPub = (m) => {
                if (m.header.msg_type === "stream") text += m.content.text;
                if (m.header.msg_type === "error") text += m.content.ename + ": " + m.content.evalue;
            };
            await future.done;
            return text;
        }"""
        return str(self.page.evaluate(script, [code])).strip()

    def errors(self) -> list[str]:
        """What cells ended with."""
        script = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
            .flatMap((cell) => cell.toJSON().outputs || [])
            .filter((output) => output.output_type === "error")
            .map((output) => output.ename + ": " + output.evalue)"""
        return [str(one) for one in self.page.evaluate(script)]

    def find(self, selector: str) -> Locator:
        """Something on the page."""
        return self.page.locator(selector)

    def theme(self, name: str) -> None:
        """``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.wait_for_timeout(600)


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of these code cells."""
    document: dict[str, Any] = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": one,
            }
            for number, one in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document))
