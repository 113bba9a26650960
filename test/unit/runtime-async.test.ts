import { StreamError } from "tidemark";
import { describe, expect, it } from "vitest";
import type { Stream as AnyStream } from "../../lib/pipeline/stream.js";
import { Calls } from "../../lib/runtime/calls.js";
import { asyncTask, desk, ticks } from "./async-samples.js";
import { virtualClock } from "./runtime-world.js";
import { position, rows, sink, source } from "./task-samples.js";

type Lines = AnyStream<unknown, unknown>;
/** A task from `in` to `out`. */
const through = (steps: (stream: Lines) => Lines) =>
  asyncTask((flow) => void steps(flow.from("in", source()) as unknown as Lines).to("out", sink()));

describe("B2 mapAsync", () => {
  const one = { concurrency: 3, timeout: "5s" } as const;

  it.each([
    ["ordered", true, ["a", "b", "c"]],
    ["unordered", false, ["c", "a", "b"]],
  ] as const)("B2 %s: results go on so", async (_, ordered, expected) => {
    const { call, at } = desk();
    const { task, settle } = through((stream) => stream.mapAsync("ask", { ...one, ordered }, call));
    for (const record of ["a", "b", "c"]) task.take(record, position());
    const seen: unknown[] = [];
    for (const answered of ["c", "a", "b"]) {
      at(answered).answer(answered);
      await settle();
      seen.push(...rows(task));
    }
    expect(seen).toEqual(expected);
    expect(task.inFlight).toBe(0);
  });

  it("B2 ordered is what nobody says; rows of one key keep their order through it and the operator behind it", async () => {
    const { call, at } = desk();
    const { task, settle } = through((stream) =>
      stream
        .mapAsync("ask", one, call)
        .keyBy((record) => String(record)[0] as string)
        .reduce("all", (left, right) => `${left}${right}`),
    );
    for (const record of ["a1", "a2", "b1"]) task.take(record, position());
    for (const answered of ["b1", "a2", "a1"]) at(answered).answer(answered);
    await settle();
    expect(rows(task)).toEqual(["a1", "a1a2", "b1"]);
  });

  it("B2 no more calls than the bound are under way, however many elements a record brings; the task is full meanwhile", async () => {
    const { call, made, open, most, at } = desk();
    const { task, settle } = through((stream) =>
      stream
        .flatMap((record) => [1, 2, 3, 4, 5].map((n) => `${record}${n}`))
        .mapAsync("ask", { ...one, concurrency: 2 }, call),
    );
    expect(task.isFull).toBe(false);
    task.take("a", position());
    task.take("b", position());
    expect([made(), task.inFlight, task.isFull]).toEqual([["a1", "a2"], 10, true]);
    const seen: unknown[] = [];
    for (let next = open()[0]; next !== undefined; next = open()[0]) {
      at(next).answer(next);
      await settle();
      seen.push(...rows(task));
    }
    expect(seen).toEqual(["a", "b"].flatMap((record) => [1, 2, 3, 4, 5].map((n) => `${record}${n}`)));
    expect([most(), task.inFlight, task.isFull]).toEqual([2, 0, false]);
  });

  it("B2 two in a row: each with its own bound, and a cut waits for both", async () => {
    const [first, second] = [desk(), desk()];
    const { task, settle } = through((stream) =>
      stream.mapAsync("first", one, first.call).mapAsync("second", { ...one, concurrency: 1 }, second.call),
    );
    for (const record of ["a", "b"]) task.take(record, position());
    first.at("b").answer("B");
    first.at("a").answer("A");
    await settle();
    expect([second.open(), task.inFlight, task.isFull]).toEqual([["A"], 2, true]);
    second.at("A").answer("A!");
    await settle();
    expect([rows(task), second.open(), task.inFlight]).toEqual([["A!"], ["B"], 1]);
    second.at("B").answer("B!");
    await settle();
    expect([rows(task), task.inFlight, second.most()]).toEqual([["B!"], 0, 1]);
  });

  it("B2 several consumers each get every result; the context of what follows says where the element's record stood", async () => {
    const { call, at } = desk();
    const seen: unknown[] = [];
    const { task, settle } = asyncTask((flow) => {
      const asked = flow.from("in", source()).mapAsync("ask", one, call);
      asked.to("out", sink());
      asked
        .keyBy(() => 1)
        .process("where", {
          state: {},
          onRecord(record, { position: { sequenceNumber, shard } }) {
            seen.push([record, shard, sequenceNumber]);
            return record as string;
          },
        })
        .to("other", sink());
    });
    task.take("a", position(7));
    task.take("b", position(8));
    at("b").answer("B");
    at("a").answer("A");
    await settle();
    expect([rows(task), rows(task, "other")]).toEqual([
      ["A", "B"],
      ["A", "B"],
    ]);
    expect(seen).toEqual([
      ["A", "shard-0", "7"],
      ["B", "shard-0", "8"],
    ]);
  });

  it.each<readonly [string, (error: unknown) => (value: unknown, signal: AbortSignal) => Promise<unknown>]>([
    ["rejects", (error) => () => Promise.reject(error)],
    [
      "throws before its promise",
      (error) => () => {
        throw error;
      },
    ],
  ])("B2 a call that %s names the operator, and the place of its record", async (_, failing) => {
    const { task, settle } = through((stream) => stream.mapAsync("ask", one, failing(new RangeError("no such place"))));
    task.take("a", position(7));
    task.take("b", position(8));
    await expect(settle()).rejects.toMatchObject({
      kind: "invalid",
      message:
        'operator "ask" failed at the record of source "in", shard shard-0, sequence number 7: RangeError: no such place',
    });
  });

  it("B2 a call without an answer in time is aborted, and may be repeated: kind transient", async () => {
    const { call, at } = desk();
    const { task, settle, clock } = through((stream) => stream.mapAsync("ask", one, call));
    task.take("a", position(7));
    const { signal } = at("a");
    await clock.sleep(4_999);
    await settle();
    expect([signal.aborted, rows(task)]).toEqual([false, []]);
    await clock.sleep(2);
    await expect(settle()).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringMatching(/^operator "ask" .* sequence number 7: the call had no answer after 5000 ms/),
    });
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBeInstanceOf(StreamError);
  });
});

describe("N4 calls", () => {
  it("N4 an answer aborts nothing, and leaves no time-out behind", async () => {
    const clock = virtualClock();
    const calls = new Calls(clock);
    const { call, at } = desk();
    const called = calls.start((signal) => call("a", signal), 60_000);
    const { answer, signal } = at("a");
    answer(1);
    expect(await called).toEqual({ kind: "value", value: 1 });
    expect(signal.aborted).toBe(false);
    const before = clock.now();
    await clock.sleep(1);
    await new Promise(setImmediate);
    expect(clock.now() - before).toBe(1);
    await calls.end();
    expect(clock.now() - before).toBe(1);
  });

  it("N4 the end aborts all, and waits for those that heed it; those that do not only for a while", async () => {
    const clock = virtualClock();
    const calls = new Calls(clock);
    const { call, at } = desk();
    const heeding = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => void clock.sleep(300).then(() => reject(signal.reason)));
      });
    void calls.start(heeding, 60_000);
    const before = clock.now();
    await calls.end();
    expect(clock.now() - before).toBe(300);
    const deaf = calls.start((signal) => call("deaf", signal), 60_000);
    await ticks();
    const { signal } = at("deaf");
    await calls.end();
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect([signal.aborted, clock.now() - before]).toEqual([true, 2_300]);
    expect(await deaf).toMatchObject({ kind: "failed" });
  });
});
