// What stands around the films of a view: the time line, buttons and keys, and what they show.

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];
const MODES = { off: "Load nothing", small: "One image a second, for slow links", full: "All of it" };
const MARKS_SHOWN = 8;
const RANGE_KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];
const HELD_KEYS = ["ArrowLeft", "ArrowRight", ",", "."]; // those that go on while they are held down

class Controls {
  constructor(view, meter) {
    this.view = view;
    this.buildLine();
    this.buildSound();
    this.buildModes();
    this.buildTools();
    this.playButton = button("Play (space)", "play", () => view.toggle());
    this.liveButton = made("button", "recordkit-player-live", { type: "button", title: "Go to what is recorded now", hidden: true }, made("i"), "live");
    this.liveButton.addEventListener("click", () => view.follow(true));
    const steps = [button("One frame back (comma)", "back", () => view.stepBy(-1)), button("One frame on (full stop)", "forth", () => view.stepBy(1))];
    this.time = made("span", "recordkit-player-time");
    this.frame = made("span", "recordkit-player-frame", { title: "The number of the frame that is shown" });
    this.when = made("span", "recordkit-player-when", { title: "When it was taken (Z: UTC)" });
    const places = made("span", "recordkit-player-places", {}, this.time, this.frame, this.when);
    const speed = made("select", "", { title: "Speed" }, ...SPEEDS.map((one) => new Option(`${one}×`, one, one === 1, one === 1)));
    speed.setAttribute("aria-label", "Speed");
    speed.addEventListener("change", () => view.setSpeed(Number(speed.value)));
    const right = made("span", "recordkit-player-right", {}, this.muteButton, this.volume, meter.box, speed, this.modes, ...this.tools, button("Full screen (f)", "full", () => view.fullScreen()));
    const row = made("div", "recordkit-player-controls", {}, this.playButton, ...steps, this.liveButton, places, right);
    this.marks = made("div", "recordkit-player-marks");
    this.marks.setAttribute("aria-label", "Marks");
    this.elements = [this.line, row, this.marks];
  }

  buildLine() {
    this.place = made("input", "", { type: "range", min: 0, max: 1, step: "any", value: 0 });
    this.place.setAttribute("aria-label", "Time");
    this.place.addEventListener("input", () => this.view.goTime(Number(this.place.value)));
    this.loaded = made("div", "recordkit-player-loaded");
    this.ticks = made("div", "recordkit-player-ticks");
    this.cut = made("div", "recordkit-player-cut", { hidden: true });
    this.line = made("div", "recordkit-player-line", {}, this.loaded, this.cut, this.place, this.ticks);
  }

  buildSound() {
    const { view } = this;
    this.muteButton = button("Mute", "loud", () => view.setMuted(!view.first.video.muted));
    this.volume = made("input", "recordkit-player-volume", { type: "range", min: 0, max: 1, step: 0.05, value: 1, title: "Volume" });
    this.volume.setAttribute("aria-label", "Volume");
    this.volume.addEventListener("input", () => {
      view.first.video.volume = Number(this.volume.value);
      view.setMuted(false);
    });
  }

  buildModes() {
    this.modeButtons = Object.entries(MODES).map(([mode, label]) => {
      const one = made("button", "", { type: "button", title: label, textContent: mode });
      one.addEventListener("click", () => this.view.setMode(mode));
      one.dataset.mode = mode;
      return one;
    });
    this.modes = made("div", "recordkit-player-modes", {}, ...this.modeButtons);
    this.modes.setAttribute("role", "group");
    this.modes.setAttribute("aria-label", "How much is shown");
  }

  buildTools() {
    const { tools } = this.view;
    this.markName = made("input", "", { type: "text", placeholder: "mark", maxLength: 200 });
    this.markName.setAttribute("aria-label", "Name of the mark");
    this.markName.addEventListener("keydown", (event) => isEnter(event) && tools.mark());
    const marking = made("span", "recordkit-player-marking", {}, button("Mark this frame (m)", "flag", () => tools.mark()), this.markName);
    this.clipButton = button("A clip from here on", "clip", () => tools.clip());
    const image = button("This frame as an image", "image", () => tools.saveImage());
    this.tools = [...(tools.can.mark ? [marking] : []), image, ...(tools.can.clip ? [this.clipButton] : [])];
  }

