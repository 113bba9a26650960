import { json, kinesisSource, kinesisStream, pipeline, text } from "tidemark";
import { runPipeline } from "tidemark/testing";
import { describe, expect, it } from "vitest";
import { missing, putInOrder } from "../../lib/connectors/put-in-order.js";
import { StreamError } from "../../lib/model/errors.js";
import type { Sink } from "../../lib/pipeline/sink.js";
import { entryBytesMax, type StreamAnswer, type StreamEntry, type Streams } from "../../lib/ports/streams.js";
import { memoryResources } from "../../lib/testing/conformance/sink-resources.js";
import { memoryLog } from "../../lib/testing/memory/log.js";
import { quickClock } from "./checkpoint-worlds.js";

const entry = (partitionKey: string, n = 0): StreamEntry => ({ partitionKey, data: Uint8Array.of(n) });
const at = (sequenceNumber: string): StreamAnswer => ({ kind: "put", shardId: "s", sequenceNumber });
const refused: StreamAnswer = { kind: "refused", why: "throttled" };

describe("what is put again", () => {
  const again = (answers: readonly (readonly [key: string, answer: StreamAnswer])[]) => {
    const entries = answers.map(([key], n) => entry(key, n));
    return missing(
      entries,
      answers.map(([, answer]) => answer),
    ).map(({ data }) => data[0]);
  };

  it("C6 is what was refused, and all of its key behind it", () => {
    expect(
      again([
        ["a", at("1")],
        ["a", refused],
        ["b", at("2")],
        ["a", at("3")],
        ["b", at("4")],
        ["c", refused],
      ]),
    ).toEqual([1, 3, 5]);
  });

  it("C6 is what lies before the one before it of its key: numbers differ in length", () => {
    expect(
      again([
        ["a", at("9")],
        ["b", at("8")],
        ["a", at("10")],
        ["a", at("7")],
        ["a", at("11")],
      ]),
    ).toEqual([3, 4]);
  });
});

function putting(answers: readonly (readonly StreamAnswer[] | StreamError)[]) {
  const calls: (readonly (number | undefined)[])[] = [];
  const left = [...answers];
  let numbers = 1_000;
  const streams: Streams = {
    describe: async () => ({ kind: "found" }),
    async put(_stream, entries) {
      calls.push(entries.map(({ data }) => data[0]));
      const next = left.shift();
      if (next instanceof StreamError) throw next;
      return next ?? entries.map(() => at(String(++numbers)));
    },
  };
  return { calls, way: { streams, clock: quickClock(), stream: "s" } };
}

describe("putting", () => {
  it("C6 lets no record of a key overtake one that was refused", async () => {
    const { calls, way } = putting([
      [at("1"), refused, at("2"), at("3")],
      [at("4"), refused],
    ]);
    await putInOrder(way, [entry("a", 0), entry("b", 1), entry("a", 2), entry("b", 3)]);
    expect(calls).toEqual([[0, 1, 2, 3], [1, 3], [3]]);
  });

  it("R5 puts all again whose answer was lost", async () => {
    const { calls, way } = putting([new StreamError("ambiguous", "lost")]);
    await putInOrder(way, [entry("a", 0), entry("b", 1)]);
    expect(calls).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });

  it("waits for a stream that throttles, and gives up when nothing goes on", async () => {
    const { calls, way } = putting(Array.from({ length: 9 }, () => [refused]));
    await putInOrder(way, [entry("a")]);
    expect(calls).toHaveLength(10);
    const never = putting(Array.from({ length: 99 }, () => [refused]));
    await expect(putInOrder(never.way, [entry("a")])).rejects.toMatchObject({
      kind: "transient",
      message: expect.stringMatching(/none of 1 records could be put in 10 attempts: throttled/),
    });
  });

  it("what is invalid is not tried again", async () => {
    const { calls, way } = putting([new StreamError("invalid", "denied")]);
    await expect(putInOrder(way, [entry("a")])).rejects.toThrow("denied");
    expect(calls).toHaveLength(1);
  });

  it("a call has at most five hundred records, and five megabytes", async () => {
    const { streams, log, control } = memoryLog(quickClock());
    control.createStream("s", 1);
    const large = Array.from({ length: 12 }, (_, n) => ({ partitionKey: `${n}`, data: new Uint8Array(1_000_000) }));
    const many = Array.from({ length: 1_100 }, (_, n) => entry(`${n}`, n));
    await putInOrder({ streams, clock: quickClock(), stream: "s" }, [...large, ...many]);
    const [{ shardId } = { shardId: "" }] = await log.shards("s");
    expect(control.records("s", shardId)).toHaveLength(1_112);
  });
});

