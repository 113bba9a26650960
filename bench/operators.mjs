#!/usr/bin/env node
/**
 * Per-record work of a task (decode, keyBy, process with three value states, held sink, a cut each 100,000 records)
 * beside a plain loop that does the same work with a Map, in the same run. What counts is the ratio: machines are noisy.
 *
 *   npm run bench                     a table
 *   npm run bench -- --json           one JSON object
 *   npm run bench -- --records 500000
 */
import { parseArgs } from "node:util";
import { dynamoTable, json, kinesisSource, pipeline, value } from "../dist/index.js";
import { encodeHeldRows } from "../dist/runtime/held-bodies.js";
import { Task } from "../dist/runtime/task.js";
import { encodeSnapshot } from "../dist/state/snapshot-writer.js";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const records = Number(values.records);
const rounds = Number(values.rounds);
const cutEvery = 100_000;
const keys = 400;

const flights = pipeline("bench", {}, (flow) =>
  flow
    .from("flights", kinesisSource({ stream: "flights", codec: json(), start: "trim-horizon" }))
    .keyBy((flight) => flight.origin)
    .process("punctuality", {
      state: { flights: value(0), late: value(0), minutes: value(0) },
      onRecord(flight, { key, state }) {
        state.flights.update((n) => n + 1);
        if (flight.delay > 15) state.late.update((n) => n + 1);
        state.minutes.update((sum) => sum + flight.delay);
        return { airport: key, flights: state.flights.get(), late: state.late.get(), minutes: state.minutes.get() };
      },
    })
    .to("airports", dynamoTable({ table: "airports", key: ["airport"] })),
);

const bodies = Array.from({ length: keys * 25 }, (_, i) =>
  Buffer.from(JSON.stringify({ origin: `K${(i * 7919) % keys}`, destination: "JFK", delay: (i * 31) % 60 })),
);
const decoder = new TextDecoder();

function plainLoop() {
  const state = new Map();
  const output = new Map();
  let bytes = 0;
  for (let i = 0; i < records; i++) {
    const flight = JSON.parse(decoder.decode(bodies[i % bodies.length]));
    let entry = state.get(flight.origin);
    if (entry === undefined) {
      entry = { flights: 0, late: 0, minutes: 0 };
      state.set(flight.origin, entry);
    }
    entry.flights++;
    if (flight.delay > 15) entry.late++;
    entry.minutes += flight.delay;
    output.set(flight.origin, {
      airport: flight.origin,
      flights: entry.flights,
      late: entry.late,
      minutes: entry.minutes,
    });
    if ((i + 1) % cutEvery === 0) {
      bytes += JSON.stringify([...state]).length + JSON.stringify([...output.values()]).length;
      output.clear();
    }
  }
  return { sum: [...state.values()].reduce((total, entry) => total + entry.flights, 0), bytes };
}

function tidemarkTask() {
  const task = new Task(flights.plan);
  const source = flights.plan.sources.get("flights");
  let bytes = 0;
  let held = 0;
  for (let i = 0; i < records; i++) {
    const position = {
      source: "flights",
      shard: "shardId-000000000000",
      sequenceNumber: "49590338271490256608559692538361571095921575989136588898",
    };
    task.take(source.decode(bodies[i % bodies.length]), position);
    if ((i + 1) % cutEvery === 0) {
      for (const slice of encodeSnapshot(task.tables, { kind: "delta" }).slices) bytes += slice.bytes.length;
      for (const sink of task.sinks.values()) {
        const rows = sink.take();
        held += rows.length;
        bytes += encodeHeldRows(rows).length;
      }
    }
  }
  return { sum: task.recordsIn, bytes, held };
}

function time(run) {
  const from = process.hrtime.bigint();
  const result = run();
  return { seconds: Number(process.hrtime.bigint() - from) / 1e9, result };
}

const results = [];
for (let round = 0; round < rounds; round++) {
  const plain = time(plainLoop);
  const task = time(tidemarkTask);
  if (plain.result.sum !== task.result.sum)
    throw new Error(`the two counted differently: ${plain.result.sum}, ${task.result.sum}`);
  results.push({
    plainPerSecond: records / plain.seconds,
    taskPerSecond: records / task.seconds,
    ratio: task.seconds / plain.seconds,
  });
}
results.sort((a, b) => a.ratio - b.ratio);
const median = results[Math.floor(results.length / 2)];
if (values.json)
  process.stdout.write(
    `${JSON.stringify({ records, rounds, ...median, ratios: results.map((result) => result.ratio) })}\n`,
  );
else {
  process.stdout.write(`${records.toLocaleString("en-US")} records, median of ${rounds} rounds\n`);
  process.stdout.write(
    `plain loop     ${Math.round(median.plainPerSecond).toLocaleString("en-US").padStart(12)} records/s\n`,
  );
  process.stdout.write(
    `tidemark task  ${Math.round(median.taskPerSecond).toLocaleString("en-US").padStart(12)} records/s\n`,
  );
  process.stdout.write(
    `ratio          ${median.ratio.toFixed(2).padStart(12)} (time of the task / time of the loop)\n`,
  );
}
