// The page's side of rk.Camera: camera, microphone or screen by WebRTC, straight to the recording process.
// The messages that set it up travel over the widget's own channel.

const CONNECT_TIMEOUT_MS = 15000;
const BITS_PER_PIXEL_AND_PICTURE = 0.1;

const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use it. Click the camera symbol in the address bar, allow it, and try again.",
  NotFoundError: "No such device was found. Plug one in, or choose another above.",
  NotReadableError: "The device is in use by another program. Close that, and try again.",
  OverconstrainedError: "The device does not offer that. Choose another size or device.",
  AbortError: "The device stopped by itself. Try again.",
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

function words(error) {
  return REFUSALS[error.name] || `${error.name || "Error"}: ${error.message || error}`;
}

// What belongs to the widget, however many views of it are open.
class Device {
  constructor(model) {
    this.model = model;
    this.stream = null;
    this.peer = null;
    this.views = new Set();
    this.message = (content) => this.heard(content);
    model.on("msg:custom", this.message);
  }

  tell(state, message = "") {
    this.model.set({ state, message });
    this.model.save_changes();
    for (const view of this.views) view();
  }

  async turnOn() {
    if (this.stream) return;
    const obstacle = missing();
    if (obstacle) throw new Error(obstacle);
    const get = (name) => this.model.get(name);
    const [width, height] = [get("width"), get("height")];
    const picture = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: get("fps") } };
    const sound = get("audio") && (get("microphone") ? { deviceId: { exact: get("microphone") } } : true);
    if (get("device") === "screen") {
      this.stream = await navigator.mediaDevices.getDisplayMedia({ video: picture, audio: get("audio") });
      const microphone = sound && !this.stream.getAudioTracks().length;
      if (microphone)
        for (const track of (await navigator.mediaDevices.getUserMedia({ audio: sound })).getTracks())
          this.stream.addTrack(track);
    } else {
      const video = get("video") && { ...picture, ...(get("device") && { deviceId: { exact: get("device") } }) };
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: sound });
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.model.set("devices", devices.map(({ kind, deviceId, label }) => ({ kind, id: deviceId, label })));
    this.tell("on");
  }

  turnOff() {
    this.hangUp();
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
    this.tell("off");
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
        await this.peer.setRemoteDescription({ type: "answer", sdp: content.sdp });
      else if (content.type === "end") {
        this.hangUp();
        if (this.stream) this.tell("on");
      } else if (content.type === "off") this.turnOff();
    } catch (error) {
      this.fail(content.id, error instanceof Error && error.name === "Error" ? error.message : words(error));
    }
  }

  fail(id, reason) {
    this.hangUp();
    this.tell("failed", reason);
    this.model.send({ type: "failed", id, reason });
  }

  async begin({ id, ice_servers }) {
    this.hangUp();
    this.id = id;
    await this.turnOn();
    const peer = (this.peer = new RTCPeerConnection({ iceServers: ice_servers || [] }));
    for (const track of this.stream.getTracks()) {
      const encodings = track.kind === "video" ? [{ maxBitrate: this.bitRate(track) }] : undefined;
      const sender = peer.addTransceiver(track, { direction: "sendonly", streams: [this.stream], sendEncodings: encodings });
      track.addEventListener("ended", () => this.peer === peer && sender.sender.replaceTrack(null));
    }
    peer.onconnectionstatechange = () => {
      if (this.peer !== peer) return;
      if (peer.connectionState === "connected") {
        clearTimeout(this.timer);
        this.tell("sending");
      } else if (peer.connectionState === "failed") this.fail(id, "The connection to the recording process was lost.");
    };
    this.timer = setTimeout(
      () => this.peer === peer && peer.connectionState !== "connected" && this.fail(id,
        "No connection to the recording process. Where the kernel runs on another machine, behind a firewall, " +
        "give ice_servers with a TURN server."),
      CONNECT_TIMEOUT_MS,
    );
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise((resolve) => {
      const done = () => peer.iceGatheringState === "complete" && resolve();
      peer.addEventListener("icegatheringstatechange", done);
      setTimeout(resolve, 2000);
      done();
    });
    if (this.peer === peer) this.model.send({ type: "offer", id, sdp: peer.localDescription.sdp });
  }

  bitRate(track) {
    const { width = 1280, height = 720, frameRate = 30 } = track.getSettings();
    return Math.max(600000, Math.round(width * height * frameRate * BITS_PER_PIXEL_AND_PICTURE));
  }

  close() {
    this.model.off("msg:custom", this.message);
    this.hangUp();
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
  }
}

function chooser(model, name, label, options) {
  const box = document.createElement("label");
  const select = document.createElement("select");
  box.append(`${label} `, select);
  const fill = () => {
    select.replaceChildren(...options().map(([value, text]) => new Option(text, value, false, model.get(name) === value)));
  };
  select.addEventListener("change", () => {
    model.set(name, select.value);
    model.save_changes();
  });
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
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const status = document.createElement("div");
      status.setAttribute("role", "status");
      const named = (kind, first) => () => [
        ["", first],
        ...model.get("devices").filter((one) => one.kind === kind && one.id).map((one, at) => [one.id, one.label || `${first} ${at + 1}`]),
      ];
      const cameras = named("videoinput", "Camera");
      const picture = chooser(model, "device", "Picture", () => [...cameras(), ["screen", "Screen or window"]]);
      const sound = chooser(model, "microphone", "Sound", named("audioinput", "Microphone"));
      const row = document.createElement("div");
      row.className = "recordkit-camera-row";
      row.append(picture.box, sound.box, button);
      el.append(video, row, status);
      const show = () => {
        const state = model.get("state");
        if (video.srcObject !== device.stream) video.srcObject = device.stream;
        video.hidden = !device.stream;
        button.textContent = device.stream ? "Turn off" : "Turn on";
        button.disabled = state === "sending";
        picture.select.disabled = sound.select.disabled = Boolean(device.stream);
        status.textContent = model.get("message") || { sending: "Being recorded", on: "On, not being recorded" }[state] || "Off";
        status.classList.toggle("recordkit-camera-failed", state === "failed");
        picture.fill();
        sound.fill();
      };
      button.addEventListener("click", async () => {
        try {
          if (device.stream) device.turnOff();
          else await device.turnOn();
        } catch (error) {
          device.tell("failed", error.name === "Error" ? error.message : words(error));
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
