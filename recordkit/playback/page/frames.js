// The frames of one recording that are loaded, in the order of their numbers, which is that in which they are shown.

const KEYFRAME = 1;
const DAMAGE = 2;

class Frames {
  constructor() {
    this.clear();
  }

  clear() {
    this.numbers = [];
    this.times = []; // s, when each is shown
    this.captured = []; // ms since 1970, NaN where nobody knows
    this.flags = [];
    this.parts = []; // what was loaded at once: where it ends, and its bytes
  }

  get lists() {
    return [this.numbers, this.times, this.captured, this.flags];
  }

  add(numbers, times, captured, flags, bytes) {
    const rows = [...numbers].map((number, at) => [number, times[at], captured[at], flags[at]]);
    if (!rows.length) return;
    this.parts.push({ end: Math.max(...times), bytes });
    rows.sort((one, other) => one[0] - other[0]);
    let at = this.numbers.length;
    for (const row of rows) {
      while (at > 0 && this.numbers[at - 1] > row[0]) at--;
      while (at < this.numbers.length && this.numbers[at] < row[0]) at++;
      const known = this.numbers[at] === row[0] ? 1 : 0;
      this.lists.forEach((list, column) => list.splice(at, known, row[column]));
    }
  }

  // Gives up what lies before the frame at `at`.
  dropBefore(at) {
    const end = this.times[at];
    for (const list of this.lists) list.splice(0, at);
    this.parts = this.parts.filter((one) => one.end >= end);
  }

  bytesAfter(time) {
    return this.parts.reduce((sum, one) => sum + (one.end > time ? one.bytes : 0), 0);
  }

  // Where a frame stands, by its number; -1: it is not loaded.
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

  lastKeyframe(until) {
    let at = -1;
    for (let place = 0; place < this.times.length && this.times[place] <= until; place++) if (this.flags[place] & KEYFRAME) at = place;
    return at;
  }

  nextKeyframe(after) {
    return this.times.findIndex((time, at) => time > after && this.flags[at] & KEYFRAME);
  }

  isDamaged(at) {
    return Boolean(this.flags[at] & DAMAGE);
  }
}
