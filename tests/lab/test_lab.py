"""The notebooks and the panel in a real JupyterLab, driven by a real Chromium."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

import recordkit as rk
from recordkit.sources.readback import read_back

from ..judges import assert_decodes_in_silence
from ..media import make_clip
from ..steering import GUARD_S
from .jupyter import NOTEBOOKS, PANEL, Notebook, write_notebook
from .page_camera import PAGE_CAMERA, flash_to_beep_s
from .watching import button, changed, downloaded, number_in_frame, of_view, seen, step, until_view

ON_DISK = "document.querySelectorAll('.recordkit-tile b')[1].innerText"
SMALL = "import recordkit as rk\nsource = rk.Synthetic(width=320, height=240, fps=15)\n"
BEGUN = "while not session.figures.file_bytes:\n    session.wait(0.1)"


@pytest.mark.judge
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_every_notebook_runs_without_a_fault(name, opened):
    notebook = opened(name)
    notebook.run_all(timeout_s=180)
    assert notebook.errors() == []
    assert notebook.faults == []
    # What the last cell checks has been checked.
    counts = notebook.page.evaluate(
        "() => [...window.jupyterapp.shell.currentWidget.content.model.cells]"
        ".filter((cell) => cell.type === 'code').map((cell) => cell.executionCount)"
    )
    assert all(counts)
    # What is meant to be an image is one.
    outputs = notebook.page.evaluate(
        "() => [...window.jupyterapp.shell.currentWidget.content.model.cells]"
        ".flatMap((cell) => cell.toJSON().outputs || []).map((one) => [Object.keys(one.data || {}), one.data])"
    )
    assert not [data for kinds, data in outputs if "<Figure" in str(data) and "image/png" not in kinds]
    # A viewer without a kernel prints no style sheet as text; that of a DataFrame's table is pandas' own.
    texts = [str(data["text/plain"]) for kinds, data in outputs if "text/plain" in kinds]
    texts += [
        str(data["text/html"]).replace("<style scoped>", "") for kinds, data in outputs if "text/html" in kinds
    ]
    assert not [text for text in texts if "<style" in text or ".recordkit-" in text]


@pytest.mark.judge
def test_start_watch_and_stop_by_the_buttons(lab, cells):
    notebook = cells(PANEL.format(sources=["synthetic"], folder="buttons"))
    badge = notebook.find(".recordkit-badge")
    assert badge.inner_text() == "ready"
    assert button(notebook, "Stop").is_disabled()
    button(notebook, "Start").click()
    badge.filter(has_text="recording").wait_for()
    seen(notebook, "panel.session.figures.flush_count >= 2")
    notebook.find(".recordkit-charts img").nth(1).wait_for()
    assert button(notebook, "Start").is_disabled()
    # Both charts and the figures go on changing.
    for place in (*(f"document.querySelectorAll('.recordkit-charts img')[{one}].src" for one in range(2)), ON_DISK):
        changed(notebook, place, notebook.page.evaluate(place))
    # What is recorded is seen, and the mark stands on its time line at once.
    until_view(notebook, "view.isFollowing && view.first.number > 0 && view.first.video.currentTime > 0")
    notebook.find(".recordkit-mark-name input").fill("a question")
    notebook.find(".recordkit-mark-name input").press("Enter")
    notebook.find(".recordkit-player-marks button:has-text('a question')").wait_for()
    button(notebook, "Stop").click()
    badge.filter(has_text="stopped").wait_for()
    notebook.page.get_by_text("Committed:").wait_for()
    until_view(notebook, "!view.first.status.growing && view.controls.liveButton.hidden")
    # What a saved notebook keeps of it is there, and not seen beside the panel.
    kept = notebook.find("[data-recordkit]").filter(has_text="recording-1.ts")
    kept.wait_for(state="attached")
    assert not kept.is_visible()
    path = lab.folder / "buttons" / "recording-1.ts"
    assert rk.verify(path, decode=True).ok
    assert_decodes_in_silence(path)
    kinds = [json.loads(line).get("kind") for line in path.with_suffix(".flushes.jsonl").read_text().splitlines()]
    assert "mark" in kinds
    # The link gives the file; where the server does not, as that of Voila, the kernel does, in pieces.
    assert downloaded(notebook, "a:has-text('recording-1.ts')") == path.read_bytes()
    notebook.ask("from recordkit.panel import presence; presence._PIECE_BYTES = 99_999")
    notebook.page.route("**/files/buttons/**", lambda route: route.fulfill(status=405))
    assert downloaded(notebook, "a:has-text('recording-1.ts')") == path.read_bytes()
    # A second Start records into the next one.
    button(notebook, "Start").click()
    badge.filter(has_text="recording").wait_for()
    seen(notebook, "panel.session.figures.file_bytes > 0")
    button(notebook, "Stop").click()
    badge.filter(has_text="stopped").wait_for()
    seen(notebook, "panel.recording is not None")
    assert (lab.folder / "buttons" / "recording-2.ts").exists()
    # A third one breaks off: its player says so, and shows nothing as live that nobody records.
    button(notebook, "Start").click()
    until_view(notebook, "view.isFollowing && view.first.number > 0 && !view.controls.liveButton.hidden")
    os.kill(int(notebook.ask("print(panel.session.worker_pid)")), signal.SIGKILL)
    notebook.find(".recordkit-player-words").get_by_text("Nobody records this any more").wait_for()
    until_view(notebook, "view.controls.liveButton.hidden && !view.isFollowing")
    # It is played to its last frame, and stands there.
    until_view(notebook, "!view.isPlaying && view.first.number === view.first.status.count - 1")
    assert notebook.faults == []


def told_images(notebook):
    """What a screen reader says of each image: the names in Chromium's accessibility tree."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [one["name"]["value"] for one in nodes if one["role"]["value"] == "image" and not one["ignored"]]


