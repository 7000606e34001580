// The page's side of rk.Camera: camera, microphone or screen by WebRTC, straight to the recording process.
// The messages that set it up travel over the widget's own channel.

const CONNECT_TIMEOUT_MS = 15000;
const ANSWER_EXPECTED_MS = 3000;
const SIZES = ["640x360", "1280x720", "1920x1080"];
const NO_AUDIO = "none";
const BITS_PER_PIXEL_AND_FRAME = 0.1;

const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use it. Click the camera symbol in the address bar, allow it, and try again.",
  NotFoundError: "No such device was found. Plug one in, or choose another above.",
  NotReadableError: "The device is in use by another program. Close that, and try again.",
  OverconstrainedError: "The device does not offer that. Choose another size or device.",
  AbortError: "The device stopped by itself. Try again.",
};

// Where a screen is asked for, the same names mean something else.
const SCREEN_REFUSALS = {
  NotAllowedError: "No screen was shared. Try again, and choose one in the browser's dialog.",
  InvalidStateError: "A browser shares a screen only right after a click. Press Turn on first, then record.",
};

function missing() {
  if (window.acquireVsCodeApi || location.protocol.startsWith("vscode"))
    return "VS Code gives notebooks no camera. Open this notebook in a browser, with JupyterLab.";
  if (!window.isSecureContext)
    return "Browsers give a camera only to pages over HTTPS or on localhost. Open JupyterLab by one of these.";
  if (!navigator.mediaDevices || !window.RTCPeerConnection)
    return "This browser has no camera access or no WebRTC. Use a current Chrome, Edge, Firefox or Safari.";
  return "";
}

function words(error, isScreen = false) {
  if (error.name === "Error") return error.message;
  return (isScreen && SCREEN_REFUSALS[error.name]) || REFUSALS[error.name] || `${error.name || "Error"}: ${error.message || error}`;
}

const CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

// Offered only if it is asked for, and an answer may name nothing that was not offered (RFC 8285, 6).
function offerCaptureTimes(transceiver) {
  const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
  for (const one of extensions) if (one.uri === CAPTURE_TIME) one.direction = "sendrecv";
  if (extensions.length) transceiver.setHeaderExtensionsToNegotiate(extensions);
}

// What belongs to the widget, however many views of it are open.
class Device {
  constructor(model) {
    this.model = model;
    this.stream = null;
    this.peer = null;
    this.views = new Set();
    this.message = (content) => this.heard(content);
    this.show = () => this.views.forEach((view) => view());
    model.on("msg:custom", this.message);
    // The kernel says, too, how a recording has ended: whoever loads the page anew finds that here.
    for (const name of ["change:state", "change:message"]) model.on(name, this.show);
    this.kernel = new Kernel(model, () => this.lose());
  }

  tell(state, message = "") {
    this.model.set({ state, message });
    this.kernel.save();
    this.show();
  }

  // Nobody records what the device sees any more, and nobody would ever turn it off.
  lose() {
    const [wasSent, wasOn] = [Boolean(this.peer), Boolean(this.stream)];
    const words = ["The kernel is gone."];
    if (wasOn) words.push("The device was turned off.");
    if (wasSent) words.push("What was sent before is being committed.");
    this.turnOff([...words, "Run this cell again to go on."].join(" "));
  }

