// The level of the audio that is heard, drawn beside it and not in its way: it reads a copy.

const METER_DB = 60; // from silence to full

class Meter {
  constructor(view) {
    this.view = view;
    this.level = 0;
    this.box = made("div", "recordkit-player-meter", { title: "Level of the audio" }, made("i"));
    this.box.setAttribute("role", "meter");
    this.box.setAttribute("aria-label", "Level of the audio");
    this.box.setAttribute("aria-valuemax", "1");
  }

  listen() {
    const { video, withAudio } = this.view.first;
    if (this.analyser || !video.captureStream || !withAudio) return;
    if (navigator.userActivation?.hasBeenActive === false) {
      // Before the first click on a page its browser lets nothing be heard, nor measured.
      if (!this.awaited) document.addEventListener("pointerup", (this.awaited = () => this.view.isPlaying && this.listen()), { once: true });
      return;
    }
    const audio = (this.audio ??= new AudioContext());
    audio.resume().catch(() => {});
    const stream = video.captureStream();
    if (!stream.getAudioTracks().length) {
      stream.addEventListener("addtrack", () => this.listen(), { once: true });
      return;
    }
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 1024;
    audio.createMediaStreamSource(stream).connect(this.analyser);
    const samples = new Float32Array(this.analyser.fftSize);
    const draw = () => {
      if (this.view.isClosed) return;
      this.analyser.getFloatTimeDomainData(samples);
      const peak = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      this.draw(this.view.isPlaying && peak > 0 ? Math.max(0, 1 + (20 * Math.log10(peak)) / METER_DB) : 0);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  // Up at once, and slowly down, so that an eye can follow.
  draw(level) {
    this.level = Math.max(level, this.level - 0.02);
    this.box.firstChild.style.width = `${(this.level * 100).toFixed(1)}%`;
    this.box.dataset.loud = this.level > 0.98 ? "yes" : "no";
    this.box.setAttribute("aria-valuenow", this.level.toFixed(2));
  }

  close() {
    this.audio?.close();
    document.removeEventListener("pointerup", this.awaited);
  }
}
