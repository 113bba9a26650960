// One run of a pipeline with large state, of which a share changes between two checkpoints; then its last checkpoint is restored.
import { join } from "node:path";
import { fileSink } from "../../dist/connectors/file-sink.js";
import { fileSource } from "../../dist/connectors/file-source.js";
import { json } from "../../dist/model/codecs.js";
import { keyGroupCount } from "../../dist/model/keys.js";
import { value } from "../../dist/pipeline/declare-state.js";
import { pipeline } from "../../dist/pipeline/pipeline.js";
import { readRange } from "../../dist/runtime/cut.js";
import { detachedTask } from "../../dist/runtime/task.js";
import { restoreInto } from "../../dist/state/snapshot-reader.js";
import { keyName } from "../inputs.mjs";
import { measured, readArguments } from "./measured.mjs";
import { runToEnd } from "./run-to-end.mjs";

/** A gap between two records that is shorter is no pause: the session looks around every 20 ms. */
const pauseMsMin = 5;
const restores = 3;
const operator = "count";

const { input, folder, interval } = readArguments();
const gaps = { from: null, last: 0, sum: 0, longest: 0, records: 0 };

function look() {
  const now = performance.now();
  gaps.from ??= now;
  const gap = gaps.records === 0 ? 0 : now - gaps.last;
  gaps.last = now;
  gaps.records++;
  if (gap < pauseMsMin) return;
  gaps.sum += gap;
  gaps.longest = Math.max(gaps.longest, gap);
}

/** A line stands for many keys: what is measured is state, not JSON. */
function* keysOf({ from, to }) {
  for (let index = from; index < to; index++) yield index;
}

const { plan } = pipeline("checkpoints", { checkpoint: { interval } }, (flow) =>
  flow
    .from("ranges", fileSource({ path: "input", codec: json() }))
    .flatMap((range) => {
      look();
      return [...keysOf(range)];
    })
    .keyBy((index) => keyName(index))
    .process(operator, {
      state: { count: value(0), sum: value(0), seen: value() },
      onRecord(index, { key, state }) {
        const count = state.count.get() + 1;
        state.count.set(count);
        state.sum.set(state.sum.get() + (index % 1_000));
        state.seen.set({ first: index, name: `customer ${key}`, tags: ["a", "b"], average: index / count });
        return index === 0 ? { key, count } : undefined;
      },
    })
    .to("rows", fileSink({ folder: "output" })),
);

await measured(async () => {
  const cpuBefore = process.cpuUsage();
  const done = await runToEnd({ plan }, { folder, files: { input, output: join(folder, "parts") } });
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    records: done.records,
    /** Without the restores. */
    cpuMs: (user + system) / 1_000,
    checkpoints: done.acks.map(({ snapshot, figures }) => {
      const { kind, file } = newest(snapshot);
      const keys = file.slices.reduce((sum, slice) => sum + slice.keys, 0);
      return { kind, keys, bytes: file.body.size, lines: figures.recordsIn, ackMs: figures.ackedAt - figures.cutAt };
    }),
    runMs: gaps.last - gaps.from,
    pausesMs: gaps.sum,
    longestPauseMs: gaps.longest,
    restore: await restore(done.store, done.acks.at(-1).snapshot),
  };
});

function newest({ base, deltas }) {
  return deltas.length === 0 ? { kind: "base", file: base } : { kind: "delta", file: deltas.at(-1) };
}

async function restore(store, snapshot) {
  const runs = [];
  let keys = 0;
  for (let run = 0; run < restores; run++) {
    const { tables } = detachedTask(plan);
    const [cpuBefore, startedAt] = [process.cpuUsage(), performance.now()];
    await restoreInto(tables, snapshot, [0, keyGroupCount - 1], readRange(store), []);
    const { user, system } = process.cpuUsage(cpuBefore);
    runs.push({ ms: performance.now() - startedAt, cpuMs: (user + system) / 1_000 });
    keys = tables.find((table) => table.operator === operator).keys;
  }
  const files = [snapshot.base, ...snapshot.deltas].filter((file) => file !== null);
  return { keys, files: files.length, bytes: files.reduce((sum, file) => sum + file.body.size, 0), runs };
}
