// What the page sides of the widgets share; it stands in front of each of them.

const GONE = ["restarting", "autorestarting", "terminating", "dead"];

// A key of the browser's or of Jupyter's, which no widget may take.
function isCommand({ ctrlKey, metaKey, altKey }) {
  return ctrlKey || metaKey || altKey;
}

// Enter alone, as it ends what is typed in a field; one that chooses a word of an input method does not.
function isEnter(event) {
  return event.key === "Enter" && !isCommand(event) && !event.shiftKey && !event.isComposing;
}

// The kernel that made a model, as long as it is there: a page side outlives it, and nobody else tells it so.
// `gone` is called once, when it has gone; what is sent after that would raise in the page, and is left out.
class Kernel {
  constructor(model, gone) {
    this.model = model;
    this.isGone = false;
    this.connection = model.widget_manager?.kernel;
    this.ended = () => {
      this.close();
      gone();
    };
    this.changed = (_, status) => GONE.includes(status) && this.ended();
    this.connection?.statusChanged?.connect(this.changed);
    this.connection?.disposed?.connect(this.ended);
  }

  send(content) {
    if (!this.isGone) this.model.send(content);
  }

  save() {
    if (!this.isGone) this.model.save_changes();
  }

  // Nothing is sent any more, and nothing told.
  close() {
    this.isGone = true;
    this.connection?.statusChanged?.disconnect(this.changed);
    this.connection?.disposed?.disconnect(this.ended);
  }
}
