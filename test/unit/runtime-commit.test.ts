import { readFileSync } from "node:fs";
import { Decoder } from "cbor-x";
import fc from "fast-check";
import { dynamoTable } from "tidemark";
import { describe, expect, it } from "vitest";
import { storeBody } from "../../lib/checkpoint/bodies.js";
import { observeCompletion } from "../../lib/checkpoint/permit.js";
import type { CommitPermit, HeldCommittable } from "../../lib/model/checkpoints.js";
import { checkpointId, generation } from "../../lib/model/ids.js";
import { encodeVersion } from "../../lib/model/versions.js";
import type { HeldWrite, HeldWriter } from "../../lib/pipeline/sink.js";
import { type CommitContext, commitCovered } from "../../lib/runtime/commit.js";
import { decodeHeldRows, encodeHeldRows } from "../../lib/runtime/held-bodies.js";
import type { HeldRow } from "../../lib/runtime/held-output.js";
import type { OpenedWriter } from "../../lib/runtime/outputs.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { head, incarnation, ref, task0 } from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";
import { sinkResources } from "./sink-samples.js";
import { anyValue } from "./state-samples.js";

const permitFor = (id: number): CommitPermit => {
  const permit = observeCompletion(head({ completed: ref(id) }));
  if (permit === null) throw new Error("no permit");
  return permit;
};
const version = (epoch: number, seq: number, gen = 1) =>
  encodeVersion({
    incarnation,
    generation: generation(gen),
    epoch: checkpointId(epoch),
    task: task0,
    seq,
  });

const heldBy = (writer: HeldWriter): OpenedWriter => ({ delivery: "held", writer });

/** Sinks "out" and "other" that remember what is applied. */
function world() {
  const { store, bucket } = memoryStore();
  const applied: { readonly sink: string; readonly target: string; readonly writes: readonly HeldWrite[] }[] = [];
  const permits: CommitPermit[] = [];
  const writer = (sink: string): HeldWriter => ({
    target: `now-${sink}`,
    check: async () => {},
    close: async () => {},
    validate: () => {},
    async apply(target, writes, permit) {
      applied.push({ sink, target, writes });
      permits.push(permit);
    },
  });
  const writers = new Map(["out", "other"].map((name) => [name, heldBy(writer(name))]));
  const context: CommitContext = { store, incarnation, writers };
  const prepare = async (
    checkpoint: number,
    rows: readonly HeldRow[],
    over: Partial<HeldCommittable> = {},
  ): Promise<HeldCommittable> => ({
    sink: "out",
    target: "acme-out",
    kind: "held",
    generation: generation(1),
    epoch: checkpointId(checkpoint - 1),
    checkpointId: checkpointId(checkpoint),
    task: task0,
    index: 0,
    body: await storeBody(store.blobs, `held ${checkpoint} ${over.index ?? 0}`, encodeHeldRows(rows)),
    records: rows.length,
    ...over,
  });
  const shown = () =>
    applied.map(({ sink, target, writes }) => [sink, target, writes.map(({ key, row }) => [key, row])]);
  return { store, bucket, context, applied, permits, prepare, shown };
}
const row = (key: string, value: unknown, seq = 1): HeldRow => ({ key, row: value, change: "put", seq });

