// What the benchmarks read: files of lines, the same for the same number of records.
import { createHash } from "node:crypto";
import { closeSync, createReadStream, openSync, writeSync } from "node:fs";

const pieceLength = 1 << 20;
/** Of k1. Every fourth record brings a new one until they are all there. */
export const keysMax = 500_000;

/** Lines into a file, in pieces. @param {Iterable<string>} lines */
export function writeLines(path, lines) {
  const file = openSync(path, "w");
  try {
    let text = "";
    for (const line of lines) {
      text += `${line}\n`;
      if (text.length < pieceLength) continue;
      writeSync(file, text);
      text = "";
    }
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
}

/** Departures in the shape of those of a real year: some airports have many, most delays are small, every fiftieth was cancelled. */
export function* flightLines(records) {
  const random = seeded(0x666c);
  const names = Array.from({ length: airportsCount }, (_, index) => airportName(index));
  const airport = () => names[Math.floor(random() ** 2 * airportsCount)];
  for (let index = 0; index < records; index++) {
    const delay = random() < 0.02 ? null : Math.round(-12 - 15 * Math.log(random()) * (random() < 0.2 ? 3 : 1));
    const distance = 60 + Math.floor(random() * 2_400);
    yield JSON.stringify({ date: dateOf(index), delay, distance, origin: airport(), destination: airport() });
  }
}

const airportsCount = 230;

const airportName = (index) => {
  const scattered = (index * 7_919 + 4_000) % 17_576;
  return [scattered / 676, (scattered / 26) % 26, scattered % 26]
    .map((letter) => String.fromCharCode(65 + Math.floor(letter)))
    .join("");
};

const firstDeparture = Date.UTC(2001, 0, 1);
/** Three million departures a year. */
const departureMs = 10_500;

const dateOf = (index) =>
  new Date(firstDeparture + index * departureMs).toISOString().slice(0, 16).replace("T", " ").replaceAll("-", "/");

/** Every fourth record brings a new key, the others draw one of those so far. */
export function* keyedLines(records) {
  const random = seeded(0x7461);
  const firstTs = Date.UTC(2025, 0, 1);
  let keys = 0;
  for (let index = 0; index < records; index++) {
    const isNew = index % 4 === 0 && keys < keysMax;
    const key = isNew ? keys++ : Math.floor(random() * keys);
    const value = Math.floor(random() * 1_000_000) / 100;
    yield JSON.stringify({ key: keyName(key), value, ts: firstTs + index * 3 });
  }
}

/** Scattered, and all different: an odd factor permutes the numbers of 32 bits. */
export const keyName = (index) => `k${(Math.imul(index, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0")}`;

/** mulberry32: the same numbers on every machine. @returns {() => number} from 0 to 1 */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** @returns {Promise<string>} SHA-256 of a file */
export async function hashOf(path) {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: pieceLength })) hash.update(bytes);
  return hash.digest("hex");
}
