// The link of a finished recording. What the page's server does not give (Voila gives images alone, and no server what
// lies outside of its folder) comes from the kernel, piece by piece: never more than one is on its way.

const SAVED_MS = 60000; // until the browser has surely begun to save it

class Download {
  constructor(link, line) {
    this.link = link;
    this.line = line;
    this.said = link.parentElement.querySelector("[role=status]") ?? document.createElement("span");
    this.said.setAttribute("role", "status");
    link.after(this.said);
  }

  say(words) {
    this.said.textContent = words && ` ${words}`;
  }

  async begin() {
    if (await this.isServed()) return this.save(this.link.href);
    const whole = await this.fetched();
    if (!whole) return;
    const url = URL.createObjectURL(whole);
    this.save(url);
    setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
  }

  async isServed() {
    try {
      return (await fetch(this.link.href, { method: "HEAD" })).ok;
    } catch {
      return false;
    }
  }

  save(href) {
    Object.assign(document.createElement("a"), { href, download: this.link.download }).click();
  }

  // Each piece becomes a blob of its own: that is kept by the browser, and not in the memory of the page.
  async fetched() {
    const pieces = [];
    for (let at = 0, size = 1; at < size; ) {
      const answer = await this.line.ask({ ask: "piece", file: Number(this.link.dataset.file), at });
      if (answer.lost && !this.line.kernel.isGone) continue;
      const fault = answer.lost ? "the kernel is gone" : answer.fault;
      if (fault) return this.say(`cannot be downloaded: ${fault}`);
      const [piece] = answer.buffers;
      size = answer.size;
      at += piece.byteLength;
      pieces.push(new Blob([piece]));
      this.say(at < size ? `${Math.floor((100 * at) / size)} %` : "");
    }
    return new Blob(pieces);
  }
}