  async turnOn() {
    if (this.stream && this.stream.active) return;
    const obstacle = missing();
    if (obstacle) throw new Error(obstacle);
    const get = (name) => this.model.get(name);
    const [width, height] = [get("width"), get("height")];
    const frame = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: get("fps") } };
    const microphone = get("microphone");
    const audio = get("audio") && microphone !== NO_AUDIO && (microphone ? { deviceId: { exact: microphone } } : true);
    this.isScreen = get("device") === "screen" && get("video");
    let stream;
    if (this.isScreen) {
      stream = await navigator.mediaDevices.getDisplayMedia({ video: frame, audio: Boolean(audio) });
      try {
        if (audio && !stream.getAudioTracks().length)
          for (const track of (await navigator.mediaDevices.getUserMedia({ audio })).getTracks()) stream.addTrack(track);
      } catch (error) {
        for (const track of stream.getTracks()) track.stop();
        this.isScreen = false; // it was the microphone that was refused
        throw error;
      }
    } else {
      const video = get("video") && { ...frame, ...(get("device") && { deviceId: { exact: get("device") } }) };
      stream = await navigator.mediaDevices.getUserMedia({ video, audio });
    }
    this.stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.ended(stream, track));
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.model.set("devices", devices.map(({ kind, deviceId, label }) => ({ kind, id: deviceId, label })));
    this.tell("on");
  }

  turnOff(message = "") {
    this.hangUp();
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
    this.tell("off", message);
  }

  // A device that was unplugged, or a screen that is shared no longer. Once nothing is left the recording ends.
  ended(stream, track) {
    if (stream !== this.stream) return;
    const isOver = !stream.active || (this.isScreen && track.kind === "video");
    if (isOver) this.turnOff("It was unplugged, or its sharing was ended in the browser.");
    else if (this.peer) this.peer.getSenders().find((one) => one.track === track)?.replaceTrack(null);
  }

  hangUp() {
    clearTimeout(this.timer);
    if (this.peer) this.peer.close();
    this.peer = null;
  }

  async heard(content) {
    try {
      if (content.type === "begin") await this.begin(content);
      else if (content.type === "answer" && this.peer && content.id === this.id)
        await this.answered(content);
      else if (content.type === "end") {
        this.hangUp();
        if (this.stream && !this.views.size) this.turnOff(content.message);
        else if (this.stream) this.tell("on", content.message);
      } else if (content.type === "off") this.turnOff();
    } catch (error) {
      this.fail(content.id, words(error, this.isScreen));
    }
  }

  fail(id, reason) {
    this.hangUp();
    this.tell("failed", reason);
    this.kernel.send({ type: "failed", id, reason });
  }

  async begin({ id, ice_servers }) {
    this.hangUp();
    this.id = id;
    await this.turnOn();
    const peer = (this.peer = new RTCPeerConnection({ iceServers: ice_servers || [] }));
    for (const track of this.stream.getTracks()) {
      const encodings = track.kind === "video" ? [{ maxBitrate: this.bitRate(track) }] : undefined;
      const direction = "sendonly";
      const transceiver = peer.addTransceiver(track, { direction, streams: [this.stream], sendEncodings: encodings });
      if (track.kind === "video") offerCaptureTimes(transceiver);
    }
    peer.onconnectionstatechange = () => {
      if (this.peer !== peer) return;
      if (peer.connectionState === "connected") {
        clearTimeout(this.timer);
        this.tell("sending");
      } else if (peer.connectionState === "failed") this.fail(id, "The connection to the recording process was lost.");
    };
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise((resolve) => {
      const done = () => peer.iceGatheringState === "complete" && resolve();
      peer.addEventListener("icegatheringstatechange", done);
      setTimeout(resolve, 2000);
      done();
    });
    if (this.peer !== peer) return;
    this.kernel.send({ type: "offer", id, sdp: peer.localDescription.sdp });
    // The answer comes through the kernel, which a long cell may keep busy for as long as it likes.
    const wait = "Waiting for the kernel, which is busy with a cell. Recording begins when that has ended.";
    this.timer = setTimeout(() => this.peer === peer && this.tell("on", wait), ANSWER_EXPECTED_MS);
  }

  async answered({ id, sdp }) {
    const peer = this.peer;
    clearTimeout(this.timer);
    const far = "No connection to the recording process. Where the kernel runs on another machine, or behind a " +
      "firewall, give ice_servers with a TURN server.";
    this.timer = setTimeout(
      () => this.peer === peer && peer.connectionState !== "connected" && this.fail(id, far), CONNECT_TIMEOUT_MS);
    await peer.setRemoteDescription({ type: "answer", sdp });
  }

  bitRate(track) {
    const { width = 1280, height = 720, frameRate = 30 } = track.getSettings();
    return Math.max(600000, Math.round(width * height * frameRate * BITS_PER_PIXEL_AND_FRAME));
  }

  close() {
    this.model.off("msg:custom", this.message);
    for (const name of ["change:state", "change:message"]) this.model.off(name, this.show);
    this.kernel.close();
    this.hangUp();
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
  }
}