  // The keys that people know from other players.
  key(event) {
    if (isCommand(event)) return;
    // What has the focus keeps the keys that it knows itself.
    const { target } = event;
    if (target.closest("input[type=text],select")) return event.stopPropagation();
    const own = target.closest("button") ? [" ", "Enter"] : target === this.volume ? RANGE_KEYS : [];
    if (own.includes(event.key)) return event.stopPropagation();
    const { view } = this;
    const { tools } = view;
    const acts = {
      " ": () => view.toggle(),
      k: () => view.toggle(),
      ArrowLeft: () => view.goTime(view.now() - 5),
      ArrowRight: () => view.goTime(view.now() + 5),
      ",": () => view.stepBy(-1),
      ".": () => view.stepBy(1),
      Home: () => view.goTime(0),
      End: () => (view.isGrowing() ? view.follow(true) : view.goTime(view.duration())),
      ...(tools.can.mark && { m: () => tools.mark() }),
      f: () => view.fullScreen(),
      ...(tools.clipFrom !== undefined && { Escape: () => tools.setClip(undefined) }),
    };
    const key = event.key.length > 1 ? event.key : event.key.toLowerCase();
    if (!(key in acts)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat || HELD_KEYS.includes(key)) acts[key]();
  }

  draw() {
    const { view } = this;
    const { first, lead, tools } = view;
    const duration = view.duration();
    const now = lead.media_s + view.shift(lead.of);
    this.time.textContent = `${clock(now)} / ${clock(duration, 1)}`;
    this.frame.textContent = first.number < 0 ? "" : `frame ${first.number.toLocaleString("en")}`;
    this.when.textContent = Number.isFinite(first.when) ? new Date(first.when).toISOString().replace("T", " ") : "";
    this.place.max = duration || 1;
    if (!this.place.matches(":active")) this.place.value = now;
    this.place.setAttribute("aria-valuetext", `${clock(now)} of ${clock(duration, 1)}`);
    const share = (time) => Math.min(time / (duration || 1), 1);
    const span = (element, from, to) => {
      element.style.setProperty("--from", share(from).toFixed(5));
      element.style.setProperty("--wide", (share(to) - share(from)).toFixed(5));
    };
    const { buffered } = first.video;
    const isLoaded = buffered.length && !first.isImages;
    span(this.loaded, isLoaded ? buffered.start(0) + view.shift(0) : 0, isLoaded ? first.feed.end + view.shift(0) : 0);
    view.el.style.setProperty("--played", `${(100 * share(now)).toFixed(3)}%`);
    this.cut.hidden = tools.clipFrom === undefined;
    if (!this.cut.hidden) {
      const [from, to] = [tools.clipFrom + view.shift(0), now].sort((one, other) => one - other);
      span(this.cut, from, to);
    }
    this.drawButtons();
    if (this.tickedFor !== duration) this.drawMarks();
  }

  drawButtons() {
    const { view } = this;
    const face = view.isShowing ? "pause" : "play";
    if (this.playButton.dataset.face !== face) {
      this.playButton.dataset.face = face;
      relabel(this.playButton, view.isShowing ? "Pause (space)" : "Play (space)", face);
    }
    this.liveButton.hidden = !view.isGrowing();
    this.liveButton.setAttribute("aria-pressed", String(view.isFollowing));
    for (const one of this.modeButtons) one.setAttribute("aria-pressed", String(one.dataset.mode === view.mode));
  }

  drawMuted(isMuted) {
    relabel(this.muteButton, isMuted ? "Let it be heard" : "Mute", isMuted ? "mute" : "loud");
  }

  drawClip(words, isOpen) {
    relabel(this.clipButton, words);
    this.clipButton.setAttribute("aria-pressed", String(isOpen));
  }

  // As ticks on the time line, and the last of them by their names; made once, or a click could come between.
  drawMarks() {
    const { view } = this;
    const duration = (this.tickedFor = view.duration());
    const marks = view.model.get("marks_shown");
    const place = ({ of, media_s }) => media_s + view.shift(of);
    if (this.listed !== marks) {
      this.listed = marks;
      this.ticks.replaceChildren(...marks.map((mark) => this.toMark(place(mark), `${mark.name}, ${clock(place(mark))}`, mark.name)));
      // While more comes they move along: what was pressed may be elsewhere when the button is let go.
      marks.forEach((mark, at) => this.ticks.children[at].addEventListener("pointerdown", ({ button }) => button || this.view.goTime(place(mark))));
      const listed = marks.slice(-MARKS_SHOWN);
      this.marks.replaceChildren(...listed.map((mark) => this.toMark(place(mark), "", "", made("b", "", { textContent: clock(place(mark), 1) }), ` ${mark.name}`)));
    }
    marks.forEach((mark, at) => (this.ticks.children[at].style.left = `${Math.min((100 * place(mark)) / (duration || 1), 100)}%`));
  }

  toMark(time, title, name, ...shown) {
    const one = made("button", "", { type: "button", title }, ...shown);
    if (name) one.setAttribute("aria-label", `Go to the mark ${name}`);
    one.addEventListener("click", () => this.view.goTime(time));
    return one;
  }
}
