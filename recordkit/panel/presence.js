// Says in the panel that a click waits for a busy kernel, and that the kernel is gone.

const PATIENCE_MS = 500;
const WAITING = "The kernel is busy with a cell. Your click is not lost: it is done when that has ended.";
const ALONE =
  "This panel's kernel is gone. A recording goes on for ten minutes without one: run this cell again, and the panel finds it.";

export default {
  render({ model, el }) {
    el.setAttribute("role", "status");
    let asked = 0;
    let timer = null;
    const say = (words) => {
      el.textContent = words;
      el.className = words ? "recordkit-note" : "";
    };
    const clicked = (event) => {
      const button = event.target instanceof Element && event.target.closest(".recordkit-panel button");
      if (!button || button.closest(".recordkit-camera") || button.closest(".recordkit-panel") !== el.closest(".recordkit-panel")) return;
      // After the click's own message: it is answered when that has been taken in.
      model.send({ ask: ++asked });
      timer ??= setTimeout(() => say(WAITING), PATIENCE_MS);
    };
    const answered = ({ answer }) => {
      if (answer !== asked) return;
      clearTimeout(timer);
      timer = null;
      say("");
    };
    document.addEventListener("click", clicked);
    model.on("msg:custom", answered);
    const forget = whenKernelGoes(model, () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      say(ALONE);
    });
    return () => {
      clearTimeout(timer);
      document.removeEventListener("click", clicked);
      model.off("msg:custom", answered);
      forget();
    };
  },
};
