import { describe, expect, it } from "vitest";
import { storeBody } from "../../lib/checkpoint/bodies.js";
import type { LogCommittable } from "../../lib/model/checkpoints.js";
import { StreamError } from "../../lib/model/errors.js";
import { checkpointId, generation, millis, taskId } from "../../lib/model/ids.js";
import type { Segment, Sink } from "../../lib/pipeline/sink.js";
import { writeAheadLog } from "../../lib/pipeline/write-ahead-log.js";
import { type CommitContext, commitCovered } from "../../lib/runtime/commit.js";
import { LogRowEncoder, logBody } from "../../lib/runtime/log-bodies.js";
import { closeWriters, openWriter } from "../../lib/runtime/writers.js";
import { permitFor } from "../../lib/testing/conformance/sink-permits.js";
import { incarnation } from "./checkpoint-samples.js";
import { memoryStore, quickClock } from "./checkpoint-worlds.js";
import { sinkResources } from "./sink-samples.js";

type Applied = readonly [target: string, id: string, rows: readonly unknown[]];

/** A log sink "out" that remembers what is applied, and committables for it. */
function world(apply: (segment: Segment<unknown>) => void = () => {}) {
  const { store, bucket } = memoryStore();
  const applied: Applied[] = [];
  const sink = writeAheadLog<unknown>({
    kind: "log",
    target: { kind: "database", name: "orders" },
    open: ({ target }) => ({
      async apply(segment) {
        apply(segment);
        applied.push([target, segment.token.id, segment.rows]);
      },
    }),
  });
  const writers = new Map([["out", openWriter(sink as Sink<never>, sinkResources({ clock: store.clock }))]]);
  const context: CommitContext = { store, incarnation, writers };
  const encoder = new LogRowEncoder();
  const prepare = async (
    checkpoint: number,
    segments: readonly (readonly unknown[])[],
    over: Partial<LogCommittable> = {},
  ): Promise<LogCommittable> => ({
    sink: "out",
    target: "acme-orders",
    kind: "log",
    generation: generation(1),
    epoch: checkpointId(checkpoint - 1),
    checkpointId: checkpointId(checkpoint),
    task: taskId(0, 0),
    index: 0,
    segments: await Promise.all(
      segments.map(async (rows, chunk) => ({
        body: await storeBody(
          store.blobs,
          `log ${checkpoint} ${chunk}`,
          logBody(rows.map((row) => encoder.encode(row))),
        ),
        records: rows.length,
      })),
    ),
    records: segments.flat().length,
    ...over,
  });
  return { store, bucket, context, applied, prepare };
}

describe("C5 segments of a log", () => {
  it("C2 are applied in the order of checkpoint, index and chunk, where the permit covers them", async () => {
    const { context, applied, prepare } = world();
    const list = [await prepare(3, [["c"]]), await prepare(1, [["a1"], ["a2"]]), await prepare(2, [["b"]])];
    expect(await commitCovered(context, permitFor(2), list)).toEqual([list[1], list[2]]);
    expect(applied.map(([target, , rows]) => [target, rows])).toEqual([
      ["acme-orders", ["a1"]],
      ["acme-orders", ["a2"]],
      ["acme-orders", ["b"]],
    ]);
  });

  it("C5 have the token of their preparation, whoever commits them", async () => {
    const { context, applied, prepare } = world();
    const other = { generation: generation(12), task: taskId(2, 1) };
    await commitCovered(context, permitFor(42), [await prepare(42, [["a"], ["b"]], other)]);
    const lane = `out-${incarnation}-00000012-2.1`;
    expect(applied.map(([, id]) => id)).toEqual([`${lane}-000000000042-000000`, `${lane}-000000000042-000001`]);
  });

  it("C2 go to the target that they were prepared for, though the binding has changed", async () => {
    const { context, applied, prepare } = world();
    await commitCovered(context, permitFor(2), [
      await prepare(1, [["a"]], { target: "old" }),
      await prepare(2, [["b"]]),
    ]);
    expect(applied.map(([target, , rows]) => [target, rows])).toEqual([
      ["old", ["a"]],
      ["acme-orders", ["b"]],
    ]);
  });

  it("are tried again where the failure may pass, and nothing behind one that fails is applied", async () => {
    let calls = 0;
    const { context, applied, prepare } = world(({ rows }) => {
      if (rows[0] === "b" && ++calls <= 3) throw new TypeError("fetch failed");
      if (rows[0] === "c") throw new StreamError("invalid", "the table is gone");
    });
    const list = [await prepare(1, [["a"], ["b"], ["c"], ["d"]])];
    await expect(commitCovered(context, permitFor(1), list)).rejects.toMatchObject({
      kind: "invalid",
      message: 'sink "out": log "acme-orders": apply: the table is gone',
    });
    expect(calls).toBe(4);
    expect(applied.map(([, , rows]) => rows)).toEqual([["a"], ["b"]]);
  });

  it("that fail for long fail the session, transient, with the cause", async () => {
    const { context, prepare, store } = world(() => {
      throw new TypeError("fetch failed");
    });
    const began = store.clock.now();
    const failing = commitCovered(context, permitFor(1), [await prepare(1, [["a"]])]);
    await expect(failing).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringContaining("fetch failed"),
    });
    expect(store.clock.now() - began).toBeGreaterThan(10_000);
  });

  it("P3 that are not what was written are never applied", async () => {
    const { context, applied, prepare, bucket } = world();
    const list = [await prepare(1, [["a"], ["x".repeat(100_000)], ["c"]])];
    bucket.corrupt("log 1 1", 50_000);
    await expect(commitCovered(context, permitFor(1), list)).rejects.toMatchObject({ kind: "corrupt" });
    expect(applied.map(([, , rows]) => rows)).toEqual([["a"]]);
  });
});