@pytest.mark.judge
def test_everything_has_a_name_and_the_keyboard_reaches_it(cells):
    notebook = cells(PANEL.format(sources=["synthetic", "camera"], folder="keyboard"))
    nameless = """() => [...document.querySelectorAll(
            ".recordkit-panel button, .recordkit-panel input, .recordkit-panel select, .recordkit-camera select")]
        .filter((one) => !one.innerText.trim() && !one.labels?.[0]?.innerText.trim()
            && !one.ariaLabel && !one.title)
        .map((one) => one.outerHTML)"""
    assert notebook.page.evaluate(nameless) == []
    notebook.find(".recordkit-panel select").first.focus()
    reached = []
    for _ in range(14):
        notebook.page.keyboard.press("Tab")
        reached.append(notebook.page.evaluate("() => document.activeElement.innerText.trim()"))
        if reached[-1] == "Start":
            break
    assert reached[-1] == "Start"
    notebook.page.keyboard.press("Space")
    notebook.find(".recordkit-badge").filter(has_text="recording").wait_for()
    notebook.page.get_by_role("img", name="Chart over time. Memory: ").wait_for()
    images = told_images(notebook)
    for what in ("Memory", "File"):
        assert sum(one.startswith(f"Chart over time. {what}: ") for one in images) == 1
    unnamed = "() => [...document.querySelectorAll('.recordkit-panel img:not([alt])')].map((one) => one.outerHTML)"
    assert notebook.page.evaluate(unnamed) == []
    button(notebook, "Stop").focus()
    notebook.page.keyboard.press("Enter")
    seen(notebook, "panel.recording is not None")


