// The page's side of rk.Player: MediaSource, fed with MP4 chunks that the kernel makes of a recording as this asks for them.

const AHEAD_S = 20; // so much is asked for ahead of what is shown, and kept behind it
const BEHIND_S = 20;
const AHEAD_BYTES = 24e6;
const FIRST_BYTES = 262144;
const NEXT_BYTES = 524288;
const POLL_MS = 160; // how often more is asked for of what is being written
const LOOK_MS = 1000;
const PATIENCE_MS = 1000; // without an answer the page says that it waits
const LOST_MS = 20000; // and then asks again: the connection may have been lost
const REPORT_MS = 250;
const LIVE_LAG_S = 0.25; // so far behind the newest frame live video is shown
const LIVE_MOST_S = 1.2;
const LIVE_LOST_S = 6; // what has not even been asked for
const STUCK_MS = 2500;
const MOST_FAULTS = 5;
const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];
const WAITING = "Waiting for the kernel: it is busy with a cell. What is shown goes on when that has ended.";
const ALONE = "The kernel is gone: what has been loaded can still be watched. Run this cell again to go on.";

const DAMAGED = "Damaged here: bytes of the file are missing, and what is shown may be wrong.";

const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  back: "M17 6v12l-8-6zM6 6h2v12H6z",
  forth: "M7 6v12l8-6zM16 6h2v12h-2z",
  loud: "M3 9v6h4l5 5V4L7 9zm13.5 3a4.5 4.5 0 0 0-2.5-4v8a4.5 4.5 0 0 0 2.5-4z",
  mute: "M3 9v6h4l5 5V4L7 9zm18.4 0L20 7.6l-2.5 2.5L15 7.6 13.6 9l2.5 2.5-2.5 2.5 1.4 1.4 2.5-2.5 2.5 2.5 1.4-1.4-2.5-2.5z",
  full: "M5 14H3v7h7v-2H5zM3 10h2V5h5V3H3zm16 9h-5v2h7v-7h-2zM14 3v2h5v5h2V3z",
  image: "M21 5v14H3V5zm-2 2H5v8l4-4 4 4 2-2 4 4z",
  clip: "M9.6 7.6A3.6 3.6 0 1 0 7.6 9.6L10 12l-2.4 2.4a3.6 3.6 0 1 0 2 2L12 14l7 7h3v-1zM6 8a2 2 0 1 1 0-4 2 2 0 0 1 0 4m0 12a2 2 0 1 1 0-4 2 2 0 0 1 0 4M19 3l-6 6 2 2 7-7V3z",
  flag: "M6 3v18h2v-7h10l-2.5-4L18 6H8V3z",
};