interface Row {
  readonly id: string;
  readonly n: number;
}
const toStream = (over: object = {}) =>
  kinesisStream<Row>({ stream: "events", partitionKey: ({ id }) => id, ...over }) as Sink<Row>;
const opened = (over: object = {}) => {
  const sink = toStream(over);
  if (sink.delivery !== "log") throw new Error("it is a log");
  return sink.open(memoryResources());
};

describe("a row", () => {
  it("that no record can hold is told when it comes", () => {
    const validate =
      (row: unknown, over: object = {}) =>
      () =>
        opened(over).validate(row);
    expect(validate({ id: "", n: 1 })).toThrow(/partition key of a row must be a text that is not empty/);
    expect(validate({ n: 1 })).toThrow(/must be a text that is not empty, not undefined/);
    expect(validate({ id: "x".repeat(257), n: 1 })).toThrow(/has 257 characters; Kinesis takes 256/);
    expect(validate({ id: "x", n: 1n })).toThrow(/json|JSON/);
    const text = (length: number) => ({ id: "x", n: "x".repeat(length) });
    expect(validate(text(entryBytesMax - 200))).not.toThrow();
    expect(validate(text(entryBytesMax))).toThrow(/a record of Kinesis has at most 1048576 \(1 MiB\)/);
  });

  it("options are checked when the pipeline is built", () => {
    expect(() => toStream({ stream: "" })).toThrow(/"stream" must be a name/);
    expect(() => toStream({ partitionKey: "id" })).toThrow(/partitionKey: must be a function/);
    expect(() => toStream({ codec: {} })).toThrow(/codec: must be/);
    expect(() => toStream({ key: "x" })).toThrow(/"key" is not known/);
    expect(toStream().config).toEqual({ stream: "events", codec: "json" });
  });

  it("an absent stream is told at the start", async () => {
    await expect(opened().check()).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/kinesis-stream "events": check: there is no such stream/),
    });
  });
});

const rows: readonly Row[] = Array.from({ length: 80 }, (_, n) => ({ id: `id-${n % 4}`, n }));

describe("runPipeline", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "C6 shows each record once, killed, refused and with lost answers (seed %i)",
    async (seed) => {
      const made = pipeline("forward", {}, (flow) => {
        const source = flow.from("in", kinesisSource({ stream: "in", codec: json<Row>() }));
        const lines = kinesisStream<string>({ stream: "texts", codec: text, partitionKey: (line) => line.slice(0, 4) });
        return [source.to("events", toStream()), source.map(({ id, n }) => `${id} ${n}`).to("texts", lines)];
      });
      const faults = { lost: 0.05, log: 0.05 };
      const run = await runPipeline(made, { in: rows }, { seed, crashes: 3, faults });
      const of = <T>(all: readonly T[], id: (row: T) => string) =>
        [0, 1, 2, 3].map((k) => all.filter((row) => id(row) === `id-${k}`));
      expect(of(run.sinks.events, ({ id }) => id)).toEqual(of(rows, ({ id }) => id));
      expect(run.sinks.texts.toSorted()).toEqual(rows.map(({ id, n }) => `${id} ${n}`).toSorted());
      expect(run.crashes).toBe(3);
    },
  );
});
