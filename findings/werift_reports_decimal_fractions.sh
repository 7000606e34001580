#!/usr/bin/env bash
# The lower half of an NTP time is a binary fraction: 2^31 is half a second (RFC 3550, 4). werift puts the decimal digits
# of the second there, as many as the clock happens to give: the time of day in its sender reports lies within 2.5 ms
# of a full second, whatever it is, and is up to a second wrong, otherwise for audio than for video. Receivers that
# align the two by those reports are off by as much. Seen with werift 0.25.2.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" werift@0.25.2 > /dev/null
cd "$folder"
node - <<'JS'
const { ntpTime } = require(`${process.cwd()}/node_modules/werift/lib/webrtc/src/utils.js`);
const { version } = require(`${process.cwd()}/node_modules/werift/package.json`);

const times = [];
for (let at = 0; at < 200; at++) {
  const end = performance.now() + 5;
  while (performance.now() < end);
  const within = ((performance.timeOrigin + performance.now()) % 1000) / 1000;
  times.push([within, Number(ntpTime() & 0xffffffffn) / 2 ** 32]);
}
const wrong = times.filter(([within, told]) => within > 0.1 && told < 0.0025).length;
const late = times.filter(([within]) => within > 0.1).length;
const [within, told] = times.find(([within]) => within > 0.5);
console.log(`werift ${version}: ${within.toFixed(3)} s into a second it tells ${told.toFixed(4)} s; ${wrong} of ${late}`);
process.exit(wrong === late ? 0 : 1);
JS
