// What the player's controls are made of.

const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  back: "M17 6v12l-8-6zM6 6h2v12H6z",
  forth: "M7 6v12l8-6zM16 6h2v12h-2z",
  loud: "M3 9v6h4l5 5V4L7 9zm13.5 3a4.5 4.5 0 0 0-2.5-4v8a4.5 4.5 0 0 0 2.5-4z",
  mute: "M3 9v6h4l5 5V4L7 9zm18.4 0L20 7.6l-2.5 2.5L15 7.6 13.6 9l2.5 2.5-2.5 2.5 1.4 1.4 2.5-2.5 2.5 2.5 1.4-1.4-2.5-2.5z",
  full: "M5 14H3v7h7v-2H5zM3 10h2V5h5V3H3zm16 9h-5v2h7v-7h-2zM14 3v2h5v5h2V3z",
  image: "M21 5v14H3V5zm-2 2H5v8l4-4 4 4 2-2 4 4z",
  clip: "M9.6 7.6A3.6 3.6 0 1 0 7.6 9.6L10 12l-2.4 2.4a3.6 3.6 0 1 0 2 2L12 14l7 7h3v-1zM6 8a2 2 0 1 1 0-4 2 2 0 0 1 0 4m0 12a2 2 0 1 1 0-4 2 2 0 0 1 0 4M19 3l-6 6 2 2 7-7V3z",
  flag: "M6 3v18h2v-7h10l-2.5-4L18 6H8V3z",
};

function clock(seconds, digits = 3) {
  const whole = Math.max(0, seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function made(kind, name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

function button(label, face, act) {
  const one = made("button", "", { type: "button" });
  relabel(one, label, face);
  one.addEventListener("click", act);
  return one;
}

// Another label, and another face where one is given.
function relabel(one, label, face) {
  if (face) one.replaceChildren(icon(face));
  one.title = label;
  one.setAttribute("aria-label", label);
}

// The card that a saved notebook keeps is for viewers without this.
function hidesKept(identity) {
  return identity ? [made("style", "", { textContent: `[data-recordkit="${identity}"]{display:none}` })] : [];
}