function clock(seconds, digits = 3) {
  const whole = Math.max(0, seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function made(kind, name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

function button(label, face, act) {
  const one = made("button", "", { type: "button", title: label }, face in PATHS ? icon(face) : face);
  one.setAttribute("aria-label", label);
  one.addEventListener("click", act);
  return one;
}

// The card that a saved notebook keeps is for viewers without this.
function hidesKept(identity) {
  return identity ? [made("style", "", { textContent: `[data-recordkit="${identity}"]{display:none}` })] : [];
}

// Questions to the kernel and their answers; another view's are passed over.
class Line {
  constructor(model, wait) {
    this.model = model;
    this.view = Math.random().toString(36).slice(2);
    this.wait = wait;
    this.open = new Map();
    this.count = 0;
    this.heard = (content, buffers) => {
      const resolve = content.view === this.view && this.open.get(content.answer);
      if (resolve) resolve({ ...content, buffers: buffers || [] });
    };
    model.on("msg:custom", this.heard);
  }

  ask(content) {
    const id = ++this.count;
    return new Promise((resolve) => {
      const timers = [];
      const done = (answer) => {
        timers.forEach(clearTimeout);
        this.open.delete(id);
        if (!answer.lost) this.wait(false);
        resolve(answer);
      };
      timers.push(setTimeout(() => this.wait(true), PATIENCE_MS), setTimeout(() => done({ lost: true }), LOST_MS));
      this.open.set(id, done);
      this.model.send({ ...content, id, view: this.view });
    });
  }

  tell(content) {
    this.model.send({ ...content, view: this.view });
  }

  close() {
    this.tell({ tell: "gone" });
    this.model.off("msg:custom", this.heard);
    for (const done of [...this.open.values()]) done({ lost: true });
  }
}

// One recording: its video element, what is loaded of it, and what is asked for next.
class Film {
  constructor(player, of) {
    this.player = player;
    this.of = of;
    this.status = { growing: false, count: 0, duration: 0 };
    this.numbers = []; // of the frames that are loaded, and when each is shown
    this.times = [];
    this.captured = [];
    this.flags = []; // 1: a keyframe, 2: damaged
    this.loaded = [];
    this.wanted = null; // where to begin anew: a number, or a time
    this.goal = null; // the frame that is to be shown
    this.next = 0;
    this.isOver = false;
    this.isImages = false;
    this.faults = 0;
    this.number = -1;
    this.media_s = 0;
    this.rate = 1;
    this.video = made("video", "", { playsInline: true, preload: "auto", disablePictureInPicture: true });
    this.picture = made("img", "", { alt: "", hidden: true });
    this.words = made("div", "recordkit-player-words");
    this.words.setAttribute("role", "status");
    this.box = made("div", "recordkit-player-film", {}, this.video, this.picture, this.words);
    this.video.addEventListener("error", () => this.broke());
    this.video.addEventListener("waiting", () => this.jump());
    this.video.addEventListener("ended", () => player.ended(this));
    this.video.addEventListener("seeked", () => this.arrived());
    const shown = (_, data) => {
      if (player.isClosed) return;
      this.shows(data.mediaTime);
      this.video.requestVideoFrameCallback(shown);
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(shown);
    else for (const event of ["timeupdate", "seeked"]) this.video.addEventListener(event, () => this.shows(this.video.currentTime));
  }

  // With ``held_ms`` it stands for so long, whatever else is to be said.
  say(words, kind = "", held_ms = 0) {
    const now = performance.now();
    if (!held_ms && now < (this.heldUntil ?? 0)) return;
    if (held_ms) this.heldUntil = now + held_ms;
    if (this.words.textContent !== words) this.words.textContent = words;
    this.words.dataset.kind = kind;
    clearTimeout(this.quiet);
    if (held_ms) this.quiet = setTimeout(() => this.say(this.note || ""), held_ms + 100);
  }

  // What the page waits for, or why it cannot show anything: never only a spinner.
  async open() {
    while (!this.player.isClosed) {
      const answer = await this.player.line.ask({ ask: "open", of: this.of });
      if (answer.lost) continue;
      if (answer.fault) return this.say(answer.fault, "fault");
      this.update(answer);
      if (answer.count) break;
      await this.player.rest(POLL_MS * 2);
    }
    if (this.player.isClosed) return;
    const { width, height } = this.status;
    this.box.style.aspectRatio = `${width} / ${height}`;
    this.decide();
    const { begin, growing } = this.status;
    const isLive = growing && begin === undefined;
    this.wanted = { number: isLive ? -1 : (begin ?? 0) };
    if (isLive) this.player.follow(true);
    this.pump();
  }

  decide() {
    const { video, audio, audio_name, refusal } = this.status;
    const plays = (codecs) => Boolean(window.MediaSource) && MediaSource.isTypeSupported(`video/mp4; codecs="${codecs}"`);
    this.withAudio = Boolean(audio) && plays(audio);
    this.isImages = true;
    if (!video) this.note = `It is shown as single images without audio: ${refusal}.`;
    else if (!window.MediaSource) this.note = "This browser has no MediaSource: you see single images, without audio.";
    else if (!plays(video)) this.note = `This browser does not play its video (${video}): you see single images, without audio.`;
    else {
      this.isImages = false;
      this.note = audio && !this.withAudio ? `This browser does not play its audio (${audio_name}): you see it without.` : "";
    }
    this.mime = `video/mp4; codecs="${video}${this.withAudio ? `,${audio}` : ""}"`;
    this.say(this.note);
  }

  update(answer) {
    Object.assign(this.status, answer);
    if (answer.words !== undefined && !answer.fault && !this.isDamaged) this.say(answer.words || this.note || "");
    this.player.draw();
  }

  // Asks, appends, evicts; one question at a time. What is wanted anew comes before what goes on.
  async pump() {
    while (!this.player.isClosed && !this.player.isLost) {
      const { mode } = this.player;
      if (mode === "off") await this.player.rest(LOOK_MS);
      else if (mode === "small" || this.isImages) await this.step();
      else if (this.wanted) await this.fetch({ ...this.wanted, audio: this.withAudio, bytes: FIRST_BYTES }, true);
      else if (!this.isOver && this.ahead() < AHEAD_S && this.bytesAhead() < AHEAD_BYTES)
        await this.fetch({ unit: this.next, bytes: NEXT_BYTES }, false);
      else if (this.status.growing) await this.look();
      else await this.player.rest(this.isOver ? LOOK_MS : 200);
    }
  }

  async look() {
    const answer = await this.player.line.ask({ ask: "look", of: this.of });
    if (!answer.lost && !answer.fault) this.update(answer);
    await this.player.rest(LOOK_MS);
  }

  async fetch(asked, isNew) {
    const { wanted } = this;
    const answer = await this.player.line.ask({ ask: "media", of: this.of, ...asked });
    if (answer.lost || this.player.isClosed) return;
    if (answer.fault) {
      this.say(answer.fault, "fault");
      this.wanted = null;
      this.isOver = true;
      return;
    }
    // Somebody has gone elsewhere meanwhile: what came is of no use.
    if (this.wanted !== wanted) return;
    const [data, numbers, times, captured, flags] = answer.buffers.map((one) => one.buffer.slice(one.byteOffset, one.byteOffset + one.byteLength));
    if (isNew) {
      this.wanted = null;
      this.goal = answer.goal ?? null;
      await this.renew();
    } else if (answer.first !== this.next && answer.fresh) this.forget();
    this.next = answer.next;
    this.isOver = answer.over;
    const wasGrowing = this.status.growing;
    this.update(answer);
    if (data && data.byteLength) {
      this.noteFrames(new Int32Array(numbers), new Float64Array(times), new Float64Array(captured), new Uint8Array(flags), data.byteLength);
      if (!(await this.append(data))) return;
      this.settle();
    }
    if (this.isOver) this.finish();
    if (wasGrowing && !answer.growing) this.player.finished();
    if (!this.isOver && !(data && data.byteLength)) await this.player.rest(POLL_MS);
    else if (this.status.growing && this.player.isFollowing && this.next >= answer.units) await this.player.rest(POLL_MS);
  }

  noteFrames(numbers, times, captured, flags, bytes) {
    const rows = [...numbers].map((number, at) => [number, times[at], captured[at], flags[at]]);
    if (!rows.length) return;
    this.loaded.push({ end: Math.max(...times), bytes });
    rows.sort((one, other) => one[0] - other[0]);
    let at = this.numbers.length;
    for (const row of rows) {
      while (at > 0 && this.numbers[at - 1] > row[0]) at--;
      while (at < this.numbers.length && this.numbers[at] < row[0]) at++;
      const known = this.numbers[at] === row[0] ? 1 : 0;
      [this.numbers, this.times, this.captured, this.flags].forEach((list, column) => list.splice(at, known, row[column]));
    }
  }

  forget() {
    this.numbers = [];
    this.times = [];
    this.captured = [];
    this.flags = []; // 1: a keyframe, 2: damaged
    this.loaded = [];
  }

  // A new place: nothing of the old one is kept.
  async renew() {
    this.forget();
    if (this.source && this.source.readyState !== "closed" && !this.video.error) {
      if (this.source.readyState === "ended") this.buffer.timestampOffset = 0; // opens it again
      this.buffer.abort();
      if (this.buffer.buffered.length) {
        this.buffer.remove(0, Infinity);
        await this.updated();
      }
      return;
    }
    this.source = new MediaSource();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(this.source);
    this.video.src = this.url;
    await new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, { once: true }));
    this.buffer = this.source.addSourceBuffer(this.mime);
    this.video.playbackRate = this.rate;
    if (this.player.isPlaying) this.play();
  }

  updated() {
    return new Promise((resolve) => {
      const done = () => resolve(true);
      this.buffer.addEventListener("updateend", done, { once: true });
      this.video.addEventListener("error", () => resolve(false), { once: true });
      setTimeout(done, 5000);
    });
  }

  async append(data) {
    for (let again = 0; again < 3; again++) {
      try {
        if (this.buffer.updating) await this.updated();
        this.buffer.appendBuffer(data);
        await this.updated();
        await this.evict(BEHIND_S);
        return !this.video.error;
      } catch (error) {
        if (error.name !== "QuotaExceededError") return this.broke();
        await this.evict(2);
      }
    }
    await this.player.rest(500);
    return true;
  }

  // Gives up whole groups that lie behind: what begins at a keyframe can stay.
  async evict(kept_s) {
    const limit = this.here() - kept_s;
    let at = -1;
    for (let place = 0; place < this.times.length && this.times[place] <= limit; place++) if (this.flags[place] & 1) at = place;
    if (at <= 0 || this.buffer.updating) return;
    const end = this.times[at];
    this.buffer.remove(0, end - 0.001);
    await this.updated();
    for (const list of [this.numbers, this.times, this.captured, this.flags]) list.splice(0, at);
    this.loaded = this.loaded.filter((one) => one.end >= end);
  }

  finish() {
    try {
      if (this.source?.readyState === "open" && !this.buffer.updating) this.source.endOfStream();
    } catch {
      // It is being opened anew.
    }
  }

  // Where decoding fails: once more behind the place, and at last as single images.
  broke() {
    if (this.player.isClosed || !this.source || this.isImages) return false;
    this.faults += 1;
    if (this.faults > MOST_FAULTS) {
      this.isImages = true;
      this.note = "This browser cannot decode this video: you see single images, without audio.";
    } else this.note = "Damaged here: what cannot be decoded is left out.";
    this.say(this.note);
    this.wanted = { number: Math.max(this.number, 0) + 1, after: true };
    this.player.wake();
    return false;
  }

  end() {
    const { buffered } = this.video;
    return buffered.length ? buffered.end(buffered.length - 1) : 0;
  }

  // Where it plays, or is about to: what is loaded for a goal that lies before must not be taken for what is past.
  here() {
    return this.goal ? this.goal.media_s : this.video.currentTime;
  }

  ahead() {
    return this.source ? this.end() - this.here() : 0;
  }

  bytesAhead() {
    const here = this.here();
    return this.loaded.reduce((sum, one) => sum + (one.end > here ? one.bytes : 0), 0);
  }

  // A hole in what is loaded: on to where it ends.
  jump() {
    const { buffered, currentTime } = this.video;
    for (let at = 0; at < buffered.length; at++) {
      const begin = buffered.start(at);
      if (begin > currentTime && begin - currentTime < 10 && this.end() > begin) {
        this.video.currentTime = begin + 0.001;
        return;
      }
    }
  }

  // What is being taken away for a new place is not there any more.
  has(time) {
    if (!this.numbers.length) return false;
    const { buffered } = this.video;
    for (let at = 0; at < buffered.length; at++) if (buffered.start(at) - 0.002 <= time && time < buffered.end(at)) return true;
    return false;
  }

  // After something was appended: on to the frame that was asked for.
  settle() {
    if (!this.goal) return;
    const { number, media_s, isEnd } = this.goal;
    if (isEnd) {
      this.goal = null;
      this.video.currentTime = Math.max(this.end() - LIVE_LAG_S, 0);
      return;
    }
    if (!this.has(media_s)) return;
    const at = this.place(number);
    this.goal = null;
    this.target = number;
    this.video.currentTime = at < 0 ? media_s : this.middle(at);
  }

  place(number) {
    let [low, high] = [0, this.numbers.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.numbers[middle] === number) return middle;
      if (this.numbers[middle] < number) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  nearest(time) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    const before = low - 1;
    return before + 1 < this.times.length && (before < 0 || this.times[before + 1] - time < time - this.times[before]) ? before + 1 : before;
  }

  // Not a frame's own time: a rounded microsecond less would be the frame before.
  middle(at) {
    const step = at + 1 < this.times.length ? this.times[at + 1] - this.times[at] : 0.01;
    return this.times[at] + Math.min(step / 2, 0.01);
  }

  shows(time) {
    const at = this.nearest(time);
    if (at < 0 || this.isImages || this.player.mode !== "full") return;
    if (this.video.hidden) this.showImages(false);
    this.show(this.numbers[at], this.times[at], this.captured[at]);
    const isDamaged = Boolean(this.flags[at] & 2);
    if (isDamaged !== Boolean(this.isDamaged)) {
      this.isDamaged = isDamaged;
      this.say(isDamaged ? DAMAGED : this.note || "", isDamaged ? "fault" : "");
    }
  }

  show(number, media_s, captured) {
    this.firstAt ??= performance.now();
    this.number = number;
    this.media_s = media_s;
    this.when = captured;
    if (this.target === number) this.target = null;
    this.player.draw(this);
  }

  goNumber(number, media_s) {
    const wanted = Math.min(Math.max(number, 0), Math.max(this.status.count - 1, 0));
    const at = this.place(wanted);
    this.target = wanted;
    if (!this.isImages && this.player.mode === "full" && at >= 0 && this.has(this.times[at])) {
      this.wanted = this.goal = null;
      this.video.currentTime = this.middle(at);
      return;
    }
    this.wanted = { number: wanted };
    if (media_s !== undefined) this.media_s = media_s;
    this.player.wake();
  }

  goTime(time) {
    const media_s = Math.min(Math.max(time, 0), this.status.duration);
    this.target = null;
    if (!this.isImages && this.player.mode === "full" && this.has(media_s)) {
      this.wanted = this.goal = null;
      this.video.currentTime = media_s;
      return;
    }
    this.media_s = media_s;
    this.wanted = { media_s };
    this.player.wake();
  }

  goEnd() {
    this.target = null;
    const lag = this.end() - this.video.currentTime;
    if (!this.isImages && this.player.mode === "full" && !this.wanted && this.source && this.next >= (this.status.units || 0) - 90 && lag < 10)
      this.video.currentTime = Math.max(this.end() - LIVE_LAG_S, 0);
    else this.wanted = { number: -1 };
    this.player.wake();
  }

  // Keeps up with what is being written: a little faster when late, at once when very late.
  keepUp() {
    if (this.isImages || !this.source || this.wanted || this.goal) return;
    // A page that slept, or a slow link: what was missed is left out.
    if (this.status.duration - this.end() > LIVE_LOST_S) return this.goEnd();
    const lag = this.end() - this.video.currentTime;
    if (lag > LIVE_MOST_S) this.video.currentTime = Math.max(this.end() - LIVE_LAG_S, 0);
    this.video.playbackRate = lag > 0.4 ? 1 + Math.min((lag - LIVE_LAG_S) * 0.3, 0.25) : lag < 0.12 ? 0.96 : 1;
  }

  // Whether all of it has been played; what ended is begun anew only by a seek.
  isDone() {
    return !this.status.growing && this.video.ended && !this.wanted && !this.goal;
  }

  async play() {
    if (this.isImages || this.player.mode !== "full" || this.isDone() || this.isEarly) return;
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.video.muted) return;
      // Browsers let a page play audio only after a click.
      this.player.setMuted(true);
      await this.video.play().catch(() => {});
    }
  }

  // A decoder that is given damaged frames may say nothing at all, and show nothing: never a spinner without end.
  watch() {
    const { video } = this;
    const waits = video.seeking || (this.player.isPlaying && !video.paused && video.readyState < 3 && !video.ended);
    // What is recorded may stand still, in a pause or while its source is away: then there is nothing behind its end.
    const isAtEnd = this.status.growing && !(this.times.at(-1) > video.currentTime + LIVE_MOST_S);
    if (!waits || isAtEnd || this.isImages || this.player.mode !== "full" || this.wanted || this.goal || !this.has(video.currentTime + 0.05)) {
      this.stuckSince = undefined;
      return;
    }
    this.stuckSince ??= performance.now();
    if (performance.now() - this.stuckSince < STUCK_MS) return;
    this.stuckSince = Infinity;
    const place = this.times.findIndex((time, at) => time > video.currentTime && this.flags[at] & 1);
    this.say(DAMAGED, "fault", 6000);
    if (this.player.isPlaying && place >= 0) video.currentTime = this.middle(place);
    else this.still(video.currentTime);
  }

  // Where a seek ends and no frame comes of it, the page's decoder has none for that place.
  arrived() {
    clearTimeout(this.missing);
    this.missing = setTimeout(() => {
      const { video } = this;
      const at = this.nearest(video.currentTime);
      const isHere = at < 0 || Math.abs(this.number - this.numbers[at]) <= 1;
      if (isHere || this.isImages || this.wanted || video.seeking || !video.paused || this.player.mode !== "full") return;
      this.say(DAMAGED, "fault", 6000);
      this.still(video.currentTime);
    }, STUCK_MS);
  }

  // What the kernel's decoder makes of a frame that the page's own does not show.
  async still(time) {
    const answer = await this.player.line.ask({ ask: "image", of: this.of, media_s: time, width: this.pixels() });
    if (answer.lost || answer.fault) return;
    this.put(answer);
  }

  put(answer) {
    const url = URL.createObjectURL(new Blob([answer.buffers[0]], { type: "image/jpeg" }));
    this.picture.onload = () => URL.revokeObjectURL(url);
    this.picture.src = url;
    this.showImages(true);
    this.show(answer.number, answer.media_s, answer.captured ?? NaN);
  }

  pixels() {
    if (this.player.mode === "small") return 480;
    return Math.min(Math.round(this.box.clientWidth * devicePixelRatio) || 960, 1280);
  }

  // One image a second: where the page cannot play, or the link is slow.
  async step() {
    const { player } = this;
    const now = performance.now();
    const asked = {};
    if (this.wanted) Object.assign(asked, this.wanted);
    else if (player.isPlaying && player.isFollowing) asked.number = -1;
    else if (player.isPlaying) asked.media_s = this.media_s + Math.min((now - (this.drawn ?? now)) / 1000, 5) * player.speed;
    else if (!this.picture.src) asked.number = Math.max(this.number, 0);
    else return this.status.growing ? this.look() : player.rest(200);
    const { wanted } = this;
    this.wanted = null;
    this.drawn = now;
    const answer = await player.line.ask({ ask: "image", of: this.of, width: this.pixels(), ...asked });
    if (answer.lost) this.wanted ??= wanted;
    if (answer.lost || player.isClosed) return;
    if (answer.fault) {
      this.say(answer.fault, "fault");
      return player.rest(LOOK_MS);
    }
    const wasGrowing = this.status.growing;
    this.update(answer);
    if (wasGrowing && !answer.growing) player.finished();
    this.put(answer);
    if (player.isPlaying && !player.isFollowing && answer.number >= answer.count - 1) player.ended(this);
    if (player.isPlaying) await player.rest(player.mode === "small" ? 1000 - (performance.now() - now) : 40);
  }

  showImages(are) {
    this.picture.hidden = !are;
    this.video.hidden = are;
  }

  close() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

// What one view shows: its films on one clock, and what can be done with them.
class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.begunAt = performance.now();
    this.isClosed = this.isLost = this.isPlaying = this.isFollowing = false;
    this.speed = 1;
    this.sleepers = new Set();
    this.mode = model.get("mode");
    this.waiting = model.get("waiting") || WAITING;
    const tools = model.get("tools") || ["mark", "clip"]; // a face that only shows has none
    this.can = { mark: tools.includes("mark"), clip: tools.includes("clip") };
    this.line = new Line(model, (isWaiting) => this.tellWait(isWaiting));
    this.films = model.get("titles").map((_, of) => new Film(this, of));
    this.build();
    this.heard = (content) => this.told(content);
    this.marksChanged = () => this.drawMarks();
    model.on("msg:custom", this.heard);
    model.on("change:marks_shown", this.marksChanged);
    this.forget = whenKernelGoes(model, () => this.lose());
    this.timer = setInterval(() => this.tick(), REPORT_MS);
    this.drawMarks();
    for (const film of this.films) film.open();
  }

  get first() {
    return this.films[0];
  }

  // The film that the others follow: the first one, as long as it lasts.
  get lead() {
    const end = (film) => film.status.duration + this.shift(film.of);
    return this.films.find((one) => !one.isDone()) ?? this.films.reduce((last, one) => (end(one) > end(last) ? one : last));
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

  build() {
    const { el } = this;
    el.classList.add("recordkit-player");
    el.tabIndex = 0;
    el.setAttribute("role", "region");
    el.setAttribute("aria-label", `Player: ${this.model.get("titles").join(", ")}`);
    el.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys
    const stage = made("div", "recordkit-player-stage", {}, ...this.films.map((film) => film.box));
    stage.style.setProperty("--films", Math.min(this.films.length, 3));
    this.notice = made("div", "recordkit-player-notice", { hidden: true });
    this.notice.setAttribute("role", "status");
    stage.append(this.notice);
    stage.addEventListener("click", (event) => event.target.closest("video,img") && this.toggle());
    stage.addEventListener("dblclick", () => this.fullScreen());
    for (const film of this.films)
      if (this.films.length > 1) film.box.append(made("div", "recordkit-player-title", { textContent: this.model.get("titles")[film.of] }));
    this.line_ = made("input", "", { type: "range", min: 0, max: 1, step: "any", value: 0 });
    this.line_.setAttribute("aria-label", "Time");
    this.line_.addEventListener("input", () => this.goTime(Number(this.line_.value)));
    this.loadedBar = made("div", "recordkit-player-loaded");
    this.ticks = made("div", "recordkit-player-ticks");
    this.cut = made("div", "recordkit-player-cut", { hidden: true });
    const line = made("div", "recordkit-player-line", {}, this.loadedBar, this.cut, this.line_, this.ticks);
    this.playButton = button("Play (space)", "play", () => this.toggle());
    this.liveButton = made("button", "recordkit-player-live", { type: "button", title: "Go to what is recorded now", hidden: true }, made("i"), "live");
    this.liveButton.addEventListener("click", () => this.follow(true));
    this.time = made("span", "recordkit-player-time");
    this.frame = made("span", "recordkit-player-frame", { title: "The number of the frame that is shown" });
    this.when = made("span", "recordkit-player-when", { title: "When it was taken (UTC)" });
    const speed = made("select", "", { title: "Speed" }, ...SPEEDS.map((one) => new Option(`${one}×`, one, one === 1, one === 1)));
    speed.setAttribute("aria-label", "Speed");
    speed.addEventListener("change", () => this.setSpeed(Number(speed.value)));
    this.muteButton = button("Mute", "loud", () => this.setMuted(!this.first.video.muted));
    this.volume = made("input", "recordkit-player-volume", { type: "range", min: 0, max: 1, step: 0.05, value: 1, title: "Volume" });
    this.volume.setAttribute("aria-label", "Volume");
    this.volume.addEventListener("input", () => {
      this.first.video.volume = Number(this.volume.value);
      this.setMuted(false);
    });
    this.meter = made("div", "recordkit-player-meter", { title: "Level of the audio" }, made("i"));
    this.meter.setAttribute("role", "meter");
    this.meter.setAttribute("aria-label", "Level of the audio");
    const modes = made("div", "recordkit-player-modes");
    modes.setAttribute("role", "group");
    modes.setAttribute("aria-label", "How much is shown");
    const says = { off: "Load nothing", small: "One image a second, for slow links", full: "All of it" };
    this.modeButtons = Object.entries(says).map(([mode, label]) => {
      const one = made("button", "", { type: "button", title: label, textContent: mode });
      one.addEventListener("click", () => this.setMode(mode));
      one.dataset.mode = mode;
      return one;
    });
    modes.append(...this.modeButtons);
    this.markName = made("input", "", { type: "text", placeholder: "mark", maxLength: 200 });
    this.markName.setAttribute("aria-label", "Name of the mark");
    this.markName.addEventListener("keydown", (event) => event.key === "Enter" && this.mark());
    const marking = made("span", "recordkit-player-marking", {}, button("Mark this frame (m)", "flag", () => this.mark()), this.markName);
    this.marks = made("div", "recordkit-player-marks");
    this.marks.setAttribute("aria-label", "Marks");
    this.clipButton = button("A clip from here on", "clip", () => this.clip());
    const steps = [button("One frame back (comma)", "back", () => this.stepBy(-1)), button("One frame on (full stop)", "forth", () => this.stepBy(1))];
    const places = made("span", "recordkit-player-places", {}, this.time, this.frame, this.when);
    const right = made("span", "recordkit-player-right", {}, this.muteButton, this.volume, this.meter, speed, modes, ...(this.can.mark ? [marking] : []),
      button("This frame as an image", "image", () => this.saveImage()), ...(this.can.clip ? [this.clipButton] : []), button("Full screen (f)", "full", () => this.fullScreen()));
    const controls = made("div", "recordkit-player-controls", {}, this.playButton, ...steps, this.liveButton, places, right);
    el.append(stage, line, controls, this.marks, ...hidesKept(this.model.get("kept")));
    if (this.model.get("muted")) this.setMuted(true);
    this.pressed = (event) => this.key(event);
    el.addEventListener("keydown", this.pressed);
    this.draw();
  }

  // In words, and over the video; what is loaded goes on.
  tellWait(isWaiting) {
    if (this.isLost) return;
    this.notice.hidden = !isWaiting;
    this.notice.textContent = isWaiting ? this.waiting : "";
  }

  lose() {
    this.isLost = true;
    this.notice.hidden = false;
    this.notice.textContent = ALONE;
    for (const film of this.films) film.finish();
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

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typed = event.target.closest("input[type=text],select");
    if (typed) return event.stopPropagation();
    const onButton = event.target.closest("button") && [" ", "Enter"].includes(event.key);
    if (onButton) return event.stopPropagation();
    const acts = {
      " ": () => this.toggle(),
      k: () => this.toggle(),
      ArrowLeft: () => this.goTime(this.now() - 5),
      ArrowRight: () => this.goTime(this.now() + 5),
      ",": () => this.stepBy(-1),
      ".": () => this.stepBy(1),
      Home: () => this.goTime(0),
      End: () => (this.isGrowing() ? this.follow(true) : this.goTime(this.duration())),
      ...(this.can.mark && { m: () => this.mark() }),
      f: () => this.fullScreen(),
      ...(this.clipFrom !== undefined && { Escape: () => this.setClip(undefined) }),
    };
    if (!(event.key in acts)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  now() {
    const { lead } = this;
    const target = lead.target === null || lead.target === undefined ? -1 : lead.place(lead.target);
    return (target >= 0 ? lead.times[target] : lead.media_s) + this.shift(lead.of);
  }

  duration() {
    return Math.max(...this.films.map((film) => film.status.duration + this.shift(film.of)), 0);
  }

  isGrowing() {
    return this.films.some((film) => film.status.growing);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (!this.isGrowing() && this.now() >= this.duration() - 0.1) this.goTime(0);
    this.isPlaying = true;
    for (const film of this.films) film.play();
    this.listen();
    this.wake();
    this.draw();
  }

  pause() {
    this.isPlaying = this.isFollowing = false;
    for (const film of this.films) film.video.pause();
    this.draw();
    this.report();
  }

  ended(film) {
    if (film.status.growing || !this.isPlaying) return;
    if (film.isImages ? film === this.first : this.films.every((one) => one.isDone())) this.pause();
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
    this.line_.value = wanted;
    this.draw();
  }

  stepBy(count) {
    if (this.isPlaying) this.pause();
    const { first } = this;
    const from = first.target ?? first.number;
    first.goNumber(from + count);
    const at = first.place(from + count);
    if (at >= 0) this.gather(first.times[at] + this.shift(0));
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
    this.muteButton.replaceChildren(icon(isMuted ? "mute" : "loud"));
    this.muteButton.title = isMuted ? "Let it be heard" : "Mute";
    this.muteButton.setAttribute("aria-label", this.muteButton.title);
  }

  setMode(mode) {
    this.mode = mode;
    for (const film of this.films) {
      if (mode !== "full") film.video.pause();
      else film.showImages(film.isImages);
      if (mode !== "off") film.wanted = { number: this.isFollowing ? -1 : Math.max(film.number, 0) };
      film.say(mode === "off" ? "Off: nothing is loaded." : film.note || "");
    }
    if (mode === "full" && this.isPlaying) for (const film of this.films) film.play();
    this.wake();
    this.draw();
  }

  async mark() {
    const name = this.markName.value.trim() || "mark";
    this.report(true);
    const answer = await this.line.ask({ ask: "mark", name });
    if (answer.fault) this.first.say(answer.fault, "fault", 6000);
    else this.markName.value = "";
  }

  async saveImage() {
    const answer = await this.line.ask({ ask: "image", kind: "png", number: Math.max(this.first.number, 0) });
    if (answer.fault || answer.lost) return this.first.say(answer.fault || this.waiting, "fault", 6000);
    const stem = this.model.get("titles")[0].replace(/\.[^.]*$/, "");
    const link = made("a", "", { href: URL.createObjectURL(new Blob([answer.buffers[0]], { type: "image/png" })), download: `${stem}-${String(answer.number).padStart(6, "0")}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // The first press says from where, the second to where; Escape takes it back.
  async clip() {
    const here = this.first.media_s;
    if (this.clipFrom === undefined) return this.setClip(here);
    const [start, end] = [Math.min(this.clipFrom, here), Math.max(this.clipFrom, here)];
    this.setClip(undefined);
    if (end - start < 0.001) return this.first.say("A clip needs two places: go on, and press again.", "fault", 4000);
    this.first.say("The clip is being made …", "", 60000);
    const answer = await this.line.ask({ ask: "clip", start, end });
    if (answer.fault || answer.lost) this.first.say(answer.fault || this.waiting, "fault", 6000);
    else this.first.say(`Saved: ${answer.path}`, "", 6000);
  }

  setClip(from) {
    this.clipFrom = from;
    const words = from === undefined ? "A clip from here on" : `A clip from ${clock(from)} to here (Escape: none)`;
    this.clipButton.title = words;
    this.clipButton.setAttribute("aria-label", words);
    this.clipButton.setAttribute("aria-pressed", String(from !== undefined));
    this.draw();
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.el.requestFullscreen?.();
  }

  // A level meter beside the audio, not in its way: it reads a copy.
  listen() {
    const { video } = this.first;
    if (this.analyser || !video.captureStream || !this.first.withAudio) return;
    if (navigator.userActivation?.hasBeenActive === false) {
      // Before the first click on a page its browser lets nothing be heard, nor measured.
      if (!this.awaited) document.addEventListener("pointerup", (this.awaited = () => this.isPlaying && this.listen()), { once: true });
      return;
    }
    const audio = (this.audio ??= new AudioContext());
    audio.resume().catch(() => {});
    const stream = video.captureStream();
    if (!stream.getAudioTracks().length) {
      stream.addEventListener("addtrack", () => this.listen(), { once: true });
      return;
    }
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 1024;
    audio.createMediaStreamSource(stream).connect(this.analyser);
    this.samples = new Float32Array(1024);
    const draw = () => {
      if (this.isClosed) return;
      this.analyser.getFloatTimeDomainData(this.samples);
      const peak = this.samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      const level = this.isPlaying && peak > 0 ? Math.max(0, 1 + (20 * Math.log10(peak)) / 60) : 0;
      this.level = Math.max(level, (this.level || 0) - 0.02);
      this.meter.firstChild.style.width = `${(this.level * 100).toFixed(1)}%`;
      this.meter.dataset.loud = this.level > 0.98 ? "yes" : "no";
      this.meter.setAttribute("aria-valuenow", this.level.toFixed(2));
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  tick() {
    if (this.isClosed) return;
    if (this.isFollowing && this.isPlaying) for (const film of this.films) film.keepUp();
    else if (this.isPlaying && this.films.length > 1) this.together();
    const stands = (film) => film.video.paused && !film.isImages && !film.video.ended && !film.isEarly;
    if (this.isPlaying && this.mode === "full" && this.films.some(stands))
      for (const film of this.films) if (film.source && film.video.readyState > 2) film.play();
    for (const film of this.films) film.watch();
    this.report();
    this.draw();
  }

  together() {
    const { lead } = this;
    const time = lead.video.currentTime + this.shift(lead.of);
    for (const film of this.films) {
      const at = time - this.shift(film.of);
      // It begins later than the others: until then its first frame stands.
      film.isEarly = at < 0;
      if (film.isEarly) film.video.pause();
      if (film === lead || film.isEarly || film.isDone() || (at >= film.status.duration && !film.status.growing)) continue;
      const off = at - film.video.currentTime;
      if (Math.abs(off) > 0.5 && !film.wanted && !film.goal) film.goTime(time - this.shift(film.of));
      else film.video.playbackRate = this.speed * (1 + Math.min(Math.max(off, -0.1), 0.1));
    }
  }

  report(isNow = false) {
    const { number, media_s } = this.first;
    if (number < 0 || (number === this.reported && !isNow) || this.isLost) return;
    this.reported = number;
    this.line.tell({ tell: "at", number, media_s });
  }

  draw(film) {
    const { first, lead } = this;
    if (!this.time || (film && film !== lead && film !== first)) return;
    const duration = this.duration();
    const now = lead.media_s + this.shift(lead.of);
    this.time.textContent = `${clock(now)} / ${clock(duration, 1)}`;
    this.frame.textContent = first.number < 0 ? "" : `frame ${first.number.toLocaleString("en")}`;
    this.when.textContent = Number.isFinite(first.when) ? new Date(first.when).toISOString().replace("T", " ").replace("Z", "") : "";
    this.line_.max = duration || 1;
    if (!this.line_.matches(":active")) this.line_.value = now;
    this.line_.setAttribute("aria-valuetext", `${clock(now)} of ${clock(duration, 1)}`);
    const share = (time) => Math.min(time / (duration || 1), 1);
    const span = (element, from, to) => {
      element.style.setProperty("--from", share(from).toFixed(5));
      element.style.setProperty("--wide", (share(to) - share(from)).toFixed(5));
    };
    const { buffered } = first.video;
    const isLoaded = buffered.length && !first.isImages;
    span(this.loadedBar, isLoaded ? buffered.start(0) + this.shift(0) : 0, isLoaded ? first.end() + this.shift(0) : 0);
    this.el.style.setProperty("--played", `${(100 * share(now)).toFixed(3)}%`);
    this.cut.hidden = this.clipFrom === undefined;
    if (!this.cut.hidden) {
      const [from, to] = [this.clipFrom + this.shift(0), now].sort((one, other) => one - other);
      span(this.cut, from, to);
    }
    const face = this.isPlaying ? "pause" : "play";
    if (this.playButton.dataset.face !== face) {
      this.playButton.dataset.face = face;
      this.playButton.replaceChildren(icon(face));
      this.playButton.title = this.isPlaying ? "Pause (space)" : "Play (space)";
      this.playButton.setAttribute("aria-label", this.playButton.title);
    }
    this.liveButton.hidden = !this.isGrowing();
    this.liveButton.setAttribute("aria-pressed", String(this.isFollowing));
    for (const one of this.modeButtons) one.setAttribute("aria-pressed", String(one.dataset.mode === this.mode));
    if (this.tickedFor !== duration) this.drawMarks();
  }

  drawMarks() {
    const duration = (this.tickedFor = this.duration());
    const marks = this.model.get("marks_shown");
    const place = ({ of, media_s }) => media_s + this.shift(of);
    const tick = (mark) => {
      const one = made("button", "", { type: "button", title: `${mark.name}, ${clock(place(mark))}` });
      one.setAttribute("aria-label", `Go to the mark ${mark.name}`);
      one.style.left = `${Math.min((100 * place(mark)) / (duration || 1), 100)}%`;
      one.addEventListener("click", () => this.goTime(place(mark)));
      return one;
    };
    this.ticks.replaceChildren(...marks.map(tick));
    const line = (mark) => {
      const one = made("button", "", { type: "button" }, made("b", "", { textContent: clock(place(mark), 1) }), ` ${mark.name}`);
      one.addEventListener("click", () => this.goTime(place(mark)));
      return one;
    };
    if (this.listed === marks) return;
    this.listed = marks;
    this.marks.replaceChildren(...marks.slice(-8).map(line));
  }

  close() {
    this.isClosed = true;
    clearInterval(this.timer);
    this.model.off("msg:custom", this.heard);
    this.model.off("change:marks_shown", this.marksChanged);
    this.forget();
    this.wake();
    this.line.close();
    for (const film of this.films) film.close();
    this.audio?.close();
    document.removeEventListener("pointerup", this.awaited);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    el.recordkitView = view; // for whoever tests or debugs the page
    return () => view.close();
  },
};
