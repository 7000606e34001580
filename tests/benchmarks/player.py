"""The player in a real JupyterLab in Chromium: how exact, how late, how quick, and what it costs.

    python tests/benchmarks/player.py [--quick] [--json PATH]

Step by frame: the number that stands in each frame, forwards and backwards. Seek: from the call to the frame on the
page, in a recording of one hour. Delay: how long ago the frame on the page was taken, while it is recorded. Costs:
the share of a core in the kernel and in the recording's process, beside those without a viewer; ``jupyter_rfb``'s
kernel sends arrays that are there already, a JPEG a frame. Memory: a walk through a recording of hours, played
at sixteen times its speed at places from its beginning to its end; the page's heap and the kernel before and after.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from figures import Figures, command_line

import recordkit as rk

# A script has its own folder alone; what drives pages is a package.
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.lab.jupyter import Notebook, running_browser, running_lab, write_notebook
from tests.lab.watching import number_in_frame, of_view, step, until_view

STEPS, QUICK_STEPS = 300, 10
HOUR_S, QUICK_HOUR_S = 3600, 60
HOURS, QUICK_HOURS = 8, 0.05
SMALL_FPS, SLOW_FPS = 5, 1
"""Of the recordings of an hour, and of hours, which have to be made first."""
SEEKS, QUICK_SEEKS = 20, 3
SAMPLES, QUICK_SAMPLES = 40, 5
SHARE_S, QUICK_SHARE_S = 15.0, 2.0
PLACES, QUICK_PLACES = 48, 4
PLACE_S, QUICK_PLACE_S = 1.2, 0.3
ACQUAINTED = 6
"""At so many places what is made once has been made."""
RFB = "jupyter_rfb"
_SEEK = """async ([time, near_s]) => {
    const view = document.querySelector('.recordkit-player').recordkitView;
    const begun = performance.now();
    view.goTime(time);
    const { first } = view;
    while (first.wanted || first.goal || first.video.seeking || Math.abs(first.media_s - time) > near_s) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (performance.now() - begun > 60_000) throw new Error(`the frame at ${time} s is not shown`);
    }
    return performance.now() - begun;
}"""
_LATE = """() => {
    const { first } = document.querySelector('.recordkit-player').recordkitView;
    return Date.now() - first.when;
}"""
_FAST = "() => { document.querySelector('.recordkit-player').recordkitView.first.video.playbackRate = 16; }"
_BY_RFB = """
import asyncio
import numpy as np
from jupyter_rfb import RemoteFrameBuffer
import recordkit as rk

frames = [frame.to_ndarray(format="rgb24") for frame, _ in zip(
    rk.Synthetic(width=1280, height=720, audio=False, realtime=False).frames(), range(30))]


class View(RemoteFrameBuffer):
    shown = 0

    def get_frame(self):
        self.shown += 1
        return frames[self.shown % len(frames)]


async def draw():
    while True:
        view.request_draw()
        await asyncio.sleep(1 / 30)


view = View(css_width="1280px", css_height="720px")
task = asyncio.ensure_future(draw())
view
"""


def stepped(notebook: Notebook, steps: int) -> Figures:
    """How many of ``steps`` frames forwards, and as many backwards, show the number that they should."""
    assert number_in_frame(notebook) == 0
    notebook.find(".recordkit-player").focus()
    return {
        "steps": steps,
        "right_forwards": sum(step(notebook, ".", number) == number for number in range(1, steps + 1)),
        "right_backwards": sum(step(notebook, ",", number) == number for number in range(steps - 1, -1, -1)),
    }


def first_frame_ms(notebook: Notebook) -> int:
    """Milliseconds from the player on the page to its first frame."""
    until_view(notebook, "view.first.number >= 0")
    return round(float(str(of_view(notebook, "view.first.firstAt - view.begunAt"))))


def sought(notebook: Notebook, seeks: int, length_s: float) -> Figures:
    """Milliseconds that seeks to places all over a recording take."""
    places = [(number * 1373 + 611) % (length_s - 10) + 0.5 for number in range(seeks)]
    times = [notebook.page.evaluate(_SEEK, [place, 1 / SMALL_FPS + 0.01]) for place in places]
    return {"seek_ms_median": round(statistics.median(times)), "seek_ms_most": round(max(times))}


def share(pid: int, seconds: float, notebook: Notebook) -> float:
    """The share of a core that a process takes, its children left out."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    notebook.page.wait_for_timeout(seconds * 1000)
    after = process.cpu_times()
    return round((after.user + after.system - before.user - before.system) / seconds, 4)


def live(notebook: Notebook, samples: int, seconds: float) -> Figures:
    """While 720p30 is recorded: how late the page is, and what each process takes with and without a viewer."""
    until_view(notebook, "view.isFollowing && view.first.number > 60")
    late = []
    for _ in range(samples):
        notebook.page.wait_for_timeout(173)
        late.append(float(notebook.page.evaluate(_LATE)))
    kernel, worker = notebook.kernel_pid(), int(notebook.ask("print(session.worker_pid)"))
    found: Figures = {"late_ms_median": round(statistics.median(late)), "late_ms_most": round(max(late))}
    for mode in ("watched", "off"):
        if mode == "off":
            notebook.find(".recordkit-player-modes button:has-text('off')").click()
            notebook.page.wait_for_timeout(1000)
        found[f"kernel_share_{mode}"] = share(kernel, seconds, notebook)
        found[f"worker_share_{mode}"] = share(worker, seconds, notebook)
    notebook.ask("session.stop()")
    return found


