import type { Sink } from "tidemark";
import { describe, expect, it } from "vitest";
import { StreamError } from "../../lib/model/errors.js";
import type { HeldSink } from "../../lib/pipeline/sink.js";
import { build, type KeptTask, position, type Stream, sink, source, task } from "./task-samples.js";

const failure = (one: KeptTask, record: unknown = "secret"): StreamError => {
  try {
    one.take(record, position(7));
  } catch (error) {
    if (error instanceof StreamError) return error;
  }
  throw new Error("it did not fail as it should");
};

describe("errors", () => {
  const where = 'source "in", shard shard-0, sequence number 7';
  const boom = (): never => {
    throw new TypeError("boom");
  };
  it.each<readonly [string, Parameters<typeof task>[0]]>([
    ["map (step 1 of the plan)", (stream: Stream) => stream.map(boom)],
    ["filter (step 1 of the plan)", (stream: Stream) => stream.filter(boom)],
    ["flatMap (step 2 of the plan)", (stream: Stream) => stream.map((record) => record).flatMap(boom)],
    ["keyBy (step 1 of the plan)", (stream: Stream) => stream.keyBy(boom).reduce("op", (a) => a)],
    ['operator "op"', (stream: Stream) => stream.keyBy(() => 1).process("op", { state: {}, onRecord: boom })],
  ])("of %s name it and the record's position, and keep the cause", (at, make) => {
    const error = failure(task(make as never));
    expect(error).toMatchObject({ kind: "invalid", cause: expect.any(TypeError) });
    expect(error.message).toBe(`${at} failed at the record of ${where}: TypeError: boom`);
  });

  it("of a merge name the operator; the record before it was no failure", () => {
    const one = task((stream: Stream) => stream.keyBy(() => 1).reduce("sum", boom));
    one.take("a", position());
    expect(failure(one).message).toContain('operator "sum" failed');
    expect(one.recordsIn).toBe(1);
  });

  it("of a generator that goes on after a row name it, not what its row went through", () => {
    const one = task((stream: Stream) =>
      stream
        .keyBy(() => 1)
        .process("op", {
          state: {},
          *onRecord() {
            yield { a: 1 };
            boom();
          },
        })
        .map((row) => row),
    );
    expect(failure(one).message).toContain('operator "op" failed');
  });

  it("of a sink's key name the sink", () => {
    const refusing: HeldSink<unknown> = {
      ...sink(),
      keyOf: () => {
        throw new StreamError("invalid", "no key");
      },
    };
    const one = build((flow) => void flow.from("in", source()).to("out", refusing));
    expect(failure(one).message).toBe(`sink "out" failed at the record of ${where}: no key`);
  });

  it("a SyntaxError's message quotes what was parsed: it is not told", () => {
    const one = task((stream: Stream) => stream.map((record) => JSON.parse(String(record))));
    expect(failure(one, '{"secret": hush').message).toBe(
      `map (step 1 of the plan) failed at the record of ${where}: SyntaxError`,
    );
  });

  it("what is thrown and is no error is not told either; a bug of ours stays one", () => {
    const throwing = (thrown: unknown) =>
      task((stream: Stream) =>
        stream.map(() => {
          throw thrown;
        }),
      );
    expect(failure(throwing("secret")).message).toMatch(/: it threw a string$/);
    expect(failure(throwing(new StreamError("bug", "ours"))).kind).toBe("bug");
    expect(failure(throwing(new StreamError("transient", "theirs, which passes"))).kind).toBe("transient");
    expect(failure(throwing(new StreamError("invalid", "theirs"))).kind).toBe("invalid");
  });

  const promised = () => Promise.reject(new Error("later")) as never;
  it.each<readonly [string, (stream: Stream) => { to(name: string, sink: Sink<unknown>): unknown }]>([
    ["map", (stream) => stream.map(promised)],
    ["filter", (stream) => stream.filter(promised)],
    ["flatMap", (stream) => stream.flatMap(promised)],
    ["a flatMap's row", (stream) => stream.flatMap(() => [promised()])],
    ["keyBy", (stream) => stream.keyBy(promised).reduce("op", (a) => a)],
    ["process", (stream) => stream.keyBy(() => 1).process("op", { state: {}, onRecord: promised })],
    [
      "a generator's row",
      (stream) =>
        stream
          .keyBy(() => 1)
          .process("op", {
            state: {},
            *onRecord() {
              yield promised();
            },
          }),
    ],
  ])("a promise of %s is refused, and its own failure ends nothing", async (_, make) => {
    const error = failure(task(make as never));
    expect(error).toMatchObject({ kind: "invalid", message: expect.stringContaining("it gave a promise") });
    await new Promise(setImmediate);
  });

  it("a promise of a merge is refused", () => {
    const one = task((stream: Stream) => stream.keyBy(() => 1).reduce("op", promised));
    one.take("a", position());
    expect(failure(one).message).toContain("it gave a promise");
  });
});
