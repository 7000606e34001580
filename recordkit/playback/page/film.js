// One recording: its video element, what is loaded of it, and what is asked for next.

const AHEAD_S = 20; // so much is asked for ahead of what is shown
const AHEAD_BYTES = 24e6;
const FIRST_BYTES = 262144;
const NEXT_BYTES = 524288;
const POLL_MS = 340; // how often more is asked for of what is being written: each message costs the kernel 8 ms
const LOOK_MS = 1000;
const LIVE_LAG_S = 0.33; // so far behind the newest frame live video is shown
const LIVE_MOST_S = 1.2;
const LIVE_LOST_S = 6; // what has not even been asked for
const STUCK_MS = 2500;
const MOST_FAULTS = 5;
const DAMAGED = "Damaged here: bytes of the file are missing, and what is shown may be wrong.";

class Film {
  constructor(player, of) {
    this.player = player;
    this.of = of;
    this.status = { growing: false, count: 0, duration: 0 };
    this.wanted = null; // where to begin anew: a number, or a time
    this.goal = null; // the frame that is to be shown
    this.target = null; // its number, until it is
    this.next = 0;
    this.isOver = false;
    this.isImages = false;
    this.faults = 0;
    this.number = -1;
    this.media_s = 0;
    this.rate = 1;
    this.video = made("video", "", { playsInline: true, preload: "auto", disablePictureInPicture: true });
    this.images = new Images(this);
    this.frames = new Frames();
    this.feed = new Feed(this.video, this.frames);
    this.words = made("div", "recordkit-player-words");
    this.words.setAttribute("role", "status");
    this.box = made("div", "recordkit-player-film", {}, this.video, this.images.picture, this.words);
    this.video.addEventListener("error", () => this.broke());
    this.video.addEventListener("waiting", () => this.feed.jump());
    this.video.addEventListener("ended", () => player.ended());
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
    const { player } = this;
    while (!player.isOver) {
      const answer = await player.line.ask({ ask: "open", of: this.of });
      if (answer.lost) continue;
      if (answer.fault) return this.say(answer.fault, "fault");
      this.update(answer);
      if (answer.count) break;
      await player.rest(POLL_MS * 2);
    }
    if (player.isOver) return;
    const { width, height } = this.status;
    this.box.style.aspectRatio = `${width} / ${height}`;
    this.decide();
    const { begin, growing } = this.status;
    const isLive = growing && begin === undefined;
    // A film beside the first one may have been sent to where that is already.
    if (isLive || !this.wanted || begin !== undefined) this.wanted = { number: isLive ? -1 : (begin ?? 0) };
    if (isLive) player.follow(true);
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
    const wasGrowing = this.status.growing;
    Object.assign(this.status, answer);
    if (answer.words !== undefined && !answer.fault && !this.isDamaged && this.player.mode !== "off") this.say(answer.words || this.note || "");
    this.player.draw();
    if (wasGrowing && !answer.growing) this.player.finished();
  }

  // Asks, appends, evicts; one question at a time. What is wanted anew comes before what goes on.
  async pump() {
    while (!this.player.isOver) {
      const { mode } = this.player;
      if (mode === "off") await this.player.rest(LOOK_MS);
      else if (mode === "small" || this.isImages) await this.images.step();
      else if (this.wanted) await this.fetch({ ...this.wanted, audio: this.withAudio, bytes: FIRST_BYTES }, true);
      else if (!this.isOver && this.ahead() < AHEAD_S && this.frames.bytesAfter(this.here()) < AHEAD_BYTES)
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
    const { wanted, player } = this;
    const at = this === player.first ? player.place() : undefined;
    const answer = await player.line.ask({ ask: "media", of: this.of, ...asked, at });
    if (answer.lost || player.isClosed) return;
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
      if (await this.feed.renew(this.mime)) {
        this.video.playbackRate = this.rate;
        if (player.isPlaying) this.play();
      }
    } else if (answer.first !== this.next && answer.fresh) this.frames.clear();
    this.next = answer.next;
    this.isOver = answer.over;
    this.update(answer);
    const hasData = Boolean(data && data.byteLength);
    if (hasData) {
      this.frames.add(new Int32Array(numbers), new Float64Array(times), new Float64Array(captured), new Uint8Array(flags), data.byteLength);
      const how = await this.feed.append(data, () => this.here());
      if (how === "broken") return this.broke();
      if (how === "full") await player.rest(500);
      this.settle();
    }
    // What was left is played to its end; what a recovery brings opens it again.
    if (this.isOver || (this.isLeft() && !hasData)) this.feed.finish();
    if (!this.isOver && (!hasData || (this.status.growing && player.isFollowing && this.next >= answer.units))) await player.rest(POLL_MS);
  }

  // Where decoding fails: once more behind the place, and at last as single images.
  broke() {
    if (this.player.isClosed || !this.feed.isOpen || this.isImages) return;
    this.faults += 1;
    if (this.faults > MOST_FAULTS) {
      this.isImages = true;
      this.note = "This browser cannot decode this video: you see single images, without audio.";
    } else this.note = "Damaged here: what cannot be decoded is left out.";
    this.say(this.note);
    this.wanted = { number: Math.max(this.number, 0) + 1, after: true };
    this.player.wake();
  }

  // Where it plays, or is about to: what is loaded for a goal that lies before must not be taken for what is past.
  here() {
    return this.goal ? this.goal.media_s : this.video.currentTime;
  }

  // What is shown is at this time.
  time() {
    return this.showsImages() ? this.media_s : this.video.currentTime;
  }

