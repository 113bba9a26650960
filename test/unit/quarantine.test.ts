import { dynamoTable, list, map, StreamError, value } from "tidemark";
import { describe, expect, it } from "vitest";
import type { DeadLetter } from "../../lib/pipeline/dead-letter.js";
import type { PipelineOptions } from "../../lib/pipeline/options.js";
import type { HeldSink } from "../../lib/pipeline/sink.js";
import type { ListState, MapState, ValueState } from "../../lib/pipeline/state-spec.js";
import { asyncTask, desk } from "./async-samples.js";
import { build, type KeptTask, position, rows, type Stream, sink, source } from "./task-samples.js";

const letters = (): HeldSink<DeadLetter> => ({ ...sink("dead"), keyOf: (letter) => letter.id });
const quarantine = (): PipelineOptions => ({ onBadRecord: "quarantine", deadLetters: letters() });
const deadLetters = (task: KeptTask) => rows(task, "dead-letters") as readonly DeadLetter[];
const boom = <T>(record: T): T => {
  if (String(record).startsWith("bad")) throw new TypeError("boom");
  return record;
};
const quarantined = (make: (stream: Stream) => { to(name: string, sink: HeldSink<unknown>): unknown }) =>
  build((flow) => make(flow.from("in", source())).to("out", sink()), quarantine());

describe("quarantine", () => {
  it("tells the record's place, its time, what refused it and why; its bytes can be put again", () => {
    const task = quarantined((stream) => stream.map((record) => boom(record)));
    const record = {
      source: "in",
      shard: "shard-3",
      sequenceNumber: "77",
      subSequenceNumber: 4,
      arrivedAt: Date.UTC(2026, 0, 2) as never,
      data: new Uint8Array([0, 255, 10]).subarray(1),
    };
    task.take("bad", record);
    task.take("bad", position(78, "in", "bad"));
    expect(deadLetters(task)).toEqual([
      {
        id: "in/shard-3/77/4",
        source: "in",
        shard: "shard-3",
        sequenceNumber: "77",
        subSequenceNumber: 4,
        arrivedAt: "2026-01-02T00:00:00.000Z",
        step: "map (step 1 of the plan)",
        cause: "TypeError: boom",
        data: Buffer.from([255, 10]).toString("base64"),
      },
      {
        id: "in/shard-0/78",
        source: "in",
        shard: "shard-0",
        sequenceNumber: "78",
        subSequenceNumber: null,
        arrivedAt: null,
        step: "map (step 1 of the plan)",
        cause: "TypeError: boom",
        data: Buffer.from("bad").toString("base64"),
      },
    ]);
    expect([task.recordsIn, task.quarantined, rows(task)]).toEqual([2, 2, []]);
  });

  const op = { state: {}, onRecord: (record: unknown) => boom(record as string) };
  it.each<readonly [string, (stream: Stream) => { to(name: string, sink: HeldSink<unknown>): unknown }]>([
    ["map (step 1 of the plan)", (stream) => stream.map((record) => boom(record))],
    ["filter (step 1 of the plan)", (stream) => stream.filter((record) => boom(record) !== null)],
    ["flatMap (step 1 of the plan)", (stream) => stream.flatMap((record) => [boom(record)])],
    [
      "keyBy (step 1 of the plan)",
      (stream) => stream.keyBy((record) => String(boom(record))).process("op", { ...op, onRecord: (r) => r as string }),
    ],
    ['operator "op"', (stream) => stream.keyBy(() => 1).process("op", op)],
    ['operator "op"', (stream) => stream.keyBy(() => 1).reduce("op", (_, record) => boom(record))],
    [
      'operator "op"',
      (stream) =>
        stream
          .keyBy((record) => (record === "bad" ? Number.NaN : 1))
          .process("op", { ...op, onRecord: (r) => r as string }),
    ],
  ])("of what %s refuses: the rest goes on", (step, make) => {
    const task = quarantined(make);
    for (const record of ["a", "bad", "b"]) task.take(record, position());
    expect(rows(task)).toEqual(["a", "b"]);
    expect(deadLetters(task).map((letter) => letter.step)).toEqual([step]);
    expect([task.recordsIn, task.quarantined]).toEqual([3, 1]);
  });

  it("of a row without its key", () => {
    const table = dynamoTable({ table: "t", key: ["id"] });
    const task = build(
      (flow) =>
        flow
          .from("in", source())
          .map((record) => ({ id: record === "bad" ? undefined : record }) as { id: string })
          .to("out", table),
      quarantine(),
    );
    for (const record of ["a", "bad"]) task.take(record, position());
    expect(rows(task)).toEqual([{ id: "a" }]);
    expect(deadLetters(task)).toMatchObject([
      { step: 'sink "out"', cause: expect.stringContaining('key attribute "id" of a row is missing') },
    ]);
  });

  it("never quotes a body: of a SyntaxError only its name, of what is no error only its type", () => {
    const task = quarantined((stream) =>
      stream.map((record) => {
        if (record === "text") throw record;
        return JSON.parse(String(record));
      }),
    );
    for (const [i, record] of ["{secret", "text"].entries()) task.take(record, position(i));
    expect(deadLetters(task).map(({ cause }) => cause)).toEqual(["SyntaxError", "it threw a string"]);
    expect(task.quarantined).toBe(2);
  });
});

