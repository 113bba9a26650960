import { deleted, dynamoTable, StreamError } from "tidemark";
import { describe, expect, it } from "vitest";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { encodeVersion } from "../../lib/model/versions.js";
import type { EagerSink, EagerWriter, VersionedRow } from "../../lib/pipeline/sink.js";
import { EagerOutput } from "../../lib/runtime/eager-output.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { incarnation, task0 } from "./checkpoint-samples.js";
import { quickClock } from "./checkpoint-worlds.js";
import { sinkResources } from "./sink-samples.js";
import { build, type Stream, sink, source } from "./task-samples.js";

const loose = dynamoTable as unknown as (options: object) => EagerSink<unknown>;
const eager = (over: object = {}) => loose({ table: "t", key: ["id"], delivery: "eager", stableKeys: true, ...over });
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    if (error instanceof StreamError && error.kind === "invalid") return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("W3 the plan", () => {
  const behind = { state: {}, onRecord: (record: unknown) => record as never };
  it("W3 takes an eager sink right behind an operator with state, and nowhere else", () => {
    const sinkAfter = (make: (stream: Stream) => unknown) => build((flow) => void make(flow.from("in", source())));
    const keyed = (stream: Stream) => stream.keyBy(String).process("op", behind);
    expect(() => sinkAfter((stream) => keyed(stream).to("out", eager()))).not.toThrow();
    expect(() =>
      sinkAfter((stream) =>
        stream
          .keyBy(String)
          .reduce("op", (a) => a)
          .to("out", eager()),
      ),
    ).not.toThrow();
    const asking = { concurrency: 1, timeout: "1s" } as const;
    const wrong: readonly ((stream: Stream) => unknown)[] = [
      (stream) => stream.to("out", eager()),
      (stream) => stream.map(String).to("out", eager()),
      (stream) =>
        keyed(stream)
          .map((row) => row)
          .to("out", eager()),
      (stream) =>
        keyed(stream)
          .mapAsync("ask", asking, async (row) => row)
          .to("out", eager()),
    ];
    for (const make of wrong)
      expect(refusal(() => sinkAfter(make))).toMatch(/sink "out": writes at once .* it follows .*\(W3\)/);
  });

  it("W3 wants the user's word that keys are stable", () => {
    expect(refusal(() => eager({ stableKeys: undefined }))).toContain("say so with stableKeys: true");
    expect(refusal(() => eager({ stableKeys: false }))).toContain("say so with stableKeys: true");
    expect(refusal(() => eager({ delivery: "early" }))).toContain('it must be "held" or "eager"');
    expect(eager().config).toEqual({ table: "t", key: [{ name: "id", type: "string" }], delivery: "eager" });
    expect(loose({ table: "t", key: ["id"] }).config).not.toHaveProperty("delivery");
  });
});

/** An eager output, whose writes are answered when the test says so. */
function output(made: EagerSink<never> = eager()) {
  const puts: (readonly VersionedRow[])[] = [];
  const answers: { resolve(): void; reject(error: unknown): void }[] = [];
  const writer: EagerWriter = {
    target: "t",
    check: async () => undefined,
    close: async () => undefined,
    put: (rows) =>
      new Promise<void>((resolve, reject) => {
        puts.push(rows);
        answers.push({ resolve, reject });
      }),
  };
  let seq = 0;
  const versionOf = (epoch: ReturnType<typeof checkpointId>, n: number) =>
    encodeVersion({ incarnation, generation: generation(3), epoch, task: task0, seq: n });
  const out = new EagerOutput("out", made, writer, () => ++seq, { epoch: checkpointId(7), versionOf });
  /** Epoch and number as they lie in the version. */
  const shown = () =>
    puts.map((rows) =>
      rows.map(({ row, change, version }) => {
        const bytes = Buffer.from(version);
        return [row, change, bytes.readUIntBE(10, 6), bytes.readUIntBE(18, 6)];
      }),
    );
  return { out, puts, shown, answers };
}