  showsImages() {
    return this.isImages || this.player.mode === "small";
  }

  ahead() {
    return this.feed.isOpen ? this.feed.end - this.here() : 0;
  }

  // After something was appended: on to the frame that was asked for.
  settle() {
    if (!this.goal) return;
    const { number, media_s, isEnd } = this.goal;
    if (isEnd) {
      this.goal = null;
      this.video.currentTime = Math.max(this.feed.end - LIVE_LAG_S, 0);
      return;
    }
    if (!this.feed.has(media_s)) return;
    const at = this.frames.place(number);
    this.goal = null;
    this.target = number;
    this.video.currentTime = at < 0 ? media_s : this.frames.middle(at);
  }

  // The video element shows a frame of this time.
  shows(time) {
    const { frames } = this;
    const at = frames.nearest(time);
    if (at < 0 || !this.playsVideo) return;
    if (this.video.hidden) this.images.show(false);
    this.show(frames.numbers[at], frames.times[at], frames.captured[at]);
    const isDamaged = frames.isDamaged(at);
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

  get playsVideo() {
    return !this.isImages && this.player.mode === "full";
  }

  // Of a kernel that is gone only what has been loaded can be shown: the nearest place to `wanted` in there.
  nearest(wanted, loaded) {
    return this.player.isOver && this.playsVideo && loaded.length ? Math.min(Math.max(wanted, loaded[0]), loaded.at(-1)) : wanted;
  }

  goNumber(number, media_s) {
    const wanted = this.nearest(Math.min(Math.max(number, 0), Math.max(this.status.count - 1, 0)), this.frames.numbers);
    const at = this.frames.place(wanted);
    this.target = wanted;
    if (this.playsVideo && at >= 0 && this.feed.has(this.frames.times[at])) {
      this.wanted = this.goal = null;
      this.video.currentTime = this.frames.middle(at);
      return;
    }
    this.wanted = { number: wanted };
    if (media_s !== undefined) this.media_s = media_s;
    this.player.wake();
  }

  goTime(time) {
    const end = this.status.count ? this.status.duration : Infinity; // until it is opened nobody here knows
    const media_s = this.nearest(Math.min(Math.max(time, 0), end), this.frames.times);
    this.target = null;
    if (this.playsVideo && this.feed.has(media_s)) {
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
    const lag = this.feed.end - this.video.currentTime;
    const isNear = this.feed.isOpen && this.next >= (this.status.units || 0) - 90 && lag < 10;
    if (this.playsVideo && !this.wanted && isNear) this.video.currentTime = Math.max(this.feed.end - LIVE_LAG_S, 0);
    else this.wanted = { number: -1 };
    this.player.wake();
  }

  // Keeps up with what is being written: a little faster when late, at once when very late.
  keepUp() {
    if (this.isImages || !this.feed.isOpen || this.wanted || this.goal) return;
    // A page that slept, or a slow link: what was missed is left out.
    if (this.status.duration - this.feed.end > LIVE_LOST_S) return this.goEnd();
    const lag = this.feed.end - this.video.currentTime;
    if (lag > LIVE_MOST_S) this.video.currentTime = Math.max(this.feed.end - LIVE_LAG_S, 0);
    this.video.playbackRate = lag > 0.5 ? 1 + Math.min((lag - LIVE_LAG_S) * 0.3, 0.25) : lag < 0.14 ? 0.96 : 1;
  }

  // Nobody records it any more, or it was deleted: there are words of that, as of one that has not begun.
  isLeft() {
    return Boolean(this.status.growing && this.status.words && this.status.count);
  }

  // Whether all of it has been played; what ended is begun anew only by a seek.
  isDone() {
    const isOver = !this.status.growing || this.isLeft();
    const isAtEnd = this.showsImages() ? this.number >= this.status.count - 1 : this.video.ended;
    return isOver && isAtEnd && !this.wanted && !this.goal;
  }

  async play() {
    if (!this.playsVideo || this.isDone() || this.isEarly) return;
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
    const { video, frames } = this;
    const waits = video.seeking || (this.player.isPlaying && !video.paused && video.readyState < 3 && !video.ended);
    // What is recorded may stand still, in a pause or while its source is away: then there is nothing behind its end.
    const isAtEnd = this.status.growing && !(frames.times.at(-1) > video.currentTime + LIVE_MOST_S);
    if (!waits || isAtEnd || !this.playsVideo || this.wanted || this.goal || !this.feed.has(video.currentTime + 0.05)) {
      this.stuckSince = undefined;
      return;
    }
    this.stuckSince ??= performance.now();
    if (performance.now() - this.stuckSince < STUCK_MS) return;
    this.stuckSince = Infinity;
    const place = frames.nextKeyframe(video.currentTime);
    this.say(DAMAGED, "fault", 6000);
    if (this.player.isPlaying && place >= 0) video.currentTime = frames.middle(place);
    else this.images.still(video.currentTime);
  }

  // Where a seek ends and no frame comes of it, the page's decoder has none for that place.
  arrived() {
    clearTimeout(this.missing);
    this.missing = setTimeout(() => {
      const { video, frames } = this;
      const at = frames.nearest(video.currentTime);
      const isHere = at < 0 || Math.abs(this.number - frames.numbers[at]) <= 1;
      if (isHere || this.wanted || video.seeking || !video.paused || !this.playsVideo) return;
      this.say(DAMAGED, "fault", 6000);
      this.images.still(video.currentTime);
    }, STUCK_MS);
  }

  close() {
    clearTimeout(this.missing);
    clearTimeout(this.quiet);
    this.feed.close();
  }
}
