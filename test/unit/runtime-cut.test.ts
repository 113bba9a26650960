import { dynamoTable, list, value } from "tidemark";
import { describe, expect, it } from "vitest";
import { readAck } from "../../lib/checkpoint/store.js";
import type { Committable, HeldCommittable } from "../../lib/model/checkpoints.js";
import { checkpointId, generation, sessionId, taskId } from "../../lib/model/ids.js";
import { sha256 } from "../../lib/model/sha256.js";
import { inlineBytesMax } from "../../lib/model/stored.js";
import type { HeldWriter } from "../../lib/pipeline/sink.js";
import type { ListState, ValueState } from "../../lib/pipeline/state-spec.js";
import {
  acknowledge,
  type Cut,
  cutTask,
  type Durable,
  type Identity,
  makeDurable,
  readRange,
} from "../../lib/runtime/cut.js";
import { decodeHeldRows } from "../../lib/runtime/held-bodies.js";
import type { OpenedWriter } from "../../lib/runtime/outputs.js";
import { readStart } from "../../lib/runtime/restore.js";
import { openWriter } from "../../lib/runtime/writers.js";
import { restoreInto } from "../../lib/state/snapshot-reader.js";
import { createStateTable } from "../../lib/state/table.js";
import { memoryTables } from "../../lib/testing/memory/tables.js";
import { head, incarnation, lease, now, record } from "./checkpoint-samples.js";
import { memoryStore } from "./checkpoint-worlds.js";
import { sinkResources } from "./sink-samples.js";
import { build, type KeptTask, position, sink, source } from "./task-samples.js";

const me: Identity = {
  pipeline: "p",
  incarnation,
  generation: generation(1),
  task: taskId(0, 0),
  session: sessionId("s1"),
  keyGroups: [0, 127],
};
const at = {
  checkpointId: checkpointId(2),
  epoch: checkpointId(1),
  positions: {},
  channels: { sent: {}, expected: [], durable: Promise.resolve() },
  finished: false,
  idle: true,
  recordsIn: 4,
  recordsOut: 3,
  at: now,
};

const accepting: HeldWriter = {
  target: "acme-out",
  check: async () => {},
  close: async () => {},
  validate: () => {},
  apply: async () => {},
};
const heldBy = (writer: HeldWriter): OpenedWriter => ({ delivery: "held", writer });
const writers = new Map([["out", heldBy(accepting)]]);

interface Row {
  key: string;
  n: number;
  all: string[];
}
/** Counts by key; the list in its rows is an object that it goes on changing. */
function counting(): KeptTask {
  return build((flow) =>
    flow
      .from("in", source())
      .keyBy((body) => body.slice(0, 1))
      .process("count", {
        state: { n: value(0), all: list<string>(), row: value<Row>() },
        onRecord(body, { key, state }) {
          state.n.update((n) => n + 1);
          state.all.add(body);
          const all = state.row.get()?.all ?? [];
          all.push(body);
          const row: Row = { key, n: state.n.get(), all };
          state.row.set(row);
          return row;
        },
      })
      .to("out", { ...sink(), keyOf: (row) => (row as Row).key }),
  );
}
const feed = (task: KeptTask, ...bodies: readonly string[]) => {
  for (const body of bodies) task.take(body, position());
};
const heldRows = (cut: Cut) => cut.held.flatMap(({ bytes }) => decodeHeldRows(bytes));

const never = new AbortController().signal;

