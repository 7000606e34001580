// What the page sides of the widgets share; it stands in front of each of them.

const GONE = ["restarting", "autorestarting", "terminating", "dead"];

// Calls `call` once, when the kernel that `model` belongs to is gone; gives what takes that off.
// A widget's page side outlives its kernel, and nobody else tells it.
function whenKernelGoes(model, call) {
  const kernel = model.widget_manager?.kernel;
  const status = (_, state) => GONE.includes(state) && once();
  const off = () => {
    kernel?.statusChanged?.disconnect(status);
    kernel?.disposed?.disconnect(once);
  };
  const once = () => {
    off();
    call();
  };
  kernel?.statusChanged?.connect(status);
  kernel?.disposed?.connect(once);
  return off;
}