describe("W3 eager rows", () => {
  it("W3 must have the operator's key, whatever form it has; also where they are deletions", () => {
    const { out } = output();
    out.add({ id: "a", n: 1 }, "a");
    out.add({ id: "b", n: 1 }, ["b"]);
    out.add(deleted({ id: "a" }), "a");
    for (const [row, key] of [
      [{ id: "a" }, "b"],
      [{ id: "a" }, undefined],
      [deleted({ id: "a" }), "b"],
    ] as const)
      expect(refusal(() => out.add(row, key))).toMatch(
        /^sink "out" writes at once, and its row has another key .*\(W3\)/,
      );
    expect(refusal(() => out.add({ id: "1" }, 1))).toContain("must be a string");
    expect(refusal(() => out.add({ id: "a" }, ["a", "b"]))).toContain("a key of another form (W3)");
    const pair = output(eager({ key: { at: "string", year: "number" } })).out;
    pair.add({ year: 2_001, at: "x" }, ["x", 2_001]);
    expect(() => pair.add({ year: 2_001, at: "x" }, ["x", 2_002])).toThrow("another key");
    expect(() => pair.add({ year: 2_001, at: "x" }, "x")).toThrow("another form");
    expect([out.rows, pair.rows]).toEqual([3, 1]);
  });

  it("W1 are written beside the records, newest per key, each with the epoch it came in; one write after the other", async () => {
    const { out, shown, answers } = output();
    for (const n of [1, 2]) out.add({ id: "a", n }, "a");
    out.add({ id: "b", n: 1 }, "b");
    expect(out.waiting).toBe(2);
    const first = out.flush();
    out.add({ id: "a", n: 3 }, "a");
    let cut: string | null = null;
    void out.cut(checkpointId(8)).then(() => {
      cut = "written";
    });
    out.add({ id: "a", n: 4 }, "a");
    await new Promise(setImmediate);
    expect(shown()).toEqual([
      [
        [{ id: "a", n: 2 }, "put", 7, 2],
        [{ id: "b", n: 1 }, "put", 7, 3],
      ],
    ]);
    answers[0]?.resolve();
    await first;
    await new Promise(setImmediate);
    expect(shown()[1]).toEqual([[{ id: "a", n: 3 }, "put", 7, 4]]);
    expect(cut).toBeNull();
    answers[1]?.resolve();
    await new Promise(setImmediate);
    expect(cut).toBe("written");
    void out.flush();
    await new Promise(setImmediate);
    expect(shown()[2]).toEqual([[{ id: "a", n: 4 }, "put", 8, 5]]);
  });

  it("B3 a write that fails is heard of at the cut, and everything behind it waits", async () => {
    const { out, puts, answers } = output();
    out.add({ id: "a" }, "a");
    const flushed = out.flush();
    out.add({ id: "b" }, "b");
    const cut = out.cut(checkpointId(8));
    await new Promise(setImmediate);
    answers[0]?.reject(new StreamError("transient", "busy"));
    await expect(flushed).rejects.toThrow("busy");
    await expect(cut).rejects.toThrow("busy");
    expect(puts).toHaveLength(1);
  });

  it("are taken back with their record, those before it not", async () => {
    const { out, puts } = output();
    out.mark();
    out.add({ id: "a", n: 1 }, "a");
    out.mark();
    out.add({ id: "a", n: 2 }, "a");
    out.add({ id: "b", n: 2 }, "b");
    out.rollback();
    expect(out.rows).toBe(1);
    void out.flush();
    await new Promise(setImmediate);
    expect(puts.flat().map(({ row }) => row)).toEqual([{ id: "a", n: 1 }]);
  });
});

describe("W4 deletions", () => {
  const version = (seq: number, of = 1) =>
    encodeVersion({ incarnation, generation: generation(of), epoch: checkpointId(1), task: task0, seq });
  const world = () => {
    const memory = memoryTables();
    memory.createTable("acme-t", [{ name: "id", type: "string" }]);
    const clock = quickClock();
    const opened = openWriter(eager() as never, sinkResources({ tables: memory.tables, clock }));
    if (opened.delivery !== "eager") throw new Error("it is not eager");
    const change = (kind: VersionedRow["change"], seq: number, row: object = { id: "a" }, of = 1) =>
      opened.writer.put([{ key: "a", row, change: kind, version: version(seq, of) }]);
    return { ...memory, clock, change, items: () => memory.items("acme-t") };
  };

  it("W4 leave a tombstone that expires a day later; a late put cannot bring the row back", async () => {
    const { change, items, clock } = world();
    await change("put", 1, { id: "a", n: 1 });
    await change("delete", 3);
    const tombstone = { id: "a", "~deleted": true, "~expires": Math.ceil(clock.now() / 1_000) + 86_400 };
    expect(items()).toEqual([tombstone]);
    await change("put", 2, { id: "a", n: 2 });
    await change("put", 9, { id: "a", n: 2 }, 0);
    expect(items()).toEqual([tombstone]);
    clock.pass(5_000_000);
    await change("delete", 3);
    expect(items()).toEqual([tombstone]);
  });

  it("W4 may be followed by another row of the key; of what was never written there is a tombstone, too", async () => {
    const { change, items } = world();
    await change("delete", 1);
    expect(items()).toMatchObject([{ "~deleted": true }]);
    await change("put", 2, { id: "a", n: 2 });
    expect(items()).toEqual([{ id: "a", n: 2 }]);
  });

  it("a row may not have an attribute of ours", async () => {
    const { change } = world();
    for (const name of ["~deleted", "~expires", "~tidemark"])
      await expect(change("put", 1, { id: "a", [name]: 1 })).rejects.toThrow(
        `a row has an attribute "${name}": that name is ours`,
      );
  });

  it("W4 W1 in a held sink too: the newest of a key is what counts, row or deletion", () => {
    const task = build((flow) =>
      flow
        .from("in", source())
        .map((record) => (record.endsWith("-") ? deleted({ id: record[0] ?? "" }) : { id: record[0] ?? "", record }))
        .to("out", dynamoTable({ table: "t", key: ["id"] })),
    );
    const view = {
      source: "in",
      shard: "s",
      sequenceNumber: "1",
      subSequenceNumber: null,
      arrivedAt: null,
      data: new Uint8Array(),
    };
    for (const record of ["a1", "a-", "b-", "b2", "c-"]) task.take(record, view);
    expect(task.outputs.get("out")?.take()).toEqual([
      { key: "a", row: { id: "a" }, change: "delete", seq: 2 },
      { key: "b", row: { id: "b", record: "b2" }, change: "put", seq: 4 },
      { key: "c", row: { id: "c" }, change: "delete", seq: 5 },
    ]);
  });

  it("a deletion without the key is refused as a row without it is", () => {
    const made = dynamoTable({ table: "t", key: ["id"] }) as unknown as EagerSink<unknown>;
    expect(refusal(() => made.keyOf(deleted({ other: 1 })))).toContain('key attribute "id" of a row is missing');
    expect(sink().keyOf("x")).toBe('"x"');
  });
});
