// What can be made of a frame or a piece that is shown: a mark, an image, a clip. The kernel makes it.

const SAID_MS = 6000;
const IMAGE_KEPT_MS = 10000; // until the browser has surely begun to save it

class Tools {
  constructor(view) {
    this.view = view;
    const tools = view.model.get("tools"); // a face that only shows has none
    this.can = { mark: tools.includes("mark"), clip: tools.includes("clip") };
  }

  // The answer, or nothing where the kernel refuses or is not there, which is said.
  async ask(content) {
    const { view } = this;
    const answer = await view.line.ask(content);
    if (!answer.fault && !answer.lost) return answer;
    view.first.say(answer.fault || view.absence, "fault", SAID_MS);
  }

  async mark() {
    const { view } = this;
    const { markName } = view.controls;
    view.report(true);
    if (await this.ask({ ask: "mark", name: markName.value.trim() || "mark" })) markName.value = "";
  }

  async saveImage() {
    const { view } = this;
    const answer = await this.ask({ ask: "image", kind: "png", number: Math.max(view.first.number, 0) });
    if (!answer) return;
    const stem = view.model.get("titles")[0].replace(/\.[^.]*$/, "");
    const link = made("a", "", { href: URL.createObjectURL(new Blob([answer.buffers[0]], { type: "image/png" })), download: `${stem}-${String(answer.number).padStart(6, "0")}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), IMAGE_KEPT_MS);
  }

  // The first press says from where, the second to where, the frame that is shown there included; Escape takes it back.
  async clip() {
    const { first } = this.view;
    const here = first.media_s;
    if (this.clipFrom === undefined) return this.setClip(here);
    const [start, end] = [Math.min(this.clipFrom, here), Math.max(this.clipFrom, here)];
    this.setClip(undefined);
    if (end - start < 0.001) return first.say("A clip needs two places: go on, and press again.", "fault", SAID_MS);
    first.say("The clip is being made …", "", 60000);
    const made = [];
    for (const film of this.view.films) {
      const [from, to] = [start, end].map((time) => time + this.view.shift(0) - this.view.shift(film.of));
      if (to <= 0 || from >= film.status.duration) continue;
      const answer = await this.ask({ ask: "clip", of: film.of, start: Math.max(from, 0), end: to });
      if (!answer) return;
      made.push(`${answer.path}, ${answer.length.toFixed(1)} s`);
    }
    first.say(`Saved: ${made.join("; ")}`, "", SAID_MS);
  }

  setClip(from) {
    this.clipFrom = from;
    const words = from === undefined ? "A clip from here on" : `A clip from ${clock(from)} to here (Escape: none)`;
    this.view.controls.drawClip(words, from !== undefined);
    this.view.draw();
  }
}
