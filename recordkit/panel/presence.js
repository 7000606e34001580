// Says in the panel that a click waits for a busy kernel, and that the kernel is gone; and what its charts show, in words.

const PATIENCE_MS = 500;
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
    const say = (words) => {
      said.textContent = words;
      el.className = words ? "recordkit-note" : "";
    };
    const clicked = (event) => {
      const button = event.target instanceof Element && event.target.closest(".recordkit-panel button");
      if (!button || button.closest(".recordkit-camera") || button.closest(".recordkit-panel") !== el.closest(".recordkit-panel")) return;
      // After the click's own message: it is answered when that has been taken in.
      kernel.send({ ask: ++asked });
      timer ??= setTimeout(() => say(WAITING), PATIENCE_MS);
    };
    const answered = ({ answer }) => {
      if (answer !== asked) return;
      clearTimeout(timer);
      timer = null;
      say("");
    };
    const tellCharts = () => {
      const images = el.closest(".recordkit-panel")?.querySelectorAll(".recordkit-charts img") ?? [];
      model.get("charts").forEach((words, at) => images[at]?.setAttribute("alt", words));
    };
    // Enter in the mark's name does what the button beside it does.
    const entered = (event) => {
      if (event.key !== "Enter" || !(event.target instanceof Element) || !event.target.closest(".recordkit-mark-name")) return;
      const panel = event.target.closest(".recordkit-panel");
      if (panel === el.closest(".recordkit-panel")) panel.querySelector("button.recordkit-mark")?.click();
    };
    document.addEventListener("click", clicked);
    document.addEventListener("keydown", entered, true); // before the field, which keeps it to itself
    model.on("msg:custom", answered);
    model.on("change:charts", tellCharts);
    const kernel = new Kernel(model, () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      document.removeEventListener("keydown", entered, true);
      say(ALONE);
    });
    return () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      document.removeEventListener("keydown", entered, true);
      model.off("msg:custom", answered);
      model.off("change:charts", tellCharts);
      kernel.close();
    };
  },
};
