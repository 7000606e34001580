// Publishes coded video and audio by libdatachannel, as OBS Studio does: its own payload types, sendonly, reports, and
// packets sent again where they are missed; no RTX, no header extensions.
//
//     node libdatachannel_client.cjs LIBRARY URL TOKEN MEDIA AUDIOS
//
// MEDIA is a file of JSON: "video" has access units at 30 a second, "audio" Opus of 20 ms each, in base64; the audio is
// sent AUDIOS times. It ends once all of it is sent.
const fs = require("fs");
const [library, url, token, path, audios] = process.argv.slice(2);
const { Audio, H264RtpPacketizer, PeerConnection, RtcpNackResponder, RtcpSrReporter, RtpPacketizationConfig, RtpPacketizer, Video } =
  require(library);

const TRIES = 3;
const CONNECT_MS = 10_000;
const LAST_PACKETS_MS = 500;
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" };
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function addTrack(peer, description, packetizer, config) {
  const track = peer.addTrack(description);
  const chain = new packetizer.kind(...packetizer.options, config);
  chain.addToChain(new RtcpSrReporter(config));
  chain.addToChain(new RtcpNackResponder());
  track.setMediaHandler(chain);
  return { track, config, first: config.timestamp };
}

function addVideo(peer) {
  const description = new Video("video", "SendOnly");
  description.addH264Codec(96);
  description.addSSRC(1, "obs", "obs", "video");
  const packetizer = { kind: H264RtpPacketizer, options: ["StartSequence"] };
  return addTrack(peer, description, packetizer, new RtpPacketizationConfig(1, "obs", 96, 90_000));
}

function addAudio(peer, number) {
  const description = new Audio(`audio-${number}`, "SendOnly");
  description.addOpusCodec(111);
  description.addSSRC(2 + number, "obs", "obs", `audio-${number}`);
  const packetizer = { kind: RtpPacketizer, options: [] };
  return addTrack(peer, description, packetizer, new RtpPacketizationConfig(2 + number, "obs", 111, 48_000));
}

async function connected() {
  const peer = new PeerConnection("publisher", { iceServers: [], disableAutoNegotiation: true });
  const tracks = { video: [addVideo(peer)], audio: [] };
  for (let number = 0; number < Number(audios); number++) tracks.audio.push(addAudio(peer, number));
  const gathered = new Promise((resolve) => peer.onGatheringStateChange((state) => state === "complete" && resolve()));
  const settled = new Promise((resolve) =>
    peer.onStateChange((state) => ["connected", "failed", "closed"].includes(state) && resolve(state)),
  );
  peer.setLocalDescription("offer");
  await gathered;
  const response = await fetch(url, { method: "POST", headers, body: peer.localDescription().sdp });
  const answer = await response.text();
  if (response.status !== 201) throw new Error(`${response.status}: ${answer}`);
  peer.setRemoteDescription(answer, "answer");
  const state = await Promise.race([settled, wait(CONNECT_MS)]);
  const all = [...tracks.video, ...tracks.audio];
  while (state === "connected" && !all.every((one) => one.track.isOpen())) await wait(5);
  return { peer, tracks, state, session: new URL(response.headers.get("location"), url) };
}

async function main() {
  let one;
  for (let tried = 0; tried < TRIES && one?.state !== "connected"; tried++) one = await connected();
  if (one.state !== "connected") throw new Error(`it does not connect: ${one.state}`);
  const media = JSON.parse(fs.readFileSync(path));
  const due = [
    ...media.video.map((data, number) => ({ kind: "video", at: (number * 1000) / 30, ticks: number * 3000, data })),
    ...media.audio.map((data, number) => ({ kind: "audio", at: number * 20, ticks: number * 960, data })),
  ].sort((left, right) => left.at - right.at);
  const began = performance.now();
  for (const { kind, at, ticks, data } of due) {
    await wait(Math.max(0, began + at - performance.now()));
    for (const { track, config, first } of one.tracks[kind]) {
      config.timestamp = (first + ticks) >>> 0;
      track.sendMessageBinary(Buffer.from(data, "base64"));
    }
  }
  await wait(LAST_PACKETS_MS);
  await fetch(one.session, { method: "DELETE", headers });
  one.peer.close();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