describe("quarantine takes back what the record did before it failed", () => {
  interface Marks {
    readonly n: ValueState<number>;
    readonly seen: ListState<string>;
    readonly by: MapState<string, number>;
  }
  const marking = () => ({
    state: { n: value(0), seen: list<string>(), by: map<string, number>() },
    onRecord(record: string, { state }: { readonly state: Marks }) {
      state.n.update((n) => n + 1);
      state.seen.add(record);
      state.by.set(record, state.n.get());
      state.by.delete("a");
      return record;
    },
  });
  const marksOf = (task: KeptTask, key: string) =>
    task.tables.map((table) => {
      table.enter(key);
      const { n, seen, by } = table.accessors as unknown as Marks;
      return [n.get(), [...seen.get()], [...by.entries()]];
    });

  it("values, lists, maps and keys of all its operators; rows of all its sinks", () => {
    const task = build((flow) => {
      const first = flow
        .from("in", source())
        .keyBy((record) => record.slice(-1))
        .process("first", marking());
      first.map((record) => ["newest", record]).to("early", sink());
      first
        .keyBy((record) => record.slice(-1))
        .process("second", marking())
        .flatMap((record) => [record, `${record}!`])
        .map((record) => (boom(record.replace(/^(late.*)!$/, "bad")) === "bad" ? "" : record))
        .to("out", sink());
    }, quarantine());
    for (const record of ["ax", "bx"]) task.take(record, position());
    const before = marksOf(task, "x");
    expect(before[0]).toEqual([
      2,
      ["ax", "bx"],
      [
        ["ax", 1],
        ["bx", 2],
      ],
    ]);
    const dirty = task.tables.map(({ keys }) => keys);
    task.take("latex", position(3));
    task.take("latey", position(4));
    expect(marksOf(task, "x")).toEqual(before);
    expect(marksOf(task, "y")).toEqual([
      [0, [], []],
      [0, [], []],
    ]);
    expect(task.tables.map(({ keys }) => keys)).toEqual(dirty);
    expect(task.quarantined).toBe(2);
    expect(task.recordsOut).toBe(2 + 4 + 2);
    expect(rows(task, "early")).toEqual([["newest", "bx"]]);
    expect(rows(task)).toEqual(["ax", "ax!", "bx", "bx!"]);
    task.take("cx", position(5));
    expect(marksOf(task, "x")[0]).toEqual([
      3,
      ["ax", "bx", "cx"],
      [
        ["ax", 1],
        ["bx", 2],
        ["cx", 3],
      ],
    ]);
  });

  it("elements that were given to mapAsync are never called for", () => {
    const { call, made } = desk();
    const { task } = asyncTask((flow) => {
      const stream = flow.from("in", source());
      stream.mapAsync("ask", { concurrency: 5, timeout: "5s" }, call).to("asked", sink());
      stream.map((record) => boom(record)).to("out", sink());
    }, quarantine());
    for (const record of ["a", "bad", "b"]) task.take(record, position());
    expect([made(), task.inFlight, task.quarantined]).toEqual([["a", "b"], 2, 1]);
  });

  it("a call that rejects puts its record aside, with its bytes and place; what its record did before the call stays", async () => {
    const { call, at } = desk();
    const { task, settle } = asyncTask(
      (flow) =>
        flow
          .from("in", source())
          .keyBy(() => "x")
          .process("first", marking())
          .mapAsync("ask", { concurrency: 5, timeout: "5s" }, call)
          .keyBy(() => "x")
          .process("second", marking() as never)
          .to("out", sink()),
      quarantine(),
    );
    for (const [i, record] of ["p", "bad", "q"].entries()) task.take(record, position(i + 1, "in", record));
    at("q").answer("q");
    at("bad").fail(new RangeError("no such place"));
    at("p").answer("p");
    await settle();
    expect(rows(task)).toEqual(["p", "q"]);
    expect(deadLetters(task)).toMatchObject([
      {
        id: "in/shard-0/2",
        step: 'operator "ask"',
        cause: "RangeError: no such place",
        data: Buffer.from("bad").toString("base64"),
      },
    ]);
    expect(marksOf(task, "x").map(([n]) => n)).toEqual([3, 2]);
    expect([task.quarantined, task.inFlight]).toEqual([1, 0]);
  });

  it("what follows a call and throws is taken back too, and no more than that", async () => {
    const { call, at } = desk();
    const { task, settle } = asyncTask(
      (flow) =>
        flow
          .from("in", source())
          .mapAsync("ask", { concurrency: 5, timeout: "5s" }, call as never)
          .keyBy(() => "x")
          .process("after", marking() as never)
          .map((record) => boom(record))
          .to("out", sink()),
      quarantine(),
    );
    for (const [i, record] of ["p", "q"].entries()) task.take(record, position(i + 1));
    at("p").answer("p");
    at("q").answer("bad answer");
    await settle();
    expect(rows(task)).toEqual(["p"]);
    expect(deadLetters(task)).toMatchObject([{ id: "in/shard-0/2", step: "map (step 4 of the plan)" }]);
    expect(marksOf(task, "x")).toEqual([[1, ["p"], [["p", 1]]]]);
  });
});

