// What one video element is fed with, through MediaSource: chunks of MP4 that are appended, and given up behind.

const BEHIND_S = 20;
const UPDATED_MS = 5000; // longer than any append takes: one whose event is lost must not hold the rest

class Feed {
  constructor(video, frames) {
    this.video = video;
    this.frames = frames;
  }

  get isOpen() {
    return Boolean(this.source);
  }

  // A new place: nothing of the old one is kept. Whether the element begins anew with it.
  async renew(mime) {
    this.frames.clear();
    if (this.source && this.source.readyState !== "closed" && !this.video.error) {
      if (this.source.readyState === "ended") this.buffer.timestampOffset = 0; // opens it again
      this.buffer.abort();
      if (this.buffer.buffered.length) {
        this.buffer.remove(0, Infinity);
        await this.updated();
      }
      return false;
    }
    this.source = new MediaSource();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(this.source);
    this.video.src = this.url;
    await new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, { once: true }));
    this.buffer = this.source.addSourceBuffer(mime);
    return true;
  }

  updated() {
    return new Promise((resolve) => {
      this.buffer.addEventListener("updateend", resolve, { once: true });
      this.video.addEventListener("error", resolve, { once: true });
      setTimeout(resolve, UPDATED_MS);
    });
  }

  // "put", "full", or "broken"; what lies well behind `here` (s) makes room.
  async append(data, here) {
    for (let again = 0; again < 3; again++) {
      try {
        if (this.buffer.updating) await this.updated();
        this.buffer.appendBuffer(data);
        await this.updated();
        await this.evict(here() - BEHIND_S);
        return this.video.error ? "broken" : "put";
      } catch (error) {
        if (error.name !== "QuotaExceededError") return "broken";
        await this.evict(here() - 2);
      }
    }
    return "full";
  }

  // Gives up whole groups that lie behind: what begins at a keyframe can stay.
  async evict(limit) {
    const at = this.frames.lastKeyframe(limit);
    if (at <= 0 || this.buffer.updating) return;
    this.buffer.remove(0, this.frames.times[at] - 0.001);
    await this.updated();
    this.frames.dropBefore(at);
  }

  finish() {
    try {
      if (this.source?.readyState !== "open") return;
      if (this.buffer.updating) this.updated().then(() => this.finish());
      else this.source.endOfStream();
    } catch {
      // It is being opened anew.
    }
  }

  get end() {
    const { buffered } = this.video;
    return buffered.length ? buffered.end(buffered.length - 1) : 0;
  }

  // What is being taken away for a new place is not there any more.
  has(time) {
    if (!this.frames.numbers.length) return false;
    const { buffered } = this.video;
    for (let at = 0; at < buffered.length; at++) if (buffered.start(at) - 0.002 <= time && time < buffered.end(at)) return true;
    return false;
  }

  // A hole in what is loaded: on to where it ends.
  jump() {
    const { buffered, currentTime } = this.video;
    for (let at = 0; at < buffered.length; at++) {
      const begin = buffered.start(at);
      if (begin > currentTime && begin - currentTime < 10 && this.end > begin) {
        this.video.currentTime = begin + 0.001;
        return;
      }
    }
  }

  close() {
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}