describe("C2 what is committed", () => {
  it("C2 is what the permit covers, and nothing else, in the order of checkpoint and index", async () => {
    const { context, prepare, shown, applied, permits } = world();
    const three = await prepare(3, [row("c", 3, 9)]);
    const oneB = await prepare(1, [row("b", 1, 2)], { index: 1, sink: "other", target: "acme-other" });
    const oneA = await prepare(1, [row("a", 1)]);
    const two = await prepare(2, [row("b", 2)]);
    const list = [three, oneB, two, oneA];
    expect(await commitCovered(context, permitFor(2), list)).toEqual([oneA, oneB, two]);
    expect(shown()).toEqual([
      [
        "out",
        "acme-out",
        [
          ["a", 1],
          ["b", 2],
        ],
      ],
      ["other", "acme-other", [["b", 1]]],
    ]);
    expect(permits.map(({ completed }) => completed.checkpointId)).toEqual([2, 2]);
    applied.length = 0;
    expect(await commitCovered(context, permitFor(3), [three])).toEqual([three]);
    expect(shown()).toEqual([["out", "acme-out", [["c", 3]]]]);
  });

  it("C2 nothing covered: no sink is asked, and no body is read", async () => {
    const { context, prepare, applied, bucket } = world();
    const big = await prepare(5, [row("a", "x".repeat(100_000))]);
    bucket.corrupt("held 5 0", 9);
    expect(await commitCovered(context, permitFor(4), [big])).toEqual([]);
    expect(applied).toEqual([]);
  });

  it("C1 of several covered writes of a key only the newest is written, with the version of its preparation", async () => {
    const { context, prepare, applied } = world();
    const list = [
      await prepare(4, [row("a", "4", 1)], { generation: generation(2) }),
      await prepare(2, [row("a", "2", 5), row("b", "2", 6)]),
      await prepare(3, [row("b", "3", 1)], { epoch: checkpointId(1) }),
    ];
    await commitCovered(context, permitFor(4), list);
    expect(applied).toEqual([
      {
        sink: "out",
        target: "acme-out",
        writes: [
          { key: "a", row: "4", change: "put", version: version(3, 1, 2), checkpointId: 4 },
          { key: "b", row: "3", change: "put", version: version(1, 1), checkpointId: 3 },
        ],
      },
    ]);
  });

  it("C2 a redirect never moves what was prepared: its target is the committable's, and targets do not fold", async () => {
    const { context, prepare, shown } = world();
    const list = [await prepare(1, [row("a", 1)], { target: "old" }), await prepare(2, [row("a", 2)])];
    await commitCovered(context, permitFor(2), list);
    expect(shown()).toEqual([
      ["out", "old", [["a", 1]]],
      ["out", "acme-out", [["a", 2]]],
    ]);
  });

  it("C1 the same key of two sinks is two writes, of one target too", async () => {
    const { context, prepare, shown } = world();
    const list = [
      await prepare(1, [row("a", 1, 2)]),
      await prepare(1, [row("a", 2, 1)], { index: 1, sink: "other", target: "acme-out" }),
    ];
    await commitCovered(context, permitFor(1), list);
    expect(shown()).toEqual([
      ["out", "acme-out", [["a", 1]]],
      ["other", "acme-out", [["a", 2]]],
    ]);
  });

  it("W1 two sinks of one table: the write that the task made last stands, whichever is committed first", async () => {
    const { context, prepare } = world();
    const memory = memoryTables();
    memory.createTable("acme-out", [{ name: "id", type: "string" }]);
    const table = dynamoTable({ table: "out", key: ["id"] });
    const opened = openWriter(table, sinkResources({ tables: memory.tables }));
    const writers = new Map(["out", "other"].map((name) => [name, opened]));
    const list = [
      await prepare(1, [row("a", { id: "a", from: "last" }, 2)]),
      await prepare(1, [row("a", { id: "a", from: "first" }, 1)], { index: 1, sink: "other" }),
    ];
    for (let times = 0; times < 2; times++) {
      await commitCovered({ ...context, writers }, permitFor(1), list);
      expect(memory.items("acme-out")).toEqual([{ id: "a", from: "last" }]);
    }
  });

  it("output for a sink that the pipeline does not have stops the commit", async () => {
    const { context, prepare } = world();
    const list = [await prepare(1, [row("a", 1)], { sink: "gone" })];
    await expect(commitCovered(context, permitFor(1), list)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining('"gone"'),
    });
    expect(await commitCovered(context, permitFor(0), list)).toEqual([]);
  });

  it("P3 a body that is not what was written is never applied", async () => {
    const { context, prepare, applied, bucket } = world();
    const list = [await prepare(1, [row("a", "x".repeat(100_000))])];
    bucket.corrupt("held 1 0", 50_000);
    await expect(commitCovered(context, permitFor(1), list)).rejects.toMatchObject({ kind: "corrupt" });
    await bucket.blobs.remove(["held 1 0"]);
    await expect(commitCovered(context, permitFor(1), list)).rejects.toMatchObject({ kind: "corrupt" });
    expect(applied).toEqual([]);
  });
});