describe("B2 a cut", () => {
  it("B2 holds the bytes of its moment, whatever becomes of state and rows before they are durable", async () => {
    const { store } = memoryStore();
    const task = counting();
    feed(task, "a1", "b1", "a2");
    const cut = cutTask(task, writers, me, at, "base");
    feed(task, "a3", "b2", "c1");
    const durable = await makeDurable(store, me, cut, null, never);
    const [operator] = task.tables;
    const fresh = createStateTable("count", 1, {
      n: { kind: "value", initial: 0 },
      all: { kind: "list" },
      row: { kind: "value" },
    });
    await restoreInto([fresh], durable.snapshot, [0, 127], readRange(store));
    const seen = (key: string) => {
      fresh.enter(key);
      return [(fresh.accessors.n as ValueState<number>).get(), (fresh.accessors.all as ListState<string>).get()];
    };
    expect([fresh.keys, operator?.keys]).toEqual([2, 3]);
    expect([seen("a"), seen("b"), seen("c")]).toEqual([
      [2, ["a1", "a2"]],
      [1, ["b1"]],
      [0, []],
    ]);
    expect(heldRows(cut)).toEqual([
      { key: "a", row: { key: "a", n: 2, all: ["a1", "a2"] }, change: "put", seq: 3 },
      { key: "b", row: { key: "b", n: 1, all: ["b1"] }, change: "put", seq: 2 },
    ]);
  });

  it("B2 what comes after it is the next one's, and only that: the delta and its rows", async () => {
    const { store } = memoryStore();
    const task = counting();
    feed(task, "a1", "b1");
    const base = await makeDurable(store, me, cutTask(task, writers, me, at, "base"), null, never);
    feed(task, "a2", "c1");
    const next = { ...at, checkpointId: checkpointId(3), epoch: checkpointId(2) };
    const cut = cutTask(task, writers, me, next, "delta");
    expect(heldRows(cut).map(({ key, seq }) => [key, seq])).toEqual([
      ["a", 3],
      ["c", 4],
    ]);
    const { snapshot } = await makeDurable(store, me, cut, base.snapshot, never);
    expect([snapshot.base, snapshot.deltas.length]).toEqual([base.snapshot.base, 1]);
    const restored = counting();
    await restoreInto(restored.tables, snapshot, [0, 127], readRange(store));
    feed(restored, "a3", "b2", "c2");
    expect(
      restored.outputs
        .get("out")
        ?.take()
        .map(({ row }) => (row as Row).n),
    ).toEqual([3, 2, 2]);
  });

  it("B3 nothing changed: the snapshot is that of before, and there is nothing to commit", async () => {
    const { store, bucket } = memoryStore();
    const task = counting();
    feed(task, "a1");
    const before = await makeDurable(store, me, cutTask(task, writers, me, at, "base"), null, never);
    const next = { ...at, checkpointId: checkpointId(3) };
    const objects = bucket.all().size;
    const durable = await makeDurable(store, me, cutTask(task, writers, me, next, "none"), before.snapshot, never);
    expect(durable).toEqual({ snapshot: before.snapshot, prepared: [], bytes: 0 });
    expect(bucket.all().size).toBe(objects);
  });

  it("B3 a committable names target, epoch, checkpoint and records; R6 its object lies under the session's name", async () => {
    const { store, bucket } = memoryStore();
    const task = counting();
    const long = "x".repeat(inlineBytesMax);
    feed(task, `a${long}`);
    const { prepared, bytes } = await makeDurable(store, me, cutTask(task, writers, me, at, "none"), null, never);
    expect(prepared).toMatchObject([
      {
        sink: "out",
        target: "acme-out",
        kind: "held",
        generation: 1,
        epoch: 1,
        checkpointId: 2,
        task: "0.0",
        index: 0,
        records: 1,
        body: { kind: "object", key: `p/${incarnation}/00000001/000000000002/0.0/held-0-s1` },
      },
    ]);
    const [stored] = [...bucket.all().values()];
    expect((prepared[0] as HeldCommittable).body).toMatchObject({ size: stored?.length, sha256: sha256(stored ?? "") });
    expect(bytes).toBe(stored?.length);
  });

  it("B3 sinks without rows prepare nothing, the others are numbered", () => {
    const task = build((flow) => {
      const stream = flow.from("in", source());
      for (const name of ["first", "second", "third"]) stream.filter((body) => body !== name).to(name, sink());
    });
    feed(task, "second");
    const all = new Map(
      ["first", "second", "third"].map((name) => [name, heldBy({ ...accepting, target: `t-${name}` })]),
    );
    expect(cutTask(task, all, me, at, "none").held.map(({ sink: name, target }) => [name, target])).toEqual([
      ["first", "t-first"],
      ["third", "t-third"],
    ]);
  });

  it("a row that cannot be stored is told before any ack, by sink", () => {
    const tables = memoryTables();
    const table = dynamoTable({ table: "t", key: ["key"] });
    const opened = new Map([["out", openWriter(table, sinkResources({ tables: tables.tables }))]]);
    const rows = (row: unknown) => {
      const task = build((flow) =>
        flow
          .from("in", source())
          .map(() => row as never)
          .to("out", table),
      );
      feed(task, "a");
      return () => cutTask(task, opened, me, at, "none");
    };
    expect(rows({ key: "a", body: "x".repeat(400 * 1024) })).toThrow(
      /^sink "out": dynamoTable "acme-t": a row has 4\d+ bytes/,
    );
    expect(rows({ key: "a", "~tidemark": 1 })).toThrow(
      'sink "out": dynamoTable "acme-t": a row has an attribute "~tidemark"',
    );
    expect(rows({ key: "a", when: new Date(0) })).toThrow(/^sink "out": .*when is a Date/);
    expect(rows({ key: "a", body: "x".repeat(399 * 1024) })).not.toThrow();
  });

  it("a row that no body can hold is told with its sink, whatever the sink says of it", () => {
    const task = build((flow) =>
      flow
        .from("in", source())
        .map(() => ({ f: () => 1 }))
        .to("out", sink()),
    );
    feed(task, "a");
    expect(() => cutTask(task, writers, me, at, "none")).toThrow(/^sink "out": a row cannot be kept: /);
  });
});