describe("no quarantine", () => {
  it("for what every record would meet: an operator that gives a promise", () => {
    const task = quarantined((stream) => stream.map(() => Promise.resolve(1)));
    expect(() => task.take("a", position())).toThrow("it gave a promise");
    expect([deadLetters(task), task.quarantined]).toEqual([[], 0]);
  });

  it.each(["transient", "ambiguous", "fenced", "corrupt", "bug"] as const)(
    "for what is not the record's fault: %s",
    (kind) => {
      const task = quarantined((stream) =>
        stream.map(() => {
          throw new StreamError(kind, "not its fault");
        }),
      );
      expect(() => task.take("a", position())).toThrow(expect.objectContaining({ kind }));
      expect(deadLetters(task)).toEqual([]);
    },
  );

  it("for a call without an answer in time: the pipeline restarts", async () => {
    const { call } = desk();
    const { task, settle, clock } = asyncTask(
      (flow) =>
        flow
          .from("in", source())
          .mapAsync("ask", { concurrency: 5, timeout: "5s" }, call as never)
          .to("out", sink()),
      quarantine(),
    );
    task.take("a", position());
    await clock.sleep(5_001);
    await expect(settle()).rejects.toMatchObject({ kind: "transient" });
    expect(deadLetters(task)).toEqual([]);
  });

  it("where the dead-letter sink refuses: told with both causes, and the pipeline fails", () => {
    const refusing = {
      ...letters(),
      keyOf: () => {
        throw new StreamError("invalid", "no room");
      },
    };
    const task = build((flow) => flow.from("in", source()).map(boom).to("out", sink()), {
      onBadRecord: "quarantine",
      deadLetters: refusing,
    });
    expect(() => task.take("bad", position(7))).toThrow(
      expect.objectContaining({
        kind: "invalid",
        message:
          'the dead-letter sink refuses the record of source "in", shard shard-0, sequence number 7 (put aside because of map (step 1 of the plan): TypeError: boom): no room',
      }),
    );
    expect(task.quarantined).toBe(0);
  });
});