@pytest.mark.judge
def test_keys_in_the_panel_are_its_own_and_marks_are_where_one_presses(cells):
    notebook = cells(PANEL.format(sources=["synthetic"], folder="keys"))
    page, marks = notebook.page, notebook.find(".recordkit-player-marks button")
    button(notebook, "Start").click()
    until_view(notebook, "view.isFollowing && view.first.number > 15")
    # Start has lost the focus: the player has it, and its keys.
    page.wait_for_function("() => document.activeElement.classList.contains('recordkit-player')")
    page.keyboard.press("m")
    marks.first.wait_for()
    # On a button a letter is no command for the cell, of which m would make text.
    notebook.find("button.recordkit-mark").focus()
    page.keyboard.press("m")
    marks.nth(1).wait_for()
    assert page.locator(".jp-CodeCell").count() == 1
    # A held key marks once.
    notebook.find(".recordkit-player").focus()
    page.keyboard.down("m")
    page.keyboard.down("m")
    page.keyboard.up("m")
    marks.nth(2).wait_for()
    # A tick moves while more comes: what counts is where it is pressed.
    place = notebook.find(".recordkit-player-ticks button").first.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    until_view(notebook, "!view.isFollowing && Math.abs(view.now() - view.model.get('marks_shown')[0].media_s) < 3")
    page.mouse.up()
    assert marks.count() == 3
    # One image a second is shown whole; off says so, and to play is to load again.
    notebook.find(".recordkit-player-modes button:has-text('small')").click()
    until_view(notebook, "view.first.images.picture.clientHeight === view.first.box.clientHeight")
    notebook.find(".recordkit-player-modes button:has-text('off')").click()
    notebook.find(".recordkit-player-words").get_by_text("Off: nothing is loaded.").wait_for()
    notebook.find(".recordkit-player button[aria-label^='Play']").click()
    until_view(notebook, "view.mode === 'full' && view.isPlaying && !view.first.video.hidden")
    # The arrows are the volume's where that has the focus.
    notebook.find(".recordkit-player-volume").focus()
    page.keyboard.press("ArrowLeft")
    until_view(notebook, "view.first.video.volume === 0.95")
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    assert notebook.faults == []


@pytest.mark.judge
def test_an_error_is_said_in_the_panel(cells):
    notebook = cells(PANEL.format(sources=["file"], folder="faulty"))
    button(notebook, "Start").click()
    notebook.page.get_by_text("give the path or URL").wait_for()
    assert notebook.find(".recordkit-badge").inner_text() == "ready"


@pytest.mark.judge
def test_a_click_while_a_cell_is_busy_is_not_lost(cells):
    notebook = cells(PANEL.format(sources=["synthetic"], folder="busy"), "import time")
    notebook.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({ code: 'time.sleep(3)' }); }"
    )
    button(notebook, "Start").click()
    waiting = notebook.page.get_by_text("The kernel is busy with a cell")
    waiting.wait_for()
    notebook.find(".recordkit-badge").filter(has_text="recording").wait_for()
    waiting.wait_for(state="hidden")
    seen(notebook, "panel.session.figures.file_bytes > 0")
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None and panel.recording.path.exists()")
    assert not waiting.is_visible()


@pytest.mark.judge
def test_a_kernel_that_is_restarted_while_recording_loses_nothing(lab, cells):
    notebook = cells(SMALL + "session = rk.start(source, 'restarted.ts')\n" + BEGUN)
    notebook.restart()
    assert committed(lab.folder / "restarted.ts")


@pytest.mark.judge
def test_a_panel_whose_kernel_is_restarted_finds_its_recording_again(lab, cells):
    notebook = cells(PANEL.format(sources=["synthetic"], folder="again"))
    button(notebook, "Start").click()
    seen(notebook, "panel.session.figures.file_bytes > 0")
    worker = notebook.ask("print(panel.session.worker_pid)")
    until_view(notebook, "view.isFollowing && view.first.number > 15")
    notebook.restart()
    notebook.page.get_by_text("This panel's kernel is gone").wait_for()
    # Its player comes to an end: it has what was loaded, and goes nowhere else.
    notebook.find(".recordkit-player-notice").get_by_text("The kernel is gone").wait_for()
    until_view(notebook, "!view.isPlaying && !view.isFollowing && !view.isGrowing()")
    notebook.find(".recordkit-player").focus()
    notebook.page.keyboard.press("Home")
    until_view(notebook, "view.first.number === view.first.frames.numbers[0] && !view.first.video.seeking")
    notebook.run_all()
    assert notebook.errors() == []
    notebook.page.get_by_text("nothing of the recording was lost").wait_for()
    assert notebook.ask("print(panel.session.worker_pid)") == worker
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    assert rk.verify(lab.folder / "again" / "recording-1.ts", decode=True).ok
    assert notebook.ask("print(panel.recording.counters.dropped_items)") == "0"