describe("C1 an ack lists all that is not committed", () => {
  const committable = (index: number, key = `k${index}`): Committable => ({
    sink: "out",
    target: "acme-out",
    kind: "held",
    generation: generation(1),
    epoch: checkpointId(1),
    checkpointId: checkpointId(2),
    task: me.task,
    index,
    body: { kind: "object", key, size: 1, sha256: sha256(key) },
    records: 1,
  });
  const parts = { state: null, held: [], sealed: [], logs: [], written: Promise.resolve(), dryRows: {} };
  const cut: Cut = { ...at, ...parts, positions: { in: [] } };
  const durable: Durable = { snapshot: { format: 1, base: null, deltas: [] }, prepared: [], bytes: 17 };
  const ackWith = async (count: number) => {
    const { store, bucket } = memoryStore();
    const committables = Array.from({ length: count }, (_, index) => committable(index));
    const ack = await acknowledge(store, me, cut, durable, { committables, requests: { "blobs.put": 2 } });
    const claim = {
      head: head({ completed: null }),
      record: record(),
      lease: lease({ kind: "free", since: now }, { ack: at.checkpointId }),
      version: 1,
    };
    const heir = { stage: 0, index: 0, tasks: 1, operators: [], sinks: ["out"], stages: 1 };
    return { store, bucket, ack, committables, start: () => readStart(store, claim, heir) };
  };

  it("C1 a short list is part of it, oldest first, and comes back as it was", async () => {
    const { store, ack, committables, start, bucket } = await ackWith(3);
    expect(ack.committables).toEqual(committables);
    expect(await readAck(store, incarnation, me.generation, at.checkpointId, me.task)).toEqual(ack);
    expect((await start()).committables).toEqual(committables);
    expect(bucket.all().size).toBe(0);
  });

  it("C1 a long list lies in the bucket under the session's name, and comes back as it was", async () => {
    const { ack, committables, start, bucket } = await ackWith(400);
    expect(ack.committables).toMatchObject({
      kind: "object",
      key: `p/${incarnation}/00000001/000000000002/0.0/committables-s1`,
    });
    expect((await start()).committables).toEqual(committables);
    bucket.corrupt((ack.committables as { key: string }).key, 50);
    await expect(start()).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("B3 says whose it is and what it cost; R5 again it is the same fact", async () => {
    const { ack, store } = await ackWith(0);
    expect(ack).toMatchObject({ generation: 1, checkpointId: 2, task: "0.0", session: "s1", keyGroups: [0, 127] });
    expect(ack).toMatchObject({ finished: false, idle: true, positions: { in: [] }, snapshot: durable.snapshot });
    expect(ack.figures).toEqual({
      cutAt: now,
      ackedAt: now,
      recordsIn: 4,
      recordsOut: 3,
      bytes: 17,
      requests: { "blobs.put": 2 },
    });
    const again = { committables: [], requests: { "blobs.put": 2 } };
    expect(await acknowledge(store, me, cut, durable, again)).toEqual(ack);
  });
});
