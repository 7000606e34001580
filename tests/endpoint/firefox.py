"""Headless Firefox with its fake camera and microphone, driven by Marionette, the protocol that it speaks."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.judges import judge
from tests.steering import GUARD_S

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Nobody else is to be asked for anything.
    "app.update.disabledForTesting": True,
    "browser.region.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One window; ``port`` is where Marionette listens."""

    def __init__(self, port: int) -> None:
        self._connection = self._connected(port)
        self._count = 0
        self._read()  # its greeting
        self.ask("WebDriver:NewSession", {})

    @staticmethod
    def _connected(port: int) -> socket.socket:
        deadline = time.monotonic() + GUARD_S
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), GUARD_S)
            except OSError:
                assert time.monotonic() < deadline, "Firefox does not start"
                time.sleep(0.1)
            else:
                connection.settimeout(GUARD_S)
                return connection

    def go(self, url: str) -> None:
        """Load a page."""
        self.ask("WebDriver:Navigate", {"url": url})

    def run(self, script: str) -> Any:
        """What ``script``, the body of an async function, returns in the page."""
        body = (
            f"const done = arguments[0]; (async () => {{ {script} }})()"
            ".then((value) => done({ value: value ?? null }), (error) => done({ error: String(error) }));"
        )
        done = self.ask("WebDriver:ExecuteAsyncScript", {"script": body, "args": [], "sandbox": None})["value"]
        assert "error" not in done, done
        return done["value"]

    def until(self, expression: str) -> None:
        """Wait until ``expression`` is true in the page."""
        deadline = time.monotonic() + GUARD_S
        while not self.run(f"return Boolean({expression});"):
            assert time.monotonic() < deadline, f"{expression}: {self.run('return document.body.innerText;')}"
            time.sleep(0.1)

    def ask(self, name: str, parameters: dict[str, Any]) -> Any:
        """One command and its answer."""
        self._count += 1
        text = json.dumps([0, self._count, name, parameters])
        self._connection.sendall(f"{len(text)}:{text}".encode())
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def close(self) -> None:
        self._connection.close()

    def _read(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            size += self._connection.recv(1)
        data = b""
        while len(data) < int(size[:-1]):
            data += self._connection.recv(int(size[:-1]) - len(data))
        return json.loads(data)


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A browser of this machine with a fresh profile in ``profile``."""
    path = judge("firefox-esr")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join([*lines, f'user_pref("marionette.port", {port});']))
    command = [path, "--headless", "--no-remote", "--marionette", "--profile", str(profile)]
    with (profile / "firefox.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            window = Firefox(port)
            try:
                yield window
            finally:
                window.close()
        finally:
            process.terminate()
            process.wait(GUARD_S)
