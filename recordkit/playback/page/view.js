// What one view shows: its films on one clock, and what can be done with them.

const REPORT_MS = 250;
const WAITING = "Waiting for the kernel: it is busy with a cell. What is shown goes on when that has ended.";
const ALONE = "The kernel is gone: what has been loaded can still be watched. Run this cell again to go on.";

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.begunAt = performance.now();
    this.reportedAt = 0;
    this.isClosed = this.isPlaying = this.isFollowing = false;
    this.speed = 1;
    this.sleepers = new Set();
    this.mode = model.get("mode");
    this.waiting = model.get("waiting") || WAITING;
    this.kernel = new Kernel(model, () => this.lose());
    this.line = new Line(model, this.kernel, (isWaiting) => this.tellWait(isWaiting));
    this.films = model.get("titles").map((_, of) => new Film(this, of));
    this.tools = new Tools(this);
    this.meter = new Meter(this);
    this.controls = new Controls(this, this.meter);
    this.build();
    this.heard = (content) => this.told(content);
    this.marksChanged = () => this.controls.drawMarks();
    this.modeChanged = () => this.setMode(model.get("mode"));
    model.on("msg:custom", this.heard);
    model.on("change:mode", this.modeChanged);
    model.on("change:marks_shown", this.marksChanged);
    this.timer = setInterval(() => this.tick(), REPORT_MS);
    this.draw();
    for (const film of this.films) film.open();
  }

  build() {
    const { el, films } = this;
    const titles = this.model.get("titles");
    el.classList.add("recordkit-player");
    el.tabIndex = 0;
    el.setAttribute("role", "region");
    el.setAttribute("aria-label", `Player: ${titles.join(", ")}`);
    // JupyterLab would take a letter for a command to the cell; what comes with Ctrl, Alt or Meta is its own.
    this.leave = (event) => el.toggleAttribute("data-lm-suppress-shortcuts", !isCommand(event));
    window.addEventListener("keydown", this.leave, true);
    const stage = made("div", "recordkit-player-stage", {}, ...films.map((film) => film.box));
    stage.style.setProperty("--films", Math.min(films.length, 3));
    this.notice = made("div", "recordkit-player-notice", { hidden: true });
    this.notice.setAttribute("role", "status");
    stage.append(this.notice);
    stage.addEventListener("click", (event) => event.target.closest("video,img") && this.toggle());
    stage.addEventListener("dblclick", () => this.fullScreen());
    if (films.length > 1) for (const film of films) film.box.append(made("div", "recordkit-player-title", { textContent: titles[film.of] }));
    el.append(stage, ...this.controls.elements, ...hidesKept(this.model.get("kept")));
    el.addEventListener("keydown", (event) => this.controls.key(event));
    if (this.model.get("muted")) this.setMuted(true);
  }

  get first() {
    return this.films[0];
  }

  // The film that the others follow: the first one, as long as it lasts.
  get lead() {
    const end = (film) => film.status.duration + this.shift(film.of);
    return this.films.find((one) => !one.isDone()) ?? this.films.reduce((last, one) => (end(one) > end(last) ? one : last));
  }

  // Nothing more comes.
  get isOver() {
    return this.isClosed || this.kernel.isGone;
  }

  // Why there is no answer.
  get absence() {
    return this.kernel.isGone ? ALONE : this.waiting;
  }

  shift(of) {
    return this.model.get("shifts")[of] || 0;
  }

  // Sleeps, unless somebody wakes it.
  rest(ms) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.sleepers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(ms, 0));
      this.sleepers.add(done);
    });
  }

  wake() {
    for (const done of [...this.sleepers]) done();
  }

  // In words, and over the video; what is loaded goes on.
  tellWait(isWaiting) {
    if (this.kernel.isGone) return;
    this.notice.hidden = !isWaiting;
    this.notice.textContent = isWaiting ? this.waiting : "";
  }

  lose() {
    this.notice.hidden = false;
    this.notice.textContent = ALONE;
    this.line.lose();
    for (const film of this.films) {
      film.status.growing = false; // nothing more of it comes to this page
      film.feed.finish();
    }
    this.finished();
    this.wake();
  }

  told({ do: what, number, media_s }) {
    if (what === "play") this.play();
    else if (what === "pause") this.pause();
    else if (what === "go") {
      this.isFollowing = false;
      this.pause();
      // The kernel may know of frames that this page has not heard of yet.
      this.first.status.count = Math.max(this.first.status.count ?? 0, number + 1);
      this.first.goNumber(number, media_s);
      this.gather(media_s + this.shift(0));
    }
  }

  now() {
    const { lead } = this;
    const target = lead.target === null ? -1 : lead.frames.place(lead.target);
    return (target >= 0 ? lead.frames.times[target] : lead.media_s) + this.shift(lead.of);
  }

  duration() {
    return Math.max(...this.films.map((film) => film.status.duration + this.shift(film.of)), 0);
  }

  isGrowing() {
    return this.films.some((film) => film.status.growing && !film.isLeft());
  }

  // Playing, and not off.
  get isShowing() {
    return this.isPlaying && this.mode !== "off";
  }

  toggle() {
    if (this.isShowing) this.pause();
    else this.play();
  }

  play() {
    if (this.mode === "off") this.setMode("full");
    if (!this.isGrowing() && this.now() >= this.duration() - 0.1) this.goTime(0);
    this.isPlaying = true;
    for (const film of this.films) film.play();
    this.meter.listen();
    this.wake();
    this.draw();
  }

  pause() {
    this.isPlaying = this.isFollowing = false;
    for (const film of this.films) film.video.pause();
    this.draw();
    this.report();
  }

  ended() {
    if (this.isPlaying && this.films.every((film) => film.isDone())) this.pause();
  }

  finished() {
    if (this.isGrowing()) return;
    this.isFollowing = false;
    this.setSpeed(this.speed);
    this.draw();
  }

  follow(isOn) {
    this.isFollowing = isOn;
    if (!isOn) return;
    for (const film of this.films) film.goEnd();
    this.play();
  }

  goTime(time) {
    this.isFollowing = false;
    this.setSpeed(this.speed);
    const wanted = Math.min(Math.max(time, 0), this.duration());
    this.first.goTime(wanted - this.shift(0));
    this.gather(wanted);
    this.controls.place.value = wanted;
    this.draw();
  }

  stepBy(count) {
    if (this.isPlaying) this.pause();
    const { first } = this;
    const number = (first.target ?? first.number) + count;
    first.goNumber(number);
    const at = first.frames.place(number);
    if (at >= 0) this.gather(first.frames.times[at] + this.shift(0));
  }

  // The others go where the first one is.
  gather(time) {
    for (const film of this.films.slice(1)) film.goTime(time - this.shift(film.of) + 0.0005);
  }

  setSpeed(speed) {
    this.speed = speed;
    for (const film of this.films) film.video.playbackRate = film.rate = speed;
  }

  setMuted(isMuted) {
    this.first.video.muted = isMuted;
    this.controls.drawMuted(isMuted);
  }

  setMode(mode) {
    this.mode = mode;
    for (const film of this.films) {
      if (mode !== "full") film.video.pause();
      else film.images.show(film.isImages);
      if (mode !== "off") film.wanted = { number: this.isFollowing ? -1 : Math.max(film.number, 0) };
      film.say(mode === "off" ? "Off: nothing is loaded." : film.note || "");
    }
    if (mode === "full" && this.isPlaying) for (const film of this.films) film.play();
    this.wake();
    this.draw();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.el.requestFullscreen?.();
  }

  tick() {
    if (this.isFollowing) this.finished();
    this.ended();
    if (this.isFollowing && this.isPlaying) for (const film of this.films) film.keepUp();
    else if (this.isPlaying && this.films.length > 1) this.together();
    const stands = (film) => film.video.paused && !film.isImages && !film.video.ended && !film.isEarly;
    if (this.isPlaying && this.mode === "full" && this.films.some(stands))
      for (const film of this.films) if (film.feed.isOpen && film.video.readyState > 2) film.play();
    for (const film of this.films) film.watch();
    if (performance.now() - this.reportedAt > 1.5 * REPORT_MS) this.report();
    this.draw();
  }

  together() {
    const { lead } = this;
    const time = lead.time() + this.shift(lead.of);
    for (const film of this.films) {
      const at = time - this.shift(film.of);
      // It begins later than the others: until then its first frame stands.
      film.isEarly = at < 0;
      if (film.isEarly) film.video.pause();
      if (film === lead || film.isEarly || film.isDone() || (at >= film.status.duration && !film.status.growing)) continue;
      const off = at - film.time();
      if (Math.abs(off) > 0.5 && !film.wanted && !film.goal) film.goTime(time - this.shift(film.of));
      else film.video.playbackRate = this.speed * (1 + Math.min(Math.max(off, -0.1), 0.1));
    }
  }

  // Where the first film is, if the kernel has not been told; goes along with a question where there is one.
  place() {
    const { number, media_s } = this.first;
    if (number < 0 || number === this.reported) return undefined;
    this.reported = number;
    this.reportedAt = performance.now();
    return { number, media_s };
  }

  report(isNow = false) {
    if (isNow) this.reported = -1; // another page may have moved it since
    const at = this.place();
    if (at) this.line.tell({ tell: "at", ...at });
  }

  // Anew, unless it is for a film that says nothing about where the view is.
  draw(film) {
    if (!film || film === this.lead || film === this.first) this.controls.draw();
  }

  close() {
    this.isClosed = true;
    clearInterval(this.timer);
    window.removeEventListener("keydown", this.leave, true);
    this.model.off("msg:custom", this.heard);
    this.model.off("change:marks_shown", this.marksChanged);
    this.model.off("change:mode", this.modeChanged);
    this.wake();
    this.line.close();
    this.kernel.close();
    for (const film of this.films) film.close();
    this.meter.close();
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    el.recordkitView = view; // for whoever tests or debugs the page
    return () => view.close();
  },
};