/** Format 1 is never to change: where this fails, the code is wrong, or there is a format 2 beside it. */
describe("held rows, format 1", () => {
  const golden = JSON.parse(readFileSync(new URL("../golden/held-rows-1.json", import.meta.url), "utf8")) as {
    readonly hex: string;
  };
  const awkward = Object.fromEntries([
    ["__proto__", { deep: true }],
    ["constructor", "x"],
  ]);
  const rows: readonly HeldRow[] = [
    { key: "JFK", row: { airport: "JFK", flights: 2, rate: 0.5, name: "Zürich", last: null }, change: "put", seq: 1 },
    {
      key: "",
      row: { n: 2 ** 53, big: 2n ** 70n, minus: -1, bytes: new Uint8Array([0, 255]) },
      change: "put",
      seq: 2 ** 40,
    },
    { key: "__proto__", row: awkward, change: "put", seq: 3 },
    { key: "4c41|1901f4", row: { list: [true, false, [], {}], when: new Date(1_000) }, change: "put", seq: 4 },
  ];

  it("R6 the bytes are those of the file", () => {
    expect(Buffer.from(encodeHeldRows(rows)).toString("hex")).toBe(golden.hex);
  });

  it("the file is read as what was written", () => {
    const found = decodeHeldRows(Buffer.from(golden.hex, "hex"));
    expect(found).toEqual(rows);
    expect(Object.keys(found[2]?.row as object)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(found[2]?.row)).toBe(Object.prototype);
  });

  it("another reader of CBOR finds the same sequence", () => {
    const found = new Decoder({ mapsAsObjects: false }).decodeMultiple(Buffer.from(golden.hex, "hex")) as unknown[];
    expect(found[0]).toBe(1);
    expect(found.slice(1).map((item) => [(item as unknown[])[0], Number((item as unknown[])[2])])).toEqual(
      rows.map(({ key, seq }) => [key, seq]),
    );
    expect((found[1] as [string, Map<string, unknown>])[1]).toEqual(new Map(Object.entries(rows[0]?.row as object)));
  });

  it("rows of every kind come back as they were", () => {
    const anyChange = fc.constantFrom<HeldRow["change"]>("put", "delete");
    const some = fc.array(fc.record({ key: fc.string(), row: anyValue, change: anyChange, seq: fc.maxSafeNat() }), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(some, (given) => {
        expect(decodeHeldRows(encodeHeldRows(given))).toEqual(given);
      }),
    );
  });

  it("P3 a later format asks for an upgrade; bytes cut short, and others, are no body", () => {
    expect(() => decodeHeldRows(new Uint8Array([2]))).toThrow(/format 2: upgrade/);
    const bytes = Buffer.from(golden.hex, "hex");
    const ends: string[] = [];
    for (let length = 0; length < bytes.length; length++) {
      try {
        const found = decodeHeldRows(bytes.subarray(0, length));
        ends.push(`${length}: ${found.length} rows`);
      } catch (error) {
        expect(error).toMatchObject({ kind: "corrupt" });
      }
    }
    // A sequence may end after each item; that its end is missing is what its SHA-256 tells.
    expect(ends.map((end) => end.replace(/^\d+: /, ""))).toEqual(["0 rows", "1 rows", "2 rows", "3 rows"]);
    expect(() => decodeHeldRows(new Uint8Array([1, 5]))).toThrow(expect.objectContaining({ kind: "corrupt" }));
    expect(() => decodeHeldRows(new Uint8Array([1, 0x83, 5, 5, 5]))).toThrow(
      expect.objectContaining({ kind: "corrupt" }),
    );
  });
});