function chooser(label, options, current, choose) {
  const box = document.createElement("label");
  const select = document.createElement("select");
  box.append(`${label} `, select);
  const fill = () => {
    select.replaceChildren(...options().map(([value, text]) => new Option(text, value, false, current() === value)));
  };
  select.addEventListener("change", () => choose(select.value));
  fill();
  return { box, select, fill };
}

export default () => {
  let device;
  return {
    initialize({ model }) {
      device = new Device(model);
      return () => device.close();
    },
    render({ model, el }) {
      el.classList.add("recordkit-camera");
      const video = Object.assign(document.createElement("video"), { autoplay: true, muted: true, playsInline: true });
      video.setAttribute("aria-label", "Preview");
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const status = document.createElement("div");
      status.setAttribute("role", "status");
      const named = (kind, first) => () => [
        ["", first],
        ...model.get("devices").filter((one) => one.kind === kind && one.id).map((one, at) => [one.id, one.label || `${first} ${at + 1}`]),
      ];
      const cameras = named("videoinput", "Camera");
      const trait = (name) => [() => model.get(name), (value) => { model.set(name, value); device.kernel.save(); }];
      const microphones = named("audioinput", "Microphone");
      const camera = chooser("Video", () => [...cameras(), ["screen", "Screen or window"]], ...trait("device"));
      const microphone = chooser("Audio", () => [...microphones(), [NO_AUDIO, "No audio"]], ...trait("microphone"));
      const currentSize = () => `${model.get("width")}x${model.get("height")}`;
      const sizes = () => [...new Set([...SIZES, currentSize()])].map((one) => [one, one]);
      const size = chooser("Size", sizes, currentSize, (value) => {
        const [width, height] = value.split("x").map(Number);
        model.set({ width, height });
        device.kernel.save();
      });
      camera.box.hidden = size.box.hidden = !model.get("video");
      microphone.box.hidden = !model.get("audio");
      const row = document.createElement("div");
      row.className = "recordkit-camera-row";
      row.append(camera.box, size.box, microphone.box, button);
      el.append(video, row, status);
      const show = () => {
        const state = model.get("state");
        if (video.srcObject !== device.stream) video.srcObject = device.stream;
        video.hidden = !device.stream;
        button.textContent = device.stream ? "Turn off" : "Turn on";
        button.disabled = device.kernel.isGone || (state === "sending" && Boolean(device.stream));
        camera.select.disabled = size.select.disabled = microphone.select.disabled = Boolean(device.stream);
        const here = { sending: "Being recorded", on: "On, not being recorded" };
        // Not by this page: by the one that it was before it was loaded anew, or by another one.
        const elsewhere = { sending: "Another page was being recorded. When that ends it is committed, and said here." };
        status.textContent = model.get("message") || (device.stream ? here : elsewhere)[state] || "Off";
        status.classList.toggle("recordkit-camera-failed", state === "failed");
        for (const one of [camera, size, microphone]) one.fill();
      };
      button.addEventListener("click", async () => {
        try {
          if (device.stream) device.turnOff();
          else await device.turnOn();
        } catch (error) {
          device.tell("failed", words(error, device.isScreen));
        }
      });
      device.views.add(show);
      show();
      return () => {
        device.views.delete(show);
        video.srcObject = null;
        if (!device.views.size && model.get("state") !== "sending") device.turnOff();
      };
    },
  };
};
