"""The player in a real JupyterLab in Chromium: how exact, how late, how quick, and what it costs.

    python -m tests.benchmarks.player [--json FILE] [--quick]

Step by frame: the number that stands in each frame, forwards and backwards. Seek: from the click to the frame on
the page, in a recording of one hour. Delay: how long ago the frame on the page was taken, while it is recorded.
Costs: the share of a core in the kernel and in the recording's process, beside those without a viewer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import psutil

import recordkit as rk

from ..lab.jupyter import Lab, Notebook, running_browser, running_lab, write_notebook
from ..lab.watching import number_in_frame, of_view, step, until_view

STEPS, SEEKS, SAMPLES = 300, 20, 40
_SEEK = """async ([time]) => {
    const view = document.querySelector('.recordkit-player').recordkitView;
    const begun = performance.now();
    view.goTime(time);
    const { first } = view;
    while (first.wanted || first.goal || first.video.seeking || Math.abs(first.media_s - time) > 0.21) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (performance.now() - begun > 60_000) throw new Error(`the frame at ${time} s is not shown`);
    }
    return performance.now() - begun;
}"""
_LATE = """() => {
    const { first } = document.querySelector('.recordkit-player').recordkitView;
    return Date.now() - first.when;
}"""


def stepped(notebook: Notebook, steps: int) -> dict[str, int]:
    """How many of ``steps`` frames forwards, and as many backwards, show the number that they should."""
    notebook.find(".recordkit-player").focus()
    return {
        "steps": steps,
        "right_forwards": sum(step(notebook, ".", number) == number for number in range(1, steps + 1)),
        "right_backwards": sum(step(notebook, ",", number) == number for number in range(steps - 1, -1, -1)),
    }


def opened(notebook: Notebook) -> int:
    """Milliseconds from the player on the page to its first frame."""
    until_view(notebook, "view.first.number >= 0")
    return round(float(str(of_view(notebook, "view.first.firstAt - view.begunAt"))))


def sought(notebook: Notebook, seeks: int) -> dict[str, float]:
    """Milliseconds that seeks to places all over an hour take."""
    times = [notebook.page.evaluate(_SEEK, [(number * 1373 + 611) % 3590 + 0.5]) for number in range(seeks)]
    return {"seek_ms_median": round(statistics.median(times)), "seek_ms_most": round(max(times))}


def share(pid: int, seconds: float, notebook: Notebook) -> float:
    """The share of a core that a process takes, its children left out."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    notebook.page.wait_for_timeout(seconds * 1000)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


def live(lab: Lab, notebook: Notebook, seconds: float) -> dict[str, Any]:
    """While 720p30 is recorded: how late the page is, and what each process takes with and without a viewer."""
    until_view(notebook, "view.isFollowing && view.first.number > 60")
    late = []
    for _ in range(SAMPLES):
        notebook.page.wait_for_timeout(173)
        late.append(float(notebook.page.evaluate(_LATE)))
    kernel, worker = notebook.kernel_pid(), int(notebook.ask("print(session.worker_pid)"))
    watched = share(kernel, seconds, notebook), share(worker, seconds, notebook)
    notebook.find(".recordkit-player-modes button:has-text('off')").click()
    notebook.page.wait_for_timeout(1000)
    alone = share(kernel, seconds, notebook), share(worker, seconds, notebook)
    return {
        "late_ms_median": round(statistics.median(late)),
        "late_ms_most": round(max(late)),
        "kernel_share_watched": round(watched[0], 4),
        "kernel_share_off": round(alone[0], 4),
        "worker_share_watched": round(watched[1], 4),
        "worker_share_off": round(alone[1], 4),
    }


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    steps, hour, seconds = (20, 60, 3) if asked.quick else (STEPS, 3600, 20)
    found: dict[str, Any] = {"load": [round(os.getloadavg()[0], 1)]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        rk.record(rk.Synthetic(width=320, height=180, seconds=steps / 30 + 1, realtime=False), folder / "short.ts")
        rk.record(
            rk.Synthetic(width=64, height=48, fps=5, seconds=hour, audio=False, realtime=False),
            folder / "hour.ts",
        )
        begin = "import recordkit as rk\n"
        write_notebook(folder / "short.ipynb", begin + "rk.Player('short.ts')")
        write_notebook(folder / "hour.ipynb", begin + "rk.Player('hour.ts')")
        write_notebook(
            folder / "live.ipynb", begin + "session = rk.start(rk.Synthetic(), 'live.ts')\nrk.Player(session)"
        )
        with (
            running_lab(folder, Path(scratch) / "home") as lab,
            running_browser(Path(scratch) / "profile") as browser,
        ):
            for name in ("short", "hour", "live"):
                notebook = Notebook(browser, lab, f"{name}.ipynb")
                notebook.run_all()
                found[name] = {"first_frame_ms": opened(notebook)}
                if name == "short":
                    assert number_in_frame(notebook) == 0
                    found[name] |= stepped(notebook, steps)
                elif name == "hour" and not asked.quick:
                    found[name] |= sought(notebook, SEEKS)
                elif name == "live":
                    found[name] |= live(lab, notebook, seconds)
                    notebook.ask("session.stop()")
                notebook.close()
                notebook.page.close()
                print(name, found[name], flush=True)
    found["load"].append(round(os.getloadavg()[0], 1))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