@pytest.mark.judge
def test_a_camera_whose_kernel_is_gone_turns_off_and_says_so(lab, cells):
    notebook = cells(PANEL.format(sources=["camera"], folder="gone"))
    button(notebook, "Start").click()
    notebook.find(".recordkit-camera").get_by_text("Being recorded").wait_for()
    seen(notebook, "panel.session.figures.duration_s >= 2")
    notebook.restart()
    notebook.find(".recordkit-camera").get_by_text("The kernel is gone. The device was turned off.").wait_for()
    assert notebook.page.evaluate("() => document.querySelector('.recordkit-camera video').srcObject") is None
    assert committed(lab.folder / "gone" / "recording-1.ts").duration_s >= 1
    assert notebook.faults == []


@pytest.mark.judge
def test_a_player_outlives_its_kernel_and_leaves_without_a_fault(cells):
    notebook = cells(SMALL + "rk.record(source, 'outlived.ts', seconds=2).play()")
    until_view(notebook, "view.first.number === 0")
    notebook.restart()
    notebook.find(".recordkit-player-notice").get_by_text("The kernel is gone").wait_for()
    # What has been loaded can still be watched; what the kernel would have to make is refused in words.
    notebook.find(".recordkit-player").focus()
    assert step(notebook, ".", 1) == 1
    notebook.find(".recordkit-player button[aria-label^='Mark']").click()
    notebook.find(".recordkit-player-words").get_by_text("The kernel is gone").wait_for()
    notebook.command("notebook:clear-all-cell-outputs")
    notebook.page.wait_for_function("() => !document.querySelector('.recordkit-player')")
    assert notebook.faults == []


@pytest.mark.judge
def test_a_page_that_is_loaded_anew_says_what_its_camera_recorded(lab, browser):
    # In a page of its own: the other tests' is loaded once.
    write_notebook(lab.folder / "anew.ipynb", PANEL.format(sources=["camera"], folder="anew"))
    notebook = Notebook(browser, lab, "anew.ipynb")
    try:
        notebook.run_all()
        button(notebook, "Start").click()
        notebook.find(".recordkit-camera").get_by_text("Being recorded").wait_for()
        seen(notebook, "panel.session.figures.duration_s >= 2")
        notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
        notebook.page.reload(wait_until="domcontentloaded")
        notebook.find(".recordkit-camera").get_by_text("Committed: recording-1.ts").wait_for(timeout=1000 * GUARD_S)
        assert committed(lab.folder / "anew" / "recording-1.ts").duration_s >= 1
    finally:
        notebook.close()
        notebook.page.close()


@pytest.mark.judge
def test_a_kernel_that_is_killed_leaves_a_complete_file(lab, cells):
    notebook = cells(SMALL + "session = rk.start(source, 'orphan.ts')\n" + BEGUN)
    told = float(notebook.ask("print(session.figures.duration_s)"))
    os.kill(notebook.kernel_pid(), signal.SIGKILL)
    assert committed(lab.folder / "orphan.ts").duration_s >= told
    # JupyterLab looks every few seconds; what it then asks holds the page until it is answered.
    notebook.find(".jp-Dialog").filter(has_text="will restart automatically").wait_for(timeout=1000 * GUARD_S)
    notebook.find(".jp-Dialog .jp-mod-accept").click()
    notebook.idle()


