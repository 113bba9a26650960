// runPipeline with every kind of source, step and sink, crashed on the way.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { fileSink } from "../../lib/connectors/file-sink.js";
import { fileSource } from "../../lib/connectors/file-source.js";
import { dynamoTable, json, kinesisSource, pipeline, text, value } from "../../lib/index.js";
import { deleted } from "../../lib/pipeline/deletion.js";
import type { HeldSink } from "../../lib/pipeline/sink.js";
import { runPipeline } from "../../lib/testing/run/run-pipeline.js";

interface Item {
  readonly id: string;
  readonly n: number;
}

const items: readonly Item[] = Array.from({ length: 40 }, (_, n) => ({ id: `id-${n % 5}`, n }));
const seeds = [1, 2, 3, 4, 5, 6];
const source = kinesisSource({ stream: "items", codec: json<Item>() });
const sums = ["id-0", "id-1", "id-2", "id-3", "id-4"].map((id) => ({
  id,
  sum: items.filter((item) => item.id === id).reduce((sum, { n }) => sum + n, 0),
}));

describe("runPipeline", () => {
  it.each(seeds)("shows the lines of files, those of complete checkpoints alone (seed %i)", async (seed) => {
    const files = pipeline("files", {}, (flow) =>
      flow.from("items", source).to("lines", fileSink<Item>({ folder: "out" })),
    );
    const { sinks, crashes } = await runPipeline(files, { items }, { crashes: 4, seed });
    expect(sinks.lines).toEqual(items);
    expect(crashes).toBe(4);
  });

  it.each(seeds)("feeds files line by line (seed %i)", async (seed) => {
    const lines = pipeline("lines", {}, (flow) =>
      flow
        .from("in", fileSource({ path: "in.txt", codec: text }))
        .keyBy((line) => line.slice(0, 1))
        .process("count", {
          state: { lines: value(0) },
          onRecord(_, { key, state }) {
            state.lines.update((n) => n + 1);
            return { letter: key, lines: state.lines.get() };
          },
        })
        .to("letters", dynamoTable({ table: "letters", key: ["letter"] })),
    );
    const input = Array.from({ length: 60 }, (_, n) => `${"abc"[n % 3]}${"x".repeat(n)}`);
    const run = await runPipeline(lines, { in: input }, { crashes: 3, seed });
    expect(run.sinks.letters).toEqual(["a", "b", "c"].map((letter) => ({ letter, lines: 20 })));
    expect(run.crashes).toBe(3);
    expect(run.checkpoints).toBeGreaterThan(1);
  });

  it.each(seeds)("shows what is written at once, and leaves out what is deleted (seed %i)", async (seed) => {
    const eager = pipeline("eager", {}, (flow) =>
      flow
        .from("items", source)
        .keyBy(({ id }) => id)
        .process("sum", {
          state: { sum: value(0) },
          onRecord({ n }, { key, state }) {
            state.sum.update((sum) => sum + n);
            return n === 38 ? deleted({ id: key }) : { id: key, sum: state.sum.get() };
          },
        })
        .to("sums", dynamoTable({ table: "sums", key: ["id"], delivery: "eager", stableKeys: true })),
    );
    const { sinks } = await runPipeline(eager, { items }, { crashes: 4, seed });
    expect(sinks.sums).toEqual(sums.filter(({ id }) => id !== "id-3"));
  });

  it.each([1, 2])("awaits calls that take real time, and times out those that never answer (seed %i)", async (seed) => {
    let stuck = 0;
    const calls = pipeline("calls", {}, (flow) =>
      flow
        .from("items", source)
        .mapAsync("look-up", { concurrency: 4, timeout: "5s" }, async (item, signal) => {
          if (item.n === 7 && stuck++ === 0)
            await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          await delay(1);
          return { id: `${item.id}-${item.n}`, n: item.n };
        })
        .to("out", dynamoTable({ table: "out", key: ["id"] })),
    );
    const run = await runPipeline(calls, { items: items.slice(0, 20) }, { seed, crashes: seed % 2 });
    expect(run.sinks.out.map(({ n }) => n).sort((a, b) => a - b)).toEqual(items.slice(0, 20).map(({ n }) => n));
    expect(run.restarts).toBeGreaterThan(0);
  });

  it.each(seeds)("shows records that were put aside (seed %i)", async (seed) => {
    const deadLetters = dynamoTable({ table: "dead", key: ["id"] });
    const careful = pipeline("careful", { onBadRecord: "quarantine", deadLetters }, (flow) =>
      flow
        .from("items", source)
        .keyBy(({ id }) => id)
        .process("sum", {
          state: { sum: value(0) },
          onRecord({ n }, { key, state }) {
            state.sum.update((sum) => sum + n);
            if (n % 10 === 3) throw new Error("not this one");
            return { id: key, sum: state.sum.get() };
          },
        })
        .to("sums", dynamoTable({ table: "sums", key: ["id"] })),
    );
    const run = await runPipeline(careful, { items }, { crashes: 3, seed });
    expect(run.deadLetters).toHaveLength(4);
    expect(run.deadLetters[0]?.cause).toContain("not this one");
    expect(run.sinks.sums).toEqual(
      sums.map(({ id, sum }) => ({ id, sum: id === "id-3" ? sum - 3 - 13 - 23 - 33 : sum })),
    );
  });

  it("shows a sink of one's own as it is told to", async () => {
    const written = new Map<string, unknown>();
    const own: HeldSink<Item> = {
      kind: "own",
      delivery: "held",
      config: {},
      keyOf: ({ id }) => id,
      open: () => ({
        target: "memory",
        check: async () => undefined,
        close: async () => undefined,
        validate: () => undefined,
        apply: async (_target, writes) => {
          for (const { key, row } of writes) written.set(key, row);
        },
      }),
    };
    const mine = pipeline("mine", {}, (flow) => flow.from("items", source).to("own", own));
    await expect(runPipeline(mine, { items })).rejects.toThrow(/sink "own" is of kind "own"/);
    const { sinks } = await runPipeline(mine, { items }, { seen: { own: () => [...written.values()] }, crashes: 2 });
    expect(sinks.own.map(({ n }) => n).sort()).toEqual([35, 36, 37, 38, 39]);
  });
});
