#!/usr/bin/env node
/**
 * Keyed state by itself: 500,000 keys with one counter each. What a record costs, what a snapshot costs with 1 %, 10 % and
 * 100 % of the keys dirty, and what a restore costs. A pause is the time that records wait: the cut, and each step after it.
 *
 *   npm run build && node bench/state.mjs           a table
 *   npm run build && node bench/state.mjs --json    one JSON object
 */
import { parseArgs } from "node:util";
import { restoreInto } from "../dist/state/snapshot-reader.js";
import { beginSnapshot, finishSnapshot } from "../dist/state/snapshot-writer.js";
import { createStateTable } from "../dist/state/table.js";

const { values } = parseArgs({
  options: { keys: { type: "string", default: "500000" }, json: { type: "boolean", default: false } },
});
const keyCount = Number(values.keys);
const rounds = 5;
const turn = () => new Promise((resolve) => setImmediate(resolve));
const keys = Array.from({ length: keyCount }, (_, i) => `flight-${i}`);
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/** Keys in an order that has nothing to do with how they lie in memory. */
function* draws(count) {
  for (let i = 0, state = 12_345; i < count; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    yield keys[(state >>> 8) % keyCount];
  }
}

const newTable = () => createStateTable("count", 1, { flights: { kind: "value", initial: 0 } });

function cpuNanoseconds(records, work) {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return ((user + system) * 1_000) / records;
}

/** Processor time of a record beside that of a Map of numbers, with few keys (in the cache) and with all. */
function recordCosts() {
  const few = keys.slice(0, 1_000);
  const all = [...draws(keyCount)];
  const tablePass = (table, chosen, journaled) => {
    const { get, set } = table.accessors.flights;
    for (const key of chosen) {
      if (journaled) table.begin();
      table.enter(key);
      set(get() + 1);
    }
  };
  const mapPass = (map, chosen) => {
    for (const key of chosen) map.set(key, (map.get(key) ?? 0) + 1);
  };
  const found = { table: [], journaled: [], map: [], tableAllKeys: [], mapAllKeys: [] };
  for (let round = 0; round < rounds; round++) {
    const [table, large, map, largeMap] = [newTable(), newTable(), new Map(), new Map()];
    const repeat = (pass) => () => {
      for (let i = 0; i < 500; i++) pass();
    };
    found.map.push(
      cpuNanoseconds(
        500_000,
        repeat(() => mapPass(map, few)),
      ),
    );
    found.table.push(
      cpuNanoseconds(
        500_000,
        repeat(() => tablePass(table, few, false)),
      ),
    );
    found.journaled.push(
      cpuNanoseconds(
        500_000,
        repeat(() => tablePass(table, few, true)),
      ),
    );
    tablePass(large, keys, false);
    mapPass(largeMap, keys);
    found.mapAllKeys.push(cpuNanoseconds(keyCount, () => mapPass(largeMap, all)));
    found.tableAllKeys.push(cpuNanoseconds(keyCount, () => tablePass(large, all, false)));
  }
  return Object.fromEntries(Object.entries(found).map(([name, list]) => [name, Math.round(median(list))]));
}

/** One snapshot with `dirty` keys changed before it, and records between its steps. */
async function snapshot(table, kind, dirty) {
  const { get, set } = table.accessors.flights;
  const change = (chosen) => {
    for (const key of chosen) {
      table.enter(key);
      set(get() + 1);
    }
  };
  change(keys.filter((_, i) => (i * 7_919) % keyCount < dirty));
  // Processor time too: on a machine with other work a pause is longer than what is done in it.
  const pauses = [];
  const timed = (work) => {
    const [from, cpu] = [performance.now(), process.cpuUsage()];
    const result = work();
    const { user, system } = process.cpuUsage(cpu);
    pauses.push({ wall: performance.now() - from, cpu: (user + system) / 1_000 });
    return result;
  };
  const sumOf = (clock) => pauses.reduce((sum, pause) => sum + pause[clock], 0);
  const between = draws(keyCount);
  const underWay = timed(() => beginSnapshot([table], { kind }));
  while (!timed(() => underWay.step())) {
    change(Array.from({ length: 500 }, () => between.next().value ?? keys[0]));
    await turn();
  }
  const from = performance.now();
  const file = await finishSnapshot(underWay.encoded, { pause: turn });
  return {
    file,
    cutMs: pauses[0].wall,
    longestPauseMs: Math.max(...pauses.map(({ wall }) => wall)),
    longestPauseCpuMs: Math.max(...pauses.map(({ cpu }) => cpu)),
    pausesMs: sumOf("wall"),
    pausesCpuMs: sumOf("cpu"),
    steps: pauses.length - 1,
    finishMs: performance.now() - from,
    bytes: file.bytes.length,
    keys: file.slices.reduce((sum, slice) => sum + slice.keys, 0),
    slices: file.slices.length,
  };
}

async function restoreCost({ bytes, slices }) {
  const base = { format: 1, body: { kind: "object", key: "k", size: bytes.length }, slices };
  const times = [];
  for (let round = 0; round < 3; round++) {
    const from = process.cpuUsage();
    const read = async (_, [offset, length]) => bytes.subarray(offset, offset + length);
    await restoreInto([newTable()], { format: 1, base, deltas: [] }, [0, 127], read);
    const { user, system } = process.cpuUsage(from);
    times.push((user + system) / 1_000);
  }
  const ms = median(times);
  return { ms, nanosecondsPerKey: (ms * 1e6) / keyCount, msPer100Megabytes: (ms * 1e8) / bytes.length };
}

const table = newTable();
const figures = { keys: keyCount, recordNanoseconds: recordCosts(), snapshots: {} };
const first = await snapshot(table, "base", keyCount);
const restore = await restoreCost(first.file);
figures.snapshots["first, base"] = first;
for (const share of [0.01, 0.1, 1]) {
  const runs = [];
  for (let round = 0; round < rounds; round++) runs.push(await snapshot(table, "delta", Math.round(keyCount * share)));
  const of = (name) => median(runs.map((run) => run[name]));
  const names = Object.keys(runs[0]).filter((name) => name !== "file");
  figures.snapshots[`${share * 100} % dirty`] = Object.fromEntries(names.map((name) => [name, of(name)]));
}
figures.restore = restore;
delete first.file;

if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
else {
  console.log("CPU ns a record (enter, get, set; Map: get, set)");
  console.table(figures.recordNanoseconds);
  console.table(
    Object.fromEntries(
      Object.entries(figures.snapshots).map(([name, run]) => [
        name,
        Object.fromEntries(Object.entries(run).map(([figure, value]) => [figure, Math.round(value * 100) / 100])),
      ]),
    ),
  );
  console.log("restore, CPU");
  console.table(Object.fromEntries(Object.entries(restore).map(([name, value]) => [name, Math.round(value)])));
}