def committed(path: Path, timeout_s=GUARD_S):
    """The verdict on a recording that is committed without anybody's doing; it has to be without fault."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and not path.exists():
        time.sleep(0.05)
    verdict = rk.verify(path, decode=True)
    assert verdict.ok, verdict.problems
    assert not path.with_name(path.stem + ".recording.ts").exists()
    return verdict


@pytest.mark.judge
def test_a_cell_that_holds_the_interpreter_costs_no_frame(lab, cells):
    # A regular expression that backtracks holds the interpreter without a pause.
    hold = (
        "import re, time\n"
        "def held(length):\n"
        "    begun = time.monotonic()\n"
        "    re.match('(a+)+$', 'a' * length + 'b')\n"
        "    return time.monotonic() - begun\n"
        "length, total = 20, 0.0\n"
        "session.wait(2)\n"
        "while total < 20:\n"
        "    spent = held(length)\n"
        "    total += spent\n"
        "    length += spent < 5\n"
    )
    notebook = cells(
        "import recordkit as rk\nsession = rk.start(rk.Loopback(width=1280, height=720, fps=30), 'held.ts')", hold
    )
    recording = notebook.ask(
        "r = session.stop(); c = r.counters\n"
        "print(c.video_units, c.dropped_items, c.received.lost_packets, r.duration_s)"
    )
    units, dropped, lost, duration_s = map(float, recording.split())
    assert (dropped, lost) == (0, 0)
    assert duration_s > 20
    # By their numbers: on a busy machine the sender's video may lie behind its audio when it is stopped.
    back = read_back(lab.folder / "held.ts", fps=30)
    assert (back.lost, back.repeated, back.unreadable, back.out_of_order) == (0, 0, 0, 0)
    assert back.last_number - back.first_number + 1 == units > 300
    assert rk.verify(lab.folder / "held.ts").ok


@pytest.mark.judge
def test_the_browsers_camera(lab, cells):
    notebook = cells(PANEL.format(sources=["camera"], folder="camera"))
    button(notebook, "Start").click()
    notebook.find(".recordkit-camera").get_by_text("Being recorded").wait_for()
    seen(notebook, "panel.session.figures.duration_s >= 10")
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    counts = notebook.ask("c = panel.recording.counters; print(c.video_units, c.dropped_items)").split()
    path = Path(notebook.ask("print(panel.recording.path)"))
    verdict = rk.verify(path, decode=True)
    assert verdict.ok, verdict.problems
    assert_decodes_in_silence(path)
    assert {one.codec for one in verdict.streams} == {"h264", "aac"}
    assert int(counts[0]) > 100
    assert int(counts[1]) == 0
    # A second recording with it; and one whose device goes away ends, committed, with a word about that.
    button(notebook, "Start").click()
    notebook.find(".recordkit-camera").get_by_text("Being recorded").wait_for()
    seen(notebook, "panel.session.figures.file_bytes > 0")
    unplug = """() => {
        for (const track of document.querySelector('.recordkit-camera video').srcObject.getTracks()) {
            track.stop();
            track.dispatchEvent(new Event("ended"));
        }
    }"""
    notebook.page.evaluate(unplug)
    notebook.find(".recordkit-camera").get_by_text("It was unplugged").wait_for()
    seen(notebook, "panel.recording is not None and panel.session.state == 'stopped'")
    assert rk.verify(Path(notebook.ask("print(panel.recording.path)"))).ok
    # A cell that keeps the kernel busy keeps the answer from the page, which says so and waits.
    notebook.ask("import time; panel.start(); time.sleep(6)")
    notebook.find(".recordkit-camera").get_by_text("Being recorded").wait_for()
    # The device is let go of when the widget closes.
    notebook.ask("panel.close()")
    notebook.page.wait_for_function("() => !document.querySelector('.recordkit-camera video')?.srcObject?.active")
    assert notebook.faults == []


@pytest.mark.judge
def test_what_the_camera_sends_is_in_sync(cells, instead_of_the_device):
    instead_of_the_device(PAGE_CAMERA)
    notebook = cells(PANEL.format(sources=["camera"], folder="sync"))
    button(notebook, "Start").click()
    # The page's reports put its streams in sync; on a busy machine they may come late, or one may be missed.
    seen(notebook, "'sender reports' in open('sync/recording-1.flushes.jsonl').read()")
    told_s = float(notebook.ask("print(panel.session.figures.duration_s)"))
    seen(notebook, f"panel.session.figures.duration_s >= {told_s + 8}")
    button(notebook, "Stop").click()
    seen(notebook, "panel.recording is not None")
    offsets_s = flash_to_beep_s(Path(notebook.ask("print(panel.recording.path)")), after_s=told_s + 1)
    assert len(offsets_s) >= 4
    assert abs(sorted(offsets_s)[len(offsets_s) // 2]) <= 0.04, offsets_s


@pytest.mark.judge
def test_a_refused_camera_is_told_in_words(cells, instead_of_the_device):
    instead_of_the_device(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    )
    notebook = cells(PANEL.format(sources=["camera"], folder="refused"))
    button(notebook, "Start").click()
    notebook.find(".recordkit-camera").get_by_text("The browser was not allowed to use it").wait_for()
    notebook.find(".recordkit-badge").filter(has_text="failed").wait_for()
    notebook.find(".recordkit-note").get_by_text("The browser was not allowed").first.wait_for()


@pytest.mark.judge
def test_a_player_plays_steps_and_goes_where_code_sends_it(lab, cells):
    rk.record(
        rk.Synthetic(width=320, height=180, realtime=False, seconds=45), lab.folder / "played.ts", overwrite=True
    )
    notebook = cells("import recordkit as rk\nplayer = rk.Player('played.ts')\nplayer")
    until_view(notebook, "view.first.number === 0")
    assert number_in_frame(notebook) == 0
    notebook.find(".recordkit-player").focus()
    notebook.page.keyboard.press("Space")
    until_view(notebook, "view.first.number > 15")
    notebook.page.keyboard.press("Space")
    until_view(notebook, "view.first.video.paused && !view.first.video.seeking")
    # A moment, until the last frame that was decoded stands there.
    notebook.page.wait_for_timeout(200)
    at = number_in_frame(notebook)
    assert at == of_view(notebook, "view.first.number")
    assert [step(notebook, ",", at - one) for one in range(1, 9)] == [at - one for one in range(1, 9)]
    assert [step(notebook, ".", at - 7 + one) for one in range(8)] == [at - 7 + one for one in range(8)]
    notebook.page.keyboard.press("m")
    notebook.find(".recordkit-player-marks button").wait_for()
    # From code, and back again.
    notebook.ask("player.at(4.05)")
    until_view(notebook, "view.first.number === 120 && !view.first.video.seeking")
    assert number_in_frame(notebook) == 120
    seen(notebook, "player.number == 120 and abs(player.media_s - 4.05) < 0.04", name="player")
    notebook.find(".recordkit-player-ticks button").click()
    until_view(notebook, f"view.first.number === {at} && !view.first.video.seeking")
    # Far on, and far back: what is loaded there lies behind what was shown, and is kept.
    for media_s, number in ((44.05, 1320), (1.05, 30)):
        notebook.ask(f"player.at({media_s})")
        until_view(notebook, f"view.first.number === {number} && !view.first.goal && !view.first.video.seeking")
        assert number_in_frame(notebook) == number
    notebook.find(".recordkit-player-ticks button").click()
    until_view(notebook, f"view.first.number === {at} && !view.first.goal && !view.first.video.seeking")
    # One image a second, and nothing at all.
    notebook.find(".recordkit-player-modes button:has-text('small')").click()
    until_view(notebook, "!view.first.images.picture.hidden && view.first.images.picture.naturalWidth === 320")
    assert number_in_frame(notebook) == at
    # A page that has lost its kernel says so, and shows what it has.
    notebook.find(".recordkit-player-modes button:has-text('full')").click()
    notebook.restart()
    notebook.find(".recordkit-player").get_by_text("The kernel is gone").wait_for()
    assert notebook.faults == []


@pytest.mark.judge
@pytest.mark.parametrize("left", ["left.ts", "left.avi"], ids=["videos", "single images first"])
def test_recordings_side_by_side_go_on_until_the_longest_ends(lab, cells, left):
    for name, seconds in (("left", 1), ("right", 2)):
        source = rk.Synthetic(width=320, height=180, realtime=False, seconds=seconds)
        rk.record(source, lab.folder / f"{name}.ts", overwrite=True)
    if left.endswith(".avi"):
        make_clip(lab.folder / left, video="mpeg4", seconds=1)
    notebook = cells(f"import recordkit as rk\nplayer = rk.Player([{left!r}, 'right.ts'])\nplayer")
    until_view(notebook, "view.films.every((film) => film.number === 0)")
    notebook.find(".recordkit-player").focus()
    notebook.page.keyboard.press("Space")
    until_view(notebook, "view.films[0].isDone() && view.films[1].number > 32 && view.isPlaying")
    until_view(notebook, "!view.isPlaying && view.now() > 1.9")
    assert of_view(notebook, "view.films[0].number === view.films[0].status.count - 1")
    assert number_in_frame(notebook, 1) == 59
    notebook.page.keyboard.press("Home")
    until_view(notebook, "view.films.every((film) => film.number === 0 && !film.video.seeking && !film.goal)")
    assert number_in_frame(notebook, 1) == 0
    assert notebook.faults == []


@pytest.mark.judge
def test_all_recordings_begin_where_code_has_sent_the_first_one(lab, cells):
    source = rk.Synthetic(width=320, height=180, realtime=False, seconds=1)
    for name in ("one.ts", "two.ts"):
        rk.record(source, lab.folder / name, overwrite=True)
    notebook = cells("import recordkit as rk\nplayer = rk.Player(['one.ts', 'two.ts'])\nplayer.number = 15\nplayer")
    until_view(notebook, "view.films.every((film) => film.number === 15 && !film.video.seeking && !film.goal)")
    assert [number_in_frame(notebook, of) for of in range(2)] == [15, 15]


@pytest.mark.judge
def test_what_a_page_cannot_play_is_said_in_words_and_shown_all_the_same(lab, cells):
    clip = make_clip(lab.folder / "plain.ts", seconds=3)
    make_clip(lab.folder / "old.avi", video="mpeg4", seconds=1)
    make_clip(lab.folder / "surround.ts", audio=("ac3",), seconds=1)
    data = bytearray(clip.read_bytes())
    with rk.open(clip) as video:
        begin, end = (int(video.frames["offset"].iloc[number]) for number in (20, 30))
    data[begin:end] = bytes(end - begin)
    (lab.folder / "damaged.ts").write_bytes(data)
    names = ("old.avi", "surround.ts", "damaged.ts", "plain.ts")
    notebook = cells("import recordkit as rk", *(f"rk.Player({name!r})" for name in names))

    def told(place, words):
        notebook.find(".recordkit-player-words").nth(place).filter(has_text=words).wait_for()

    told(0, "shown as single images without audio: the video is in mpeg4")
    told(1, "does not play its audio (AC-3)")
    players = "[...document.querySelectorAll('.recordkit-player')]"
    notebook.page.wait_for_function(f"() => {players}.every((one) => one.recordkitView.first.number >= 0)")
    damaged = "document.querySelectorAll('.recordkit-player')[2].recordkitView"
    notebook.page.evaluate(f"() => {damaged}.goTime(1.2)")
    told(2, "Damaged here")
    # Deleted while it is watched: what is open can still be seen.
    (lab.folder / "plain.ts").unlink()
    plain = "document.querySelectorAll('.recordkit-player')[3].recordkitView"
    notebook.page.evaluate(
        f"() => {{ {plain}.first.frames.clear(); {plain}.first.wanted = {{ number: 30 }}; {plain}.wake(); }}"
    )
    told(3, "was deleted meanwhile")
    # A page that slept: what it missed is left out, and it goes on where live video is shown, behind frame 89.
    notebook.page.evaluate(f"() => {{ {plain}.first.status.duration += 3600; {plain}.first.keepUp(); }}")
    notebook.page.wait_for_function(f"() => {plain}.first.number > 75")
    # Without MediaSource: single images.
    notebook.page.evaluate("() => { window.kept = window.MediaSource; delete window.MediaSource; }")
    notebook.find(".jp-CodeCell").nth(2).click()
    notebook.command("notebook:run-cell")
    told(1, "has no MediaSource")
    second = "document.querySelectorAll('.recordkit-player')[1].recordkitView.first"
    notebook.page.wait_for_function(f"() => {second}.images.picture.naturalWidth > 0")
    notebook.page.evaluate("() => { window.MediaSource = window.kept; }")
    assert notebook.faults == []
