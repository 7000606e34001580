// Says in the panel that a click waits for a busy kernel, and that the kernel is gone; and what its charts show, in words.

const BUSY_MS = 500;
const TYPED = "input:not([type=checkbox]),select,textarea,[contenteditable=true]";
const WAITING = "The kernel is busy with a cell. Your click is not lost: it is done when that has ended.";
const ALONE =
  "This panel's kernel is gone. A recording goes on for ten minutes without one: run this cell again, and the panel finds it.";

export default {
  render({ model, el }) {
    // The card that a saved notebook keeps is for viewers without this. In here: nothing is around it yet.
    const hides = document.createElement("style");
    hides.textContent = `[data-recordkit="${model.get("kept")}"]{display:none}`;
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    el.append(hides, said);
    let asked = 0;
    let timer = null;
    let last = null; // the button that was pressed last
    const say = (words) => {
      said.textContent = words;
      el.className = words ? "recordkit-note" : "";
    };
    const kernel = new Kernel(model, () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      window.removeEventListener("keydown", pressed, true);
      line.lose();
      say(ALONE);
    });
    const line = new Line(model, kernel, (isWaiting) => kernel.isGone || say(isWaiting ? WAITING : ""));
    const clicked = (event) => {
      const on = event.target instanceof Element && event.target.closest(".recordkit-panel button,.recordkit-panel a[data-file]");
      if (!on || on.closest(".recordkit-camera") || on.closest(".recordkit-panel") !== el.closest(".recordkit-panel")) return;
      if (on.matches("a")) {
        event.preventDefault();
        new Download(on, line).begin();
        return;
      }
      last = on;
      // After the click's own message: it is answered when that has been taken in.
      kernel.send({ ask: ++asked });
      timer ??= setTimeout(() => say(WAITING), BUSY_MS);
    };
    const answered = ({ answer, view }) => {
      if (view || answer !== asked) return;
      clearTimeout(timer);
      timer = null;
      say("");
    };
    const tellCharts = () => {
      const images = el.closest(".recordkit-panel")?.querySelectorAll(".recordkit-charts img") ?? [];
      model.get("charts").forEach((words, at) => images[at]?.setAttribute("alt", words));
      // Start can be pressed once, and loses the focus by that: on to the player, with its keys.
      if (last?.disabled && document.activeElement === document.body)
        el.closest(".recordkit-panel")?.querySelector(".recordkit-player")?.focus({ preventScroll: true });
      last = null;
    };
    // Enter in the mark's name, and m, do what the button does. To JupyterLab a letter is a command for the cell: m would
    // make text of it, and x cut it.
    const pressed = (event) => {
      const { key, target } = event;
      const panel = target instanceof Element && target.closest(".recordkit-panel");
      if (!panel || panel !== el.closest(".recordkit-panel") || target.closest(".recordkit-player")) return;
      const mark = () => panel.querySelector("button.recordkit-mark")?.click();
      if (target.closest(TYPED)) {
        if (isEnter(event) && target.closest(".recordkit-mark-name")) mark();
        return;
      }
      if (key.length > 1 || key === " " || isCommand(event)) return;
      event.stopPropagation();
      if (key.toLowerCase() === "m" && !event.repeat) mark();
    };
    document.addEventListener("click", clicked);
    window.addEventListener("keydown", pressed, true); // before JupyterLab, and the field, which keeps it to itself
    model.on("msg:custom", answered);
    model.on("change:charts", tellCharts);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      window.removeEventListener("keydown", pressed, true);
      model.off("msg:custom", answered);
      model.off("change:charts", tellCharts);
      line.close();
      kernel.close();
    };
  },
};
