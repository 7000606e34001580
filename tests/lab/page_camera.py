"""A camera in the page that flashes and beeps each second: the fake device's beep follows no picture."""

from pathlib import Path

import av
import numpy as np

PAGE_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const audio = new AudioContext();
  await audio.resume();
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const paper = canvas.getContext("2d");
  const speaker = audio.createMediaStreamDestination();
  const gain = new GainNode(audio, { gain: 0 });
  const tone = new OscillatorNode(audio, { frequency: 1000 });
  tone.connect(gain).connect(speaker);
  tone.start();
  for (let second = 1; second < 120; second++) {
    gain.gain.setValueAtTime(0.8, second);
    gain.gain.setValueAtTime(0, second + 0.1);
  }
  const draw = () => {
    const lit = audio.currentTime > 0.9 && audio.currentTime % 1 < 0.1;
    paper.fillStyle = lit ? "white" : "black";
    paper.fillRect(0, 0, 320, 240);
    paper.fillStyle = "gray";
    paper.fillRect((audio.currentTime * 100) % 320, 200, 10, 10);
  };
  setInterval(draw, 8);
  return new MediaStream([...canvas.captureStream(60).getTracks(), ...speaker.stream.getTracks()]);
};
"""


def flash_to_beep_s(path: Path, after_s: float = 0.0) -> list[float]:
    """For each flash after ``after_s`` how much later its beep comes, in seconds."""
    flashes: list[float] = []
    beeps: list[float] = []
    was_lit, quiet_s = True, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode():
            time_s = float(frame.pts * frame.time_base)
            if isinstance(frame, av.VideoFrame):
                is_lit = frame.to_ndarray()[: frame.height].mean() > 120
                if is_lit and not was_lit and time_s >= after_s:
                    flashes.append(time_s)
                was_lit = is_lit
            else:
                samples = np.abs(frame.to_ndarray()).reshape(-1, frame.samples).max(axis=0)
                for place in np.flatnonzero(samples > 0.2):
                    at_s = time_s + float(place) / frame.sample_rate
                    if at_s - quiet_s > 0.3:
                        beeps.append(at_s)
                    quiet_s = at_s
    return [nearest - flash for flash in flashes for nearest in [min(beeps, key=lambda one: abs(one - flash))]]
