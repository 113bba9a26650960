#!/usr/bin/env node
/**
 * Decoding alone, of lines such as {"date":"2001/01/01 01:10","delay":14,"distance":405,"origin":"BUR","destination":"OAK"}:
 * two fields of five by `json().fields()`, and whole ones by `json()`, beside JSON.parse, in blocks of about 1 MiB and record by
 * record. CPU time, in turns; what counts is the median of their ratios: machines are noisy.
 *
 *   npm run build && node bench/decode.mjs     a table
 *   node bench/decode.mjs --json               one JSON object
 *   node bench/decode.mjs --pairs 9 --rounds 40
 */
import { parseArgs } from "node:util";
import { json } from "../dist/model/codecs.js";
import { lineDecoder } from "../dist/model/lines.js";

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "5" },
    rounds: { type: "string", default: "40" },
    json: { type: "boolean", default: false },
  },
});
const pairs = Number(values.pairs);
const rounds = Number(values.rounds);
const lines = 11_500;
const airports = ["BUR", "OAK", "LAX", "SFO", "JFK", "ORD", "DEN", "ATL", "SEA", "PHX", "ABQ", "MCI", "TUS", "SAN"];

/** Flights, their delays as uneven as those of a real year; every fiftieth was cancelled. */
function flight(index, names) {
  const two = (number) => String(number).padStart(2, "0");
  const day = index % 365;
  return JSON.stringify({
    date: `2001/${two(1 + (day % 12))}/${two(1 + (day % 28))} ${two(index % 24)}:${two((index * 7) % 60)}`,
    delay: index % 50 === 0 ? null : ((index * 7919) % 211) - 30,
    distance: 60 + ((index * 104729) % 2400),
    origin: names[index % names.length],
    destination: names[(index * 5 + 3) % names.length],
  });
}

function inputOf(names) {
  const bodies = Array.from({ length: lines }, (_, index) => Buffer.from(flight(index, names)));
  const text = new TextDecoder().decode(Buffer.concat(bodies.flatMap((body) => [body, Buffer.from("\n")])));
  const places = [];
  for (let from = 0; from < text.length; ) {
    const to = text.indexOf("\n", from);
    places.push(from, to);
    from = to + 1;
  }
  return { bodies, text, places: Int32Array.from(places) };
}

const parsing = { block: (text) => (from, to) => JSON.parse(text.slice(from, to)) };
const whole = lineDecoder(json());
const reading = lineDecoder(json().fields("delay", "origin"));
const utf8 = new TextDecoder("utf-8", { fatal: true });
const parseBytes = (body) => JSON.parse(utf8.decode(body));
const decodeAll = json().decode;
const decodeFields = json().fields("delay", "origin").decode;

const decoderOf = (input) => (decoder) => () => {
  const { text, places } = input;
  const decode = decoder.block(text);
  let sum = 0;
  for (let index = 0; index < places.length; index += 2) {
    const row = decode(places[index], places[index + 1]);
    sum += row.delay + row.origin.length;
  }
  return sum;
};
const recordsOf = (input) => (decode) => () => {
  let sum = 0;
  for (const body of input.bodies) {
    const row = decode(body);
    sum += row.delay + row.origin.length;
  }
  return sum;
};

/** Nanoseconds of CPU a record. */
function cpu(run) {
  const from = process.cpuUsage();
  let sum = 0;
  for (let round = 0; round < rounds; round++) sum += run();
  const { user, system } = process.cpuUsage(from);
  return { ns: ((user + system) * 1000) / rounds / lines, sum };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

function compare(name, parse, whole, fields) {
  for (let round = 0; round < 10; round++) {
    parse();
    whole();
    fields();
  }
  const found = Array.from({ length: pairs }, () => ({ parse: cpu(parse), whole: cpu(whole), fields: cpu(fields) }));
  for (const one of found)
    if (one.parse.sum !== one.fields.sum || one.parse.sum !== one.whole.sum)
      throw new Error(`${name}: they read differently`);
  return {
    name,
    parseNs: median(found.map((one) => one.parse.ns)),
    wholeNs: median(found.map((one) => one.whole.ns)),
    fieldsNs: median(found.map((one) => one.fields.ns)),
    ratio: median(found.map((one) => one.parse.ns / one.fields.ns)),
    ratios: found.map((one) => one.parse.ns / one.fields.ns),
  };
}

const ascii = inputOf(airports);
const foreign = inputOf(airports.map((name, index) => (index % 3 === 0 ? `${name} Zürich–Ost` : name)));
const results = [
  compare("lines of a block", decoderOf(ascii)(parsing), decoderOf(ascii)(whole), decoderOf(ascii)(reading)),
  compare("decode(bytes)", recordsOf(ascii)(parseBytes), recordsOf(ascii)(decodeAll), recordsOf(ascii)(decodeFields)),
  compare("lines, not ASCII", decoderOf(foreign)(parsing), decoderOf(foreign)(whole), decoderOf(foreign)(reading)),
  compare(
    "bytes, not ASCII",
    recordsOf(foreign)(parseBytes),
    recordsOf(foreign)(decodeAll),
    recordsOf(foreign)(decodeFields),
  ),
];
if (values.json) process.stdout.write(`${JSON.stringify({ records: lines, rounds, pairs, results })}\n`);
else {
  process.stdout.write(`ns of CPU a record, median of ${pairs} pairs\n`);
  const head = ["JSON.parse", "json()", "fields", "ratio"].map((cell) => cell.padStart(12));
  process.stdout.write(`${"".padEnd(18)}${head.join("")}\n`);
  for (const { name, parseNs, wholeNs, fieldsNs, ratio } of results) {
    const figures = [parseNs.toFixed(0), wholeNs.toFixed(0), fieldsNs.toFixed(0), ratio.toFixed(2)];
    const cells = figures.map((cell) => cell.padStart(12));
    process.stdout.write(`${name.padEnd(18)}${cells.join("")}\n`);
  }
}