def by_rfb(notebook: Notebook, seconds: float) -> Figures:
    """What ``jupyter_rfb`` takes for 720p30, and how many frames a second it sends."""
    kernel = notebook.kernel_pid()
    notebook.page.wait_for_timeout(2000)
    before = int(notebook.ask("print(view.shown)"))
    taken = share(kernel, seconds, notebook)
    return {"kernel_share": taken, "fps": round((int(notebook.ask("print(view.shown)")) - before) / seconds, 1)}


def watched_for_long(notebook: Notebook, places: int, seconds: float, length_s: float) -> Figures:
    """Memory of the page and of the kernel, MB, once acquainted and at the end; how much was played meanwhile."""
    kernel = psutil.Process(notebook.kernel_pid())
    page = notebook.page.context.new_cdp_session(notebook.page)
    notebook.find(".recordkit-player").focus()
    notebook.page.keyboard.press("Space")
    notebook.page.evaluate(_FAST)
    held: list[tuple[float, float]] = []
    for number in range(places):
        notebook.page.evaluate(_SEEK, [number * (length_s - 60) / places + 1, 1 / SLOW_FPS + 0.01])
        notebook.page.wait_for_timeout(seconds * 1000)
        if number in (min(ACQUAINTED, places // 2), places - 1):
            page.send("HeapProfiler.collectGarbage")
            heap = page.send("Runtime.getHeapUsage")["usedSize"]
            held.append((heap / 1e6, kernel.memory_info().rss / 1e6))
    (heap_before, kernel_before), (heap_after, kernel_after) = held
    return {
        "hours": length_s / 3600,
        "page_mb": [round(heap_before, 1), round(heap_after, 1)],
        "kernel_mb": [round(kernel_before, 1), round(kernel_after, 1)],
    }


def run(quick: bool) -> Figures:
    """All of it, in one JupyterLab, a notebook after the other."""
    steps, length_s, hours = (QUICK_STEPS, QUICK_HOUR_S, QUICK_HOURS) if quick else (STEPS, HOUR_S, HOURS)
    seeks, samples, share_s = (QUICK_SEEKS, QUICK_SAMPLES, QUICK_SHARE_S) if quick else (SEEKS, SAMPLES, SHARE_S)
    places, place_s = (QUICK_PLACES, QUICK_PLACE_S) if quick else (PLACES, PLACE_S)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        small: dict[str, Any] = {"width": 64, "height": 48, "audio": False, "realtime": False}
        rk.record(rk.Synthetic(width=320, height=180, seconds=steps / 30 + 1, realtime=False), folder / "short.ts")
        rk.record(rk.Synthetic(seconds=length_s, fps=SMALL_FPS, **small), folder / "hour.ts")
        rk.record(rk.Synthetic(seconds=hours * 3600, fps=SLOW_FPS, **small), folder / "long.ts")
        shown = {
            "short": "rk.Player('short.ts')",
            "hour": "rk.Player('hour.ts')",
            "long": "rk.Player('long.ts')",
            "live": "session = rk.start(rk.Synthetic(), 'live.ts')\nrk.Player(session)",
        }
        measures = {
            "short": lambda notebook: stepped(notebook, steps),
            "hour": lambda notebook: sought(notebook, seeks, length_s),
            "long": lambda notebook: watched_for_long(notebook, places, place_s, hours * 3600),
            "live": lambda notebook: live(notebook, samples, share_s),
        }
        for name, cell in shown.items():
            write_notebook(folder / f"{name}.ipynb", f"import recordkit as rk\n{cell}")
        write_notebook(folder / f"{RFB}.ipynb", _BY_RFB)
        with (
            running_lab(folder, Path(scratch) / "home") as lab,
            running_browser(Path(scratch) / "profile") as browser,
        ):

            def opened(name: str) -> Notebook:
                notebook = Notebook(browser, lab, f"{name}.ipynb")
                notebook.run_all()
                return notebook

            found: Figures = {"other": {"missing": f"{RFB} is not installed"}}
            for name, measure in measures.items():
                print(name, flush=True)
                notebook = opened(name)
                found[name] = {"first_frame_ms": first_frame_ms(notebook), **measure(notebook)}
                _leave(notebook)
            if importlib.util.find_spec(RFB) is not None:
                notebook = opened(RFB)
                found["other"] = by_rfb(notebook, share_s)
                _leave(notebook)
    return found


def _leave(notebook: Notebook) -> None:
    notebook.close()
    notebook.page.close()


def table(figures: Figures) -> str:
    short, hour, long, live = (figures[name] for name in ("short", "hour", "long", "live"))
    kernel, worker = (live[f"{who}_share_watched"] - live[f"{who}_share_off"] for who in ("kernel", "worker"))
    first = ", ".join(f"{figures[name]['first_frame_ms']}" for name in ("short", "hour", "long", "live"))
    other = figures["other"]
    told = other.get("missing") or f"{other['kernel_share']:.1%} for {other['fps']:g} frames a second"
    return "\n".join(
        (
            f"frames right of {short['steps']}: {short['right_forwards']} forwards, "
            f"{short['right_backwards']} backwards",
            f"first frame, ms: {first} (short, an hour, {long['hours']:g} hours, live)",
            f"seek in an hour, ms: median {hour['seek_ms_median']}, most {hour['seek_ms_most']}",
            f"behind the source, ms: median {live['late_ms_median']}, most {live['late_ms_most']}",
            f"a viewer of 720p30: {kernel:.1%} of a core in the kernel, {worker:.1%} in the recording's process",
            f"{RFB}: {told}",
            f"walk through {long['hours']:g} h, MB, before and after: page {long['page_mb']}, "
            f"kernel {long['kernel_mb']}",
        )
    )


if __name__ == "__main__":
    command_line(__doc__ or "", run, table)
