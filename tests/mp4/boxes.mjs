// What mp4box.js finds in MP4 files: node boxes.mjs LIBRARY FILE... prints a line of JSON for each file.
import { readFileSync } from "node:fs";

const [library, ...paths] = process.argv.slice(2);
const { createFile, Log } = await import(library);
Log.setLogLevel(4);
for (const path of paths) {
  const file = createFile(true);
  const faults = [];
  let movie = null;
  file.onReady = (info) => (movie = info);
  file.onError = (...words) => faults.push(words.join(" "));
  const bytes = readFileSync(path);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  data.fileStart = 0;
  file.appendBuffer(data, true);
  file.flush();
  const tracks = (movie?.tracks ?? []).map((track) => ({
    codec: track.codec,
    rate: track.timescale,
    samples: file.getTrackSamplesInfo(track.id).map((one) => [one.size, one.dts, one.cts, one.is_sync]),
  }));
  const duration_s = movie ? movie.duration / movie.timescale : null;
  const boxes = file.boxes.map((box) => box.type);
  console.log(JSON.stringify({ faults, fragmented: movie?.isFragmented, duration_s, boxes, tracks }));
}
