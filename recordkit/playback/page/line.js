// Questions to the kernel and their answers; another view's are passed over.

const PATIENCE_MS = 1000; // without an answer the page says that it waits
const LOST_MS = 20000; // and then asks again: the connection may have been lost

class Line {
  constructor(model, kernel, wait) {
    this.model = model;
    this.kernel = kernel;
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

  // The answer, or `lost`; from a kernel that has gone at once.
  ask(content) {
    if (this.kernel.isGone) return Promise.resolve({ lost: true });
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
      this.kernel.send({ ...content, id, view: this.view });
    });
  }

  tell(content) {
    this.kernel.send({ ...content, view: this.view });
  }

  // Nobody will answer what is open.
  lose() {
    for (const done of [...this.open.values()]) done({ lost: true });
  }

  close() {
    this.tell({ tell: "gone" });
    this.model.off("msg:custom", this.heard);
    this.lose();
  }
}