describe("N4 when a session ends", () => {
  const opened = (
    apply: (signal: AbortSignal) => Promise<void>,
    close: () => Promise<void>,
    clock = quickClock(),
  ): { readonly writers: Parameters<typeof closeWriters>[0]; readonly begin: () => Promise<void> } => {
    const sink = writeAheadLog<unknown>({
      kind: "log",
      open: ({ signal }) => ({ apply: () => apply(signal), close }),
    });
    const writer = openWriter(sink as Sink<never>, sinkResources({ clock }));
    if (writer.delivery !== "log") throw new Error("it is a log");
    const token = { sink: "out", lane: "l", checkpoint: 1, chunk: 0, position: "p", id: "i" };
    const begin = () => writer.writer.apply("log", { token, rows: [1] }, permitFor(1));
    return { writers: new Map([["out", writer]]), begin };
  };

  it("N4 what is under way is told by its signal, and awaited; then what was opened is closed; then nothing begins", async () => {
    const told: string[] = [];
    const { writers, begin } = opened(
      (signal) =>
        new Promise((resolve, reject) => {
          told.push("applying");
          signal.addEventListener("abort", () => {
            setTimeout(() => {
              told.push("aborted");
              reject(signal.reason);
              resolve();
            }, 5);
          });
        }),
      async () => void told.push("closed"),
    );
    const applying = begin().catch((error: unknown) => error);
    const clock = { ...quickClock(), sleep: () => new Promise<void>(() => {}) };
    await closeWriters(writers, clock, millis(clock.now() + 60_000), () => {});
    expect(told).toEqual(["applying", "aborted", "closed"]);
    expect(await applying).toMatchObject({ kind: "fenced" });
    await expect(begin()).rejects.toMatchObject({ kind: "fenced" });
    expect(told).toHaveLength(3);
  });

  it("N4 a sink that does not come to its end is not waited for beyond half of what is left", async () => {
    const logged: unknown[] = [];
    const slept: number[] = [];
    const clock = quickClock();
    const watched = {
      ...clock,
      sleep: (length: number, signal?: AbortSignal) => {
        slept.push(length);
        return clock.sleep(length, signal);
      },
    };
    const { writers, begin } = opened(
      () => new Promise(() => {}),
      async () => {},
    );
    void begin();
    await closeWriters(writers, watched, millis(clock.now() + 3_000), (event) => void logged.push(event));
    await closeWriters(writers, watched, millis(clock.now() - 1), (event) => void logged.push(event));
    expect(slept).toEqual([1_500, 0]);
    expect(logged).toEqual([
      { event: "not closed", sink: "out" },
      { event: "not closed", sink: "out" },
    ]);
  });

  it("N4 one that cannot close ends no session: its log says so", async () => {
    const logged: unknown[] = [];
    const { writers, begin } = opened(
      async () => {},
      async () => {
        throw new Error("socket hang up");
      },
    );
    await begin();
    const clock = { ...quickClock(), sleep: () => new Promise<void>(() => {}) };
    await closeWriters(writers, clock, millis(clock.now() + 60_000), (event) => void logged.push(event));
    expect(logged).toEqual([{ event: "close failed", sink: "out", message: "socket hang up" }]);
  });
});
